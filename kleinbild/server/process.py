"""A program in a process group of its own, gone when we are gone, however that ends.

Normal ends pass `stop_process`. If we are killed outright, the kernel kills the program (PR_SET_PDEATHSIG on
Linux) and its helper processes follow it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from kleinbild.errors import KleinbildError

PR_SET_PDEATHSIG = 1
STOP_SECONDS = 5.0

Stream = int | IO[bytes] | None


async def start_process(
    executable: str,
    arguments: Sequence[str],
    *,
    stdin: Stream = asyncio.subprocess.DEVNULL,
    stdout: Stream = None,
    stderr: Stream = None,
    pass_fds: Sequence[int] = (),
    environ: Mapping[str, str] | None = None,
) -> asyncio.subprocess.Process:
    """`executable` running with `arguments`. Raises KleinbildError when it cannot be started."""
    try:
        return await asyncio.create_subprocess_exec(
            executable,
            *arguments,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            preexec_fn=_die_with_parent(),
            pass_fds=tuple(pass_fds),
            env=environ,
        )
    except OSError as error:
        raise KleinbildError(f"{executable}: cannot be started ({error.strerror})") from None


async def stop_process(process: asyncio.subprocess.Process) -> None:
    """End the program and whatever is left of its group; gracefully first, so that it flushes its files."""
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
