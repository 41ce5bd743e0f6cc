"""Progress on a terminal is one bar; elsewhere it is a few lines."""

from __future__ import annotations

import io

from kleinbild.server.generate.progress import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_lines_are_sparse() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    for i in range(1001):
        progress.update("download", 0, 5, i / 1000)
    progress.update("text_encoder", 0, 0, 0.0)
    lines = stream.getvalue().splitlines()
    assert len(lines) <= 13
    assert lines[0].endswith("0%  download 0/5")
    assert lines[-1].endswith("0%  text encoder")


def test_bar_is_redrawn_and_cleared() -> None:
    stream = Terminal()
    progress = Progress(stream)
    progress.update("transformer", 1, 4, 0.5)
    progress.note("a note")
    progress.update("transformer", 2, 4, 1.0)
    progress.close()
    bars = stream.getvalue().split("\r\x1b[K")
    assert bars == [
        "",
        "[############............]  50% transformer 1/4",
        "a note\n",
        "[########################] 100% transformer 2/4",
        "",
    ]
