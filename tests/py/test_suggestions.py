"""What a model suggests: read from any JSON, kept from checkpoint to manifest, refused with its reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from checkpoint_factory import make_checkpoint

from kleinbild.checkpoint.checkpoint import Checkpoint
from kleinbild.errors import KleinbildError
from kleinbild.suggestions import Suggestions, read_suggestions


def test_good_suggestions_and_none() -> None:
    assert read_suggestions([], [], "x") == Suggestions()
    read = read_suggestions(["a red circle", "zwölf Äpfel"], [[128, 128], [256, 128]], "x")
    assert read == Suggestions(("a red circle", "zwölf Äpfel"), ((128, 128), (256, 128)))


@pytest.mark.parametrize(
    ("examples", "sizes", "reason"),
    [
        ("text", [], "the examples are no list"),
        (["a"] * 25, [], "the examples are no list of at most 24"),
        ([1], [], "an example is no text"),
        ([""], [], "an example is no text of 1 to 300"),
        (["x" * 301], [], "an example is no text of 1 to 300"),
        (["  "], [], "empty or not printable"),
        (["a\x1b[31m"], [], "empty or not printable"),
        ([], {}, "the sizes are no list"),
        ([], [[128, 128]] * 13, "the sizes are no list of at most 12"),
        ([], [[128]], r"size \[128\] is not"),
        ([], [128], "size 128 is not"),
        ([], [[128, True]], "is not"),
        ([], [[128, 120]], "multiples of 16"),
        ([], [[128, 2064]], "up to 2048"),
        ([], [[0, 128]], "is not"),
        ([], [[128.0, 128]], "is not"),
    ],
)
def test_what_is_none_is_refused(examples: object, sizes: object, reason: str) -> None:
    with pytest.raises(KleinbildError, match=f"^x: .*{reason}"):
        read_suggestions(examples, sizes, "x")


def test_a_checkpoint_suggests_what_its_index_says(tmp_path: Path) -> None:
    keys = {"kleinbild_examples": ["a blue star"], "kleinbild_sizes": [[128, 256]]}
    folder = make_checkpoint(tmp_path / "model", model_index=keys)
    checkpoint = Checkpoint.open(folder)
    assert checkpoint.suggestions == Suggestions(("a blue star",), ((128, 256),))
    before = json.dumps(checkpoint.identity())
    index = json.loads((folder / "model_index.json").read_text())
    index["kleinbild_examples"] = ["another"]
    (folder / "model_index.json").write_text(json.dumps(index))
    assert json.dumps(Checkpoint.open(folder).identity()) != before, "an export is not gone on with"
