"""Progress on stderr: a bar on a terminal, a line now and then otherwise."""

from __future__ import annotations

import sys
import time
from typing import TextIO

BAR_CELLS = 24
LINE_STEP = 0.1  # without a terminal: a line for every tenth of a stage at most


class Progress:
    """What the user sees while a picture is made. `fraction` is of the whole phase, 0 to 1."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self.is_terminal = self._stream.isatty()
        self._bar_shown = False
        self._label = ""
        self._fraction = -1.0
        self._started = time.monotonic()

    def note(self, text: str) -> None:
        """One line that stays."""
        self._clear()
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def update(self, stage: str, step: int, steps: int, fraction: float) -> None:
        """Progress of `stage`; step of steps when steps is not 0."""
        label = stage.replace("_", " ") + (f" {step}/{steps}" if steps else "")
        if self.is_terminal:
            done = round(fraction * BAR_CELLS)
            bar = "#" * done + "." * (BAR_CELLS - done)
            self._stream.write(f"\r\x1b[K[{bar}] {fraction:4.0%} {label}")
            self._stream.flush()
            self._bar_shown = True
        elif label != self._label or fraction >= self._fraction + LINE_STEP or fraction < self._fraction:
            self.note(f"{time.monotonic() - self._started:7.1f} s  {fraction:4.0%}  {label}")
            self._label, self._fraction = label, fraction

    def close(self) -> None:
        """Take the bar off the terminal."""
        self._clear()
        self._stream.flush()

    def _clear(self) -> None:
        if self._bar_shown:
            self._stream.write("\r\x1b[K")
            self._bar_shown = False
