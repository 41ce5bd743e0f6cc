"""Signals end a command the way Ctrl-C does."""

from __future__ import annotations

import asyncio
import signal


def stop_on_signals() -> None:
    """Let SIGTERM and SIGHUP end the command as Ctrl-C does: by cancelling it, with all cleanup."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
