"""The vocabulary file: true to the tokenizer folder, or refused by the key that would be read wrongly."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kleinbild.checkpoint.configs import read_model_config
from kleinbild.checkpoint.tiny import TINY_FOLDER
from kleinbild.config import ModelConfig
from kleinbild.errors import KleinbildError
from kleinbild.package.vocabulary import read_vocabulary, vocabulary_bytes

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def config() -> ModelConfig:
    return read_model_config(TINY_FOLDER)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TINY_FOLDER / "tokenizer", tmp_path / "tokenizer"))


def change_file(path: Path, change: Change) -> None:
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")


def test_vocabulary_of_the_tiny_model(config: ModelConfig, folder: Path) -> None:
    source = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = read_vocabulary(folder, config)
    assert list(vocabulary) == [
        "schema",
        "normalizer",
        "split",
        "classes",
        "tokens",
        "merges",
        "added",
        "template",
        "pad_id",
        "max_length",
    ]
    assert (vocabulary["schema"], vocabulary["normalizer"], vocabulary["split"]) == (1, "NFC", "qwen2")
    tokens, merges = vocabulary["tokens"], vocabulary["merges"]
    assert {token: i for i, token in enumerate(tokens)} == source["model"]["vocab"]
    pairs = [[tokens[a], tokens[b]] for a, b in zip(merges[::2], merges[1::2], strict=True)]
    assert pairs == source["model"]["merges"]
    keys = ("id", "content", "special", "single_word", "lstrip", "rstrip", "normalized")
    assert vocabulary["added"] == [{key: token[key] for key in keys} for token in source["added_tokens"]]
    assert vocabulary["pad_id"] == 1956
    assert vocabulary["max_length"] == 512
    assert vocabulary["template"] == {
        "prefix": "<|im_start|>user\n",
        "suffix": "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
    }


def test_bytes_are_utf8_json_and_repeatable(config: ModelConfig, folder: Path) -> None:
    vocabulary = read_vocabulary(folder, config)
    data = vocabulary_bytes(vocabulary)
    assert json.loads(data.decode("utf-8")) == vocabulary
    assert data == vocabulary_bytes(read_vocabulary(folder, config))


def test_merges_may_be_strings(config: ModelConfig, folder: Path) -> None:
    pairs = read_vocabulary(folder, config)["merges"]
    change_file(
        folder / "tokenizer.json",
        lambda t: t["model"].update(merges=[" ".join(pair) for pair in t["model"]["merges"]]),
    )
    assert read_vocabulary(folder, config)["merges"] == pairs


def test_ids_may_have_holes(config: ModelConfig, folder: Path) -> None:
    def change(t: dict[str, Any]) -> None:
        last = max(t["model"]["vocab"], key=lambda token: t["model"]["vocab"][token])
        t["model"]["vocab"][last] = 2000

    change_file(folder / "tokenizer.json", change)
    tokens = read_vocabulary(folder, config)["tokens"]
    assert len(tokens) == 2001
    assert tokens[1955:2000] == [""] * 45


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.update(normalizer=None),
        lambda t: t.update(post_processor=None),
        lambda t: t.update(truncation={"max_length": 3}, padding={"length": 7}),
        lambda t: t["model"].pop("byte_fallback"),
        lambda t: t["model"].update(continuing_subword_prefix=None, fuse_unk=True),
        lambda t: t["pre_tokenizer"]["pretokenizers"][1].pop("trim_offsets"),
    ],
)
def test_what_changes_no_ids_is_accepted(config: ModelConfig, folder: Path, change: Change) -> None:
    expected = read_vocabulary(folder, config)
    change_file(folder / "tokenizer.json", change)
    actual = read_vocabulary(folder, config)
    expected["normalizer"] = actual["normalizer"]
    assert actual == expected


TOKENIZER_LIES: list[tuple[Change, str]] = [
    (lambda t: t.update(normalizer={"type": "NFKC"}), "normalizer is {'type': 'NFKC'}"),
    (lambda t: t.update(post_processor={"type": "TemplateProcessing"}), "post_processor is"),
    (lambda t: t.update(pre_tokenizer={"type": "Whitespace"}), "pre_tokenizer is"),
    (lambda t: t["pre_tokenizer"]["pretokenizers"].pop(), "pre_tokenizer is"),
    (lambda t: t["pre_tokenizer"]["pretokenizers"][0].update(pattern={"Regex": r"\w+"}), "pre_tokenizer is"),
    (lambda t: t["pre_tokenizer"]["pretokenizers"][0].update(invert=True), "pre_tokenizer is"),
    (lambda t: t["pre_tokenizer"]["pretokenizers"][1].update(add_prefix_space=True), "pre_tokenizer is"),
    (lambda t: t.update(surprise=1), "surprise is 1"),
    (lambda t: t.pop("model"), "model.type is None"),
    (lambda t: t["model"].update(type="WordPiece"), "model.type is 'WordPiece'"),
    (lambda t: t["model"].update(byte_fallback=True), "model.byte_fallback is True"),
    (lambda t: t["model"].update(dropout=0.1), r"model.dropout is 0\.1"),
    (lambda t: t["model"].update(unk_token="?"), "model.unk_token is"),
    (lambda t: t["model"].update(end_of_word_suffix="</w>"), "model.end_of_word_suffix is"),
    (lambda t: t["model"].update(ignore_merges=True), "model.ignore_merges is True"),
    (lambda t: t["model"].update(novelty=1), "model.novelty is 1"),
    (lambda t: t["model"].update(vocab=[]), "model.vocab is no object"),
    (lambda t: t["model"]["vocab"].update({"!!!!x": 2048}), "the embedding table has 2048 rows"),
    (lambda t: t["model"]["vocab"].update({"!!!!x": True}), "the embedding table has 2048 rows"),
    (lambda t: t["model"]["vocab"].update({"!!!!x": 0}), "one id to two tokens"),
    (lambda t: t["model"]["vocab"].update({"a b": 2047}), "not written in the byte-level alphabet"),
    (lambda t: t["model"]["vocab"].update({"": 2047}), "not written in the byte-level alphabet"),
    (lambda t: t["model"]["vocab"].pop("!"), "no token for 1 of the 256 bytes"),
    (lambda t: t["model"].update(merges={}), "model.merges is no list"),
    (lambda t: t["model"]["merges"].append("a b c"), "expected two tokens"),
    (lambda t: t["model"]["merges"].append(["a", 1]), "expected two tokens"),
    (lambda t: t["model"]["merges"].append(["!", "zzzz"]), "'zzzz' is not in model.vocab"),
    (lambda t: t["model"]["merges"].append(t["model"]["merges"][0]), "a second time"),
    (lambda t: t.update(added_tokens=None), "added_tokens is no list"),
    (lambda t: t["added_tokens"].append(5), "is no object"),
    (lambda t: t["added_tokens"][0].update(content=""), r"added_tokens\[0\].content is ''"),
    (lambda t: t["added_tokens"][0].update(content="\ud800"), r"added_tokens\[0\].content is"),
    (lambda t: t["added_tokens"][0].update(id=2048), r"added_tokens\[0\].id is 2048"),
    (lambda t: t["added_tokens"][1].update(id=1956), "contradicts another token"),
    (lambda t: t["added_tokens"][0].update(content="!"), "contradicts another token"),
    (lambda t: t["added_tokens"][0].update(special=None), "special is neither true nor false"),
    (lambda t: t["added_tokens"][2].update(lstrip=True), r"added_tokens\[2\].lstrip is True"),
    (lambda t: t["added_tokens"][2].pop("normalized"), r"added_tokens\[2\].normalized is None"),
]
SETTINGS_LIES: list[tuple[Change, str]] = [
    (lambda s: s.update(pad_token=None), "pad_token is None"),
    (lambda s: s.update(pad_token="x"), "pad_token is 'x'"),
    (lambda s: s.update(add_bos_token=True), "add_bos_token is True"),
    (lambda s: s.update(split_special_tokens=True), "split_special_tokens is True"),
    (lambda s: s.update(tokenizer_class="T5Tokenizer"), "tokenizer_class is 'T5Tokenizer'"),
    (lambda s: s.update(extra_special_tokens=["<|new|>"]), "extra_special_tokens names a token"),
    (lambda s: s.update(added_tokens_decoder={"5": {"content": "<x>"}}), r"added_tokens_decoder\['5'\]"),
    (lambda s: s.update(added_tokens_decoder=[]), "added_tokens_decoder is no object"),
]


@pytest.mark.parametrize(("change", "message"), TOKENIZER_LIES)
def test_other_tokenizers_are_refused(
    config: ModelConfig, folder: Path, change: Change, message: str
) -> None:
    change_file(folder / "tokenizer.json", change)
    with pytest.raises(KleinbildError, match=r"tokenizer\.json: " + ".*" + message):
        read_vocabulary(folder, config)


@pytest.mark.parametrize(("change", "message"), SETTINGS_LIES)
def test_other_settings_are_refused(config: ModelConfig, folder: Path, change: Change, message: str) -> None:
    change_file(folder / "tokenizer_config.json", change)
    with pytest.raises(KleinbildError, match=r"tokenizer_config\.json: " + message):
        read_vocabulary(folder, config)


def test_settings_in_the_older_form_are_accepted(config: ModelConfig, folder: Path) -> None:
    source = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    expected = read_vocabulary(folder, config)
    decoder = {
        str(t["id"]): {key: value for key, value in t.items() if key != "id"} for t in source["added_tokens"]
    }
    change_file(
        folder / "tokenizer_config.json",
        lambda s: s.update(
            added_tokens_decoder=decoder,
            additional_special_tokens=["<|im_start|>"],
            pad_token={"content": "<|endoftext|>"},
            tokenizer_class="Qwen2Tokenizer",
        ),
    )
    assert read_vocabulary(folder, config) == expected


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b"\xff", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"[" * 10**5]
)
def test_broken_json_is_refused(config: ModelConfig, folder: Path, data: bytes) -> None:
    (folder / "tokenizer.json").write_bytes(data)
    with pytest.raises(KleinbildError, match=r"tokenizer\.json: (not valid JSON|expected a JSON object)"):
        read_vocabulary(folder, config)


def test_missing_file_is_named(config: ModelConfig, folder: Path) -> None:
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(KleinbildError, match=r"tokenizer_config\.json: cannot be read \(No such file"):
        read_vocabulary(folder, config)
