"""A kiosk under test: an X server without a screen, `serve.py kiosk` in it, and a hand on its page.

The hand reaches the page over the debugging port, moves a pointer and nothing else: clicks are made where a
finger would touch.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error, Page, Playwright

ROOT = Path(__file__).parents[2]
SCREEN = (720, 1280)
START_SECONDS = 120


def find_xvfb() -> str:
    """Xvfb's path; installed from Debian's package when missing, if we may. Fails the test otherwise."""
    if not shutil.which("Xvfb") and shutil.which("apt-get") and os.geteuid() == 0:
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "xvfb"]):
            subprocess.run(["apt-get", *command], capture_output=True, check=False)
    found = shutil.which("Xvfb")
    if found is None:
        pytest.fail("the kiosk's test needs Xvfb: apt-get install xvfb")
    return found


@contextmanager
def x_server() -> Iterator[str]:
    """An X server of SCREEN; gives the value of $DISPLAY."""
    reading, writing = os.pipe()
    command = [find_xvfb(), "-displayfd", str(writing), "-screen", "0", f"{SCREEN[0]}x{SCREEN[1]}x24"]
    with subprocess.Popen(
        [*command, "-nolisten", "tcp"], pass_fds=(writing,), stderr=subprocess.DEVNULL
    ) as process:
        os.close(writing)
        try:
            with os.fdopen(reading) as stream:
                number = stream.readline().strip()
            assert number, "Xvfb did not start"
            yield f":{number}"
        finally:
            process.terminate()


def free_port() -> int:
    """A port that nobody has right now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@dataclass
class Kiosk:
    """A running kiosk. `log` is what the supervisor and its children say."""

    process: subprocess.Popen[bytes]
    debug_port: int
    log: Path
    playwright: Playwright
    page: Page

    def reconnect(self) -> float:
        """Take the page of a browser that was started anew; seconds until it showed its first screen."""
        began = time.monotonic()
        while True:
            try:
                self.page = connect(self.playwright, self.debug_port)
                self.page.set_default_timeout(START_SECONDS * 1000)
                self.wait_for("attract")
                return time.monotonic() - began
            except (Error, IndexError, AssertionError):
                assert time.monotonic() - began < START_SECONDS, self.words()
                time.sleep(0.3)

    def wait_for(self, screen: str) -> None:
        """Until the page shows `screen`."""
        self.page.wait_for_function(
            "(name) => document.body.dataset.screen === name", arg=screen, timeout=START_SECONDS * 1000
        )

    def touch(self, selector: str) -> None:
        """A finger on the middle of the element."""
        target = self.page.locator(selector)
        target.wait_for()
        box = target.bounding_box()
        assert box is not None
        self.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def type_with_keys(self, text: str) -> None:
        """The touch keyboard's keys, one after another."""
        for character in text:
            self.touch(
                ".kkey[data-action=space]" if character == " " else f".kkey[data-character='{character}']"
            )

    def enter_pin(self, pin: str) -> None:
        """Digits and the enter key of the PIN pad."""
        for digit in pin:
            self.touch(f"[data-digit='{digit}']")
        self.touch("#pin-enter")

    def words(self) -> str:
        """The supervisor's own lines."""
        lines = self.log.read_text("utf-8", "replace").splitlines()
        return "\n".join(line for line in lines if line.startswith("kiosk"))

    def find_process(self, wanted: Callable[[str], bool]) -> int:
        """The id of the one descendant of ours whose command line is `wanted`."""
        found = [pid for pid, line in descendants(self.process.pid) if wanted(line)]
        assert len(found) == 1, found
        return found[0]


def descendants(root: int) -> list[tuple[int, str]]:
    """(id, command line) of every process that `root` or a child of it started."""
    parents: dict[int, int] = {}
    lines: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                lines[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
            except (OSError, UnicodeDecodeError):
                continue  # it has ended meanwhile
    ours = {root}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return [(pid, lines[pid]) for pid in sorted(ours - {root})]


def connect(playwright: Playwright, port: int) -> Page:
    """The page of the browser that listens on `port`."""
    browser = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}", timeout=5000)
    return browser.contexts[0].pages[0]


@contextmanager
def running_kiosk(
    site: Path, folder: Path, operator: dict[str, Any], playwright: Playwright, *arguments: str
) -> Iterator[Kiosk]:
    """`serve.py kiosk` with `operator` as its file, everything of it in `folder`; ended by SIGTERM."""
    path = folder / "operator.json"
    path.write_text(json.dumps(operator))
    port = free_port()
    command = [sys.executable, str(ROOT / "serve.py"), "--site", str(site), "kiosk", "--operator", str(path)]
    command += ["--gpu", "software", "--debug-port", str(port), "--window-size", f"{SCREEN[0]}x{SCREEN[1]}"]
    log = folder / "log"
    with x_server() as display, log.open("wb") as output:
        environ = {**os.environ, "DISPLAY": display, "XDG_DATA_HOME": str(folder / "data")}
        environ.pop("WAYLAND_DISPLAY", None)
        process = subprocess.Popen([*command, *arguments], stdout=output, stderr=output, env=environ)
        kiosk = Kiosk(process, port, log, playwright, None)  # type: ignore[arg-type]
        try:
            kiosk.reconnect()
            yield kiosk
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
