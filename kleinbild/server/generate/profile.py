"""The browser profile that keeps the downloaded weights between runs, used by one browser at a time.

The lock is inherited by the browser, so it lasts until the last process using the profile has gone, even
when the command that started it was killed.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from kleinbild.errors import KleinbildError

POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Profile:
    """A profile folder and the descriptor that holds its lock."""

    path: Path
    lock: int


def cache_folder(environ: Mapping[str, str]) -> Path:
    """The user's cache folder for Kleinbild (XDG base directory specification)."""
    return _user_folder(environ.get("XDG_CACHE_HOME", ""), "~/.cache")


def state_folder(environ: Mapping[str, str]) -> Path:
    """The user's folder for what Kleinbild keeps between runs and cannot make again (same specification)."""
    return _user_folder(environ.get("XDG_STATE_HOME", ""), "~/.local/state")


def _user_folder(base: str, otherwise: str) -> Path:
    # The specification says a relative path must be ignored.
    root = Path(base) if base.startswith("/") else Path(otherwise).expanduser()
    return root / "kleinbild"


@asynccontextmanager
async def locked_profile(folder: Path, notice: Callable[[str], None]) -> AsyncIterator[Profile]:
    """The profile below `folder`, exclusively. Waits while another run uses it, and says so once."""
    path = folder / "chromium"
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "chromium.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise KleinbildError(
            f"{path}: cannot be used for the browser's profile ({error.strerror}); set XDG_CACHE_HOME"
        ) from None
    try:
        said = False
        while not _try_lock(lock):
            if not said:
                notice("waiting: another run (generate, or the picture server) is using the browser profile")
                said = True
            await asyncio.sleep(POLL_SECONDS)
        # Left by a browser that was killed. Nobody uses the profile now, so they mean nothing, and on another
        # machine's shared home they would keep Chromium from starting.
        for name in ("SingletonLock", "SingletonSocket", "SingletonCookie"):
            (path / name).unlink(missing_ok=True)
        yield Profile(path, lock)
    finally:
        os.close(lock)


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
