"""What `check` found: lines to print, and the reasons why a folder is not whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from kleinbild.errors import KleinbildError


@dataclass
class Report:
    """Lines about a folder, and its problems (none when it is whole)."""

    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Adds a line."""
        self.lines.append(line)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Turns the block's KleinbildError, or the OSError of a file it cannot read, into a problem."""
        try:
            yield
        except KleinbildError as error:
            self.problems.append(str(error))
        except OSError as error:
            self.problems.append(f"{error.filename}: {error.strerror}")


def size_text(count: int) -> str:
    """`count` bytes in a unit that people read, in powers of 1000."""
    if count < 1000:
        return f"{count} bytes"
    size = float(count)
    for unit in ("KB", "MB"):
        size /= 1000
        if size < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.2f} GB"
