"""A browser whose profile lies on a small file system of its own, which a test fills and empties.

The file system is a tmpfs in a mount namespace that belongs to the browser: a user namespace where that is
allowed, else root's. From here it is seen below /proc/<pid>/root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page

FILLER = "filler"
START_SECONDS = 60
CHUNK_BYTES = 1 << 16


def why_not() -> str:
    """Why this machine gives no such file system; "" when it does."""
    if not shutil.which("unshare"):
        return "there is no unshare (util-linux) for a file system of a test's own"
    probe = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", "mount -t tmpfs tmpfs /mnt"],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if probe.returncode == 0 else f"no file system of a test's own: {probe.stderr.strip()}"


@dataclass
class SmallDisk:
    """A page of a browser on a small file system; `folder` is that file system."""

    page: Page
    folder: Path

    @property
    def free(self) -> int:
        """Bytes that a program may still write."""
        info = os.statvfs(self.folder)
        return info.f_bavail * info.f_frsize

    def fill(self, left: int) -> None:
        """Writes a file until about `left` bytes are free; one that was there before is replaced."""
        self.empty()
        with (self.folder / FILLER).open("wb") as file:
            while self.free > left + CHUNK_BYTES:
                file.write(bytes(CHUNK_BYTES))
                file.flush()

    def empty(self) -> None:
        """Removes that file."""
        (self.folder / FILLER).unlink(missing_ok=True)


@contextmanager
def small_disk(browser: Browser, flags: list[str], mount: Path, size: int) -> Iterator[SmallDisk]:
    """A browser like `browser`, with `flags`; its profile is a file system of `size` bytes at `mount`."""
    mount.mkdir()
    executable = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    chromium = [executable, *flags, "--headless", "--no-first-run", "--remote-debugging-port=0"]
    chromium += ["--disk-cache-size=1", f"--user-data-dir={mount}", "about:blank"]
    script = 'mount -t tmpfs -o size="$0" tmpfs "$1" && shift && exec "$@"'
    command = ["unshare", "-Urm", "sh", "-c", script, str(size), str(mount), *chromium]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            folder = Path(f"/proc/{process.pid}/root{mount}")
            port = folder / "DevToolsActivePort"
            deadline = time.monotonic() + START_SECONDS
            while not (port.exists() and "\n" in port.read_text()):
                assert process.poll() is None, "the browser did not start"
                assert time.monotonic() < deadline, "the browser opened no port"
                time.sleep(0.1)
            address = f"http://127.0.0.1:{port.read_text().splitlines()[0]}"
            connected = browser.browser_type.connect_over_cdp(address)
            yield SmallDisk(connected.contexts[0].new_page(), folder)
        finally:
            process.kill()
