"""SIGTERM ends a build the way Ctrl-C does: by an exception that every cleanup sees."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """Somebody asked the process to end."""


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Raises Terminated in the main thread, which must be the caller's, when SIGTERM comes in the block."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise Terminated
