"""No file of the project holds what a merge left behind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
FOLDERS = ("deploy", "docs", "kleinbild", "models", "site", "src_js", "tests", "training", ".ci")
MARKER = re.compile(rb"^(<{7} |={7}$|>{7} )", re.MULTILINE)


def sources() -> Iterator[Path]:
    """Every file of the project, of those folders and beside them."""
    yield from (path for path in PROJECT.iterdir() if path.is_file())
    for folder in FOLDERS:
        found = (PROJECT / folder).rglob("*")
        yield from (path for path in found if path.is_file() and "__pycache__" not in path.parts)


def test_no_conflict_was_left() -> None:
    files = list(sources())
    assert len(files) > 500
    assert [path for path in files if MARKER.search(path.read_bytes())] == []
