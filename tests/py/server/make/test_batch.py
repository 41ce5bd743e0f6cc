"""The lines of a batch: what they may say, and the names that let it go on where it stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kleinbild.errors import KleinbildError
from kleinbild.server.generate.options import GenerateOptions
from kleinbild.server.make.batch import Task, read_batch
from kleinbild.server.site import open_site

OPTIONS = GenerateOptions(
    prompt="",
    output=None,
    batch=None,
    output_dir=None,
    width=32,
    height=None,
    seed=9,
    steps=None,
    latents=None,
    precision="auto",
    adapter="auto",
    dump=None,
    memory_budget=None,
    preview=False,
    server=True,
    json=False,
    verbose=False,
)


def read(site: Path, folder: Path, text: str | bytes, notes: list[str] | None = None) -> list[Task]:
    path = folder / "prompts.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    notice = ([] if notes is None else notes).append
    return read_batch(path, folder / "out", OPTIONS, open_site(site), notice)


def lines(*records: Any) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def test_lines_and_what_they_leave_out(fake_site: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    text = lines({"prompt": "a\u2028b"}, {"prompt": "c", "width": 70, "seed": 2**64 - 1, "steps": 1})
    first, second = read(fake_site, tmp_path, text.replace("\n", "\n\n"), notes)
    assert (first.job.prompt, first.job.width, first.job.height, first.job.steps) == ("a\u2028b", 32, 64, 2)
    assert (first.job.seed, first.line) == (9, 1)
    assert (second.job.width, second.job.seed, second.line) == (64, 2**64 - 1, 3)
    assert "line 3" in notes[0]


def test_names_hold_all_that_makes_a_picture(fake_site: Path, tmp_path: Path) -> None:
    base = {"prompt": "x", "width": 16, "height": 16, "seed": 1, "steps": 1}
    changed = [
        base | change
        for change in ({"prompt": "y"}, {"width": 32}, {"height": 32}, {"seed": 2}, {"steps": 2})
    ]
    names = {read(fake_site, tmp_path, lines(record))[0].output.name for record in [base, *changed]}
    assert len(names) == 6
    assert all(name.startswith("00001-") and name.endswith(".png") for name in names)
    again, moved = read(fake_site, tmp_path, lines(base, base))
    assert again.output.name in names
    assert again.output != moved.output


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no line"),
        ("\n\n", "no line"),
        (b"\xff\n", "UTF-8"),
        (lines({"prompt": "x"}) + "{\n", "line 2: no JSON"),
        ("[" * 100_000, "line 1: no JSON"),
        (lines([]), 'line 1: no object with a "prompt"'),
        (lines({"width": 16}), 'line 1: no object with a "prompt"'),
        (lines({"prompt": "x", "wdith": 16}), "'wdith' is not known"),
        (lines({"prompt": "x", "width": "16"}), "width must be of type int"),
        (lines({"prompt": "x", "seed": True}), "seed must be of type int"),
        (lines({"prompt": "x", "width": 8}), "line 1: --width 8"),
        (lines({"prompt": "\ud800"}), "line 1: --prompt"),
    ],
)
def test_a_batch_that_is_not_whole_is_refused(fake_site: Path, tmp_path: Path, text: Any, word: str) -> None:
    with pytest.raises(KleinbildError) as refused:
        read(fake_site, tmp_path, text)
    assert word in str(refused.value)


def test_no_file(fake_site: Path, tmp_path: Path) -> None:
    with pytest.raises(KleinbildError, match="cannot be read"):
        read_batch(tmp_path / "none", tmp_path, OPTIONS, open_site(fake_site), print)
