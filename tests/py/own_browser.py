"""A browser process of a test's own, which ends as by a power cut."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page


@contextmanager
def own_browser(browser: Browser, flags: list[str], profile: Path) -> Iterator[Page]:
    """A page of a browser process with this profile, which is killed in the end, as by a power cut."""
    executable = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    port = profile / "DevToolsActivePort"
    port.unlink(missing_ok=True)
    command = [executable, *flags, "--headless", "--no-first-run", "--remote-debugging-port=0"]
    with subprocess.Popen(
        [*command, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            for _ in range(300):
                if port.exists() and "\n" in port.read_text():
                    break
                time.sleep(0.1)
            address = f"http://127.0.0.1:{port.read_text().splitlines()[0]}"
            yield browser.browser_type.connect_over_cdp(address).contexts[0].new_page()
        finally:
            process.kill()
