"""The browser of one command: its process, and what it said last, for an error message."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO

from kleinbild.server.generate.profile import Profile
from kleinbild.server.process import start_process, stop_process

TAIL_BYTES = 16384
MAX_QUOTED_CHARS = 300


class Browser:
    """A running browser; `process.wait()` returns when it ends."""

    def __init__(self, process: asyncio.subprocess.Process, log: IO[bytes]) -> None:
        self.process = process
        self._log = log

    def last_words(self) -> str:
        """The most telling of the last lines of its stderr, for an error message; "" without one."""
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - TAIL_BYTES))
        lines = [
            line.strip() for line in self._log.read().decode("utf-8", "replace").splitlines() if line.strip()
        ]
        # Chromium complains about a missing D-Bus wherever there is no desktop.
        lines = [line for line in lines if "dbus" not in line]
        telling = [line for line in lines if ":CONSOLE" in line or "FATAL" in line] or lines
        return f"; its last words: {telling[-1][-MAX_QUOTED_CHARS:]}" if telling else ""


@asynccontextmanager
async def running_browser(executable: str, arguments: list[str], profile: Profile) -> AsyncIterator[Browser]:
    """`executable` running with `arguments`. Raises KleinbildError when it cannot be started."""
    with tempfile.TemporaryFile() as log:
        process = await start_process(executable, arguments, stdout=log, stderr=log, pass_fds=(profile.lock,))
        try:
            yield Browser(process, log)
        finally:
            await stop_process(process)
