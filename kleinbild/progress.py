"""How far a long job is, on stderr: one redrawn line on a terminal, a line now and then otherwise.

A job counts bytes and may do so from several threads; what the bytes are is its own business. Output is a
courtesy: a stream that is closed or broken ends it silently, never the job. The progress of a picture
(server/generate/progress.py) counts steps, not bytes, and is another thing.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

REDRAW_SECONDS = 0.1
LINE_SECONDS = 10.0
# The rate is that of the last seconds, so that a slow part or reused files do not falsify what is left.
WINDOW_SECONDS = 10.0
SAMPLE_SECONDS = 0.5
# What is left of a job that stands still is not worth telling.
LEFT_MAX_SECONDS = 10 * 3600
CLEAR_LINE = "\r\x1b[K"


class Progress:
    """Progress of `total_bytes` (0: unknown) under `label`; a context manager that says the sum at its end.

    A block that ends with an exception takes the line away and says nothing more. `clock` gives seconds.
    """

    def __init__(
        self,
        total_bytes: int,
        label: str,
        stream: TextIO | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total_bytes
        self._label = label
        self._stream = stream if stream is not None else sys.stderr
        self._clock = clock
        self._lock = threading.Lock()
        self._done = 0
        self._note = ""
        self._silent = False
        self._terminal = self._is_terminal()
        self._started = self._shown = clock()
        self._samples: deque[tuple[float, int]] = deque([(self._started, 0)])

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._write(CLEAR_LINE if self._terminal else "")
            if kind is None:
                self._write(self._summary() + "\n")
            self._silent = True

    def advance(self, count: int, note: str = "") -> None:
        """`count` more bytes are done; `note` (kept when empty) says what is being done now."""
        with self._lock:
            self._done += count
            self._note = note or self._note
            now = self._clock()
            if now - self._samples[-1][0] >= SAMPLE_SECONDS:
                self._samples.append((now, self._done))
            while len(self._samples) > 2 and now - self._samples[1][0] >= WINDOW_SECONDS:
                self._samples.popleft()
            if now - self._shown >= (REDRAW_SECONDS if self._terminal else LINE_SECONDS):
                self._shown = now
                self._show(now)

    def clear(self) -> None:
        """Takes the line off a terminal until it is drawn again, so that something else can be printed."""
        with self._lock:
            self._write(CLEAR_LINE if self._terminal else "")

    def _show(self, now: float) -> None:
        first, before = self._samples[0]
        rate = (self._done - before) / max(now - first, 1e-9)
        parts = [self._label, *self._amount(), f"{_in_unit(rate, rate)}/s"]
        left = self._total - self._done
        if 0 < left < rate * LEFT_MAX_SECONDS:
            parts.append(f"{_duration(left / rate)} left")
        if self._note:
            parts.append(self._note)
        line = "  ".join(parts)
        if self._terminal:
            self._write(CLEAR_LINE + line[: shutil.get_terminal_size().columns - 1])
        else:
            self._write(line + "\n")

    def _amount(self) -> list[str]:
        if self._total <= 0:
            return [_in_unit(self._done, self._done)]
        percent = min(100, 100 * self._done // self._total)
        unit = _unit(self._total)[0]
        done = _in_unit(self._done, self._total).removesuffix(f" {unit}")
        return [f"{percent:3} %", f"{done} of {_in_unit(self._total, self._total)}"]

    def _summary(self) -> str:
        seconds = self._clock() - self._started
        rate = self._done / max(seconds, 1e-9)
        size = _in_unit(self._done, self._done)
        return f"{self._label}  {size} in {_duration(seconds)}  {_in_unit(rate, rate)}/s"

    def _is_terminal(self) -> bool:
        try:
            return self._stream.isatty()
        except (OSError, ValueError):
            self._silent = True
            return False

    def _write(self, text: str) -> None:
        if self._silent:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._silent = True


def _unit(size: float) -> tuple[str, float]:
    for name, scale in (("GB", 1e9), ("MB", 1e6)):
        if size >= scale:
            return name, scale
    return "KB", 1e3


def _in_unit(value: float, like: float) -> str:
    """`value` bytes in the unit that suits `like`, powers of 1000."""
    name, scale = _unit(like)
    digits = 1 if name == "GB" or like < 10 * scale else 0
    return f"{value / scale:.{digits}f} {name}"


def _duration(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
