"""The note about a running server: found while it runs, never another address than this machine's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kleinbild.server.announce import NAME, announced, find_announced

URL = "http://127.0.0.1:8080"


def test_a_note_lasts_as_long_as_its_server(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    assert find_announced(folder) is None
    with announced(folder, URL):
        assert find_announced(folder) == URL
        (folder / NAME).write_text(json.dumps({"url": "http://127.0.0.1:9", "pid": 1}))
    assert find_announced(folder) == "http://127.0.0.1:9"  # a later server's note stays


OTHERS = (
    "http://10.0.0.1:80",
    "https://127.0.0.1:1",
    "http://127.0.0.1:1/x",
    "file:///etc",
    "http://u@127.0.0.1:1",
)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"url": 3}', "[" * 5000, *(json.dumps({"url": url}) for url in OTHERS)]
)
def test_other_notes_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    assert find_announced(tmp_path) is None


def test_a_folder_that_cannot_be_written_is_no_matter(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with announced(tmp_path / "file", URL):
        assert find_announced(tmp_path / "file") is None
