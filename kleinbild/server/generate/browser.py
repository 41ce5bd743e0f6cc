"""The browser process: started in a group of its own, and gone when the command is gone, however that ends.

Normal ends, errors and signals pass `running_browser`'s cleanup. If the command is killed outright, the
kernel kills the browser (PR_SET_PDEATHSIG on Linux) and the browser's helper processes follow it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import IO

from kleinbild.errors import KleinbildError
from kleinbild.server.generate.profile import Profile

PR_SET_PDEATHSIG = 1
STOP_SECONDS = 5.0
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
        try:
            process = await asyncio.create_subprocess_exec(
                executable,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent(),
                pass_fds=(profile.lock,),
            )
        except OSError as error:
            raise KleinbildError(f"{executable}: cannot be started ({error.strerror})") from None
        try:
            yield Browser(process, log)
        finally:
            await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End the browser and whatever is left of its group; gracefully first, so that it flushes its store."""
    try:
        if process.returncode is None:
            process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _die_with_parent() -> Callable[[], None] | None:
    """What the child runs before exec, so that the kernel kills it when we end; None outside Linux."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(
        None, use_errno=True
    ).prctl  # looked up here: between fork and exec only the call is safe
    parent = os.getpid()

    def prepare() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent ended before the call: its end will not be told again
            os._exit(1)

    return prepare
