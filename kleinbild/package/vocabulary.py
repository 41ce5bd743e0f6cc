"""A tokenizer folder as the vocabulary file that the page's tokenizer reads (schema 1).

The page implements exactly one tokenizer: byte-level BPE with the Qwen2 split pattern, after NFC or nothing.
Anything in tokenizer.json or tokenizer_config.json that would make the reference library do something else is
refused here by the name of its key, because the page would quietly compute other pictures. Keys that only
concern decoding, offsets, or the caller's own truncation and padding are ignored.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kleinbild.config import ModelConfig
from kleinbild.errors import KleinbildError
from kleinbild.package.character_classes import character_classes
from kleinbild.package.files import read_json

SCHEMA = 1
TOKENIZER_MAX_BYTES = 64 * 1024 * 1024
CONFIG_MAX_BYTES = 4 * 1024 * 1024
MAX_ADDED_TOKENS = 4096
MAX_ADDED_CHARACTERS = 256
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PRE_TOKENIZER = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": QWEN2_SPLIT}, "behavior": "Isolated", "invert": False},
        {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
    ],
}
ADDED_FLAGS = ("single_word", "lstrip", "rstrip", "normalized")
# tokenizer.json's keys for what happens outside encoding a prompt
IGNORED_KEYS = {"version", "truncation", "padding", "decoder"}
# model key -> the values under which it changes nothing
NEUTRAL_MODEL_KEYS: dict[str, tuple[object, ...]] = {
    "dropout": (None,),
    "unk_token": (None,),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "fuse_unk": (False, True),
    "byte_fallback": (None, False),
    "ignore_merges": (None, False),
}
NEUTRAL_CONFIG_KEYS: dict[str, tuple[object, ...]] = {
    "add_prefix_space": (None, False),
    "add_bos_token": (None, False),
    "add_eos_token": (None, False),
    "split_special_tokens": (None, False),
    "do_lower_case": (None, False),
    "tokenizer_class": (
        None,
        "Qwen2Tokenizer",
        "Qwen2TokenizerFast",
        "PreTrainedTokenizerFast",
        "TokenizersBackend",
    ),
}


def byte_level_alphabet() -> frozenset[str]:
    """The 256 characters that stand for bytes: printable Latin-1 as itself, the rest from U+0100 upwards."""
    return frozenset(_byte_characters().values())


def byte_level_text(text: str) -> str:
    """`text` as tokens spell it: a character of the byte-level alphabet for each byte of its UTF-8."""
    characters = _byte_characters()
    return "".join(characters[byte] for byte in text.encode("utf-8", "replace"))


def _byte_characters() -> dict[int, str]:
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}


def read_vocabulary(folder: Path, config: ModelConfig) -> dict[str, Any]:
    """The vocabulary of the tokenizer in `folder`, as JSON values.

    Raises KleinbildError naming file and key for a tokenizer that the page does not implement, that
    contradicts itself, or whose ids reach past the embedding table.
    """
    path = folder / "tokenizer.json"
    tokenizer = read_json(path, TOKENIZER_MAX_BYTES)
    try:
        vocabulary = _from_tokenizer(tokenizer, config)
    except KleinbildError as error:
        raise KleinbildError(f"{path}: {error}") from None
    config_path = folder / "tokenizer_config.json"
    settings = read_json(config_path, CONFIG_MAX_BYTES)
    try:
        vocabulary["pad_id"] = _check_settings(settings, vocabulary)
    except KleinbildError as error:
        raise KleinbildError(f"{config_path}: {error}") from None
    return vocabulary


def vocabulary_bytes(vocabulary: dict[str, Any]) -> bytes:
    """The vocabulary file: the same bytes for the same vocabulary."""
    return json.dumps(vocabulary, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _from_tokenizer(tokenizer: dict[str, Any], config: ModelConfig) -> dict[str, Any]:
    normalizer = tokenizer.get("normalizer")
    if normalizer not in (None, {"type": "NFC"}):
        raise _refusal("normalizer", normalizer)
    _check_pre_tokenizer(tokenizer.get("pre_tokenizer"))
    post_processor = tokenizer.get("post_processor")
    if post_processor is not None and _type(post_processor) != "ByteLevel":
        raise _refusal("post_processor", post_processor)
    known = {*IGNORED_KEYS, "normalizer", "pre_tokenizer", "post_processor", "model", "added_tokens"}
    for key in tokenizer.keys() - known:
        raise _refusal(key, tokenizer[key])
    model = tokenizer.get("model")
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE":
        raise _refusal("model.type", _type(model))
    for key in model.keys() - {"type", "vocab", "merges"}:
        if not _is_one_of(model[key], NEUTRAL_MODEL_KEYS.get(key, ())):
            raise _refusal(f"model.{key}", model[key])
    ids = _read_ids(model.get("vocab"), config.text_encoder.vocab_size)
    return {
        "schema": SCHEMA,
        "normalizer": "" if normalizer is None else "NFC",
        "split": "qwen2",
        "classes": {name: list(ranges) for name, ranges in character_classes().items()},
        "tokens": _read_tokens(ids),
        "merges": _read_merges(model.get("merges"), ids),
        "added": _read_added(tokenizer.get("added_tokens"), ids, config.text_encoder.vocab_size),
        "template": {"prefix": config.prompt.template_prefix, "suffix": config.prompt.template_suffix},
        "pad_id": 0,
        "max_length": config.prompt.text_seq_len,
    }


def _check_pre_tokenizer(value: object) -> None:
    """Accepts PRE_TOKENIZER; trim_offsets does not change what is encoded."""
    if isinstance(value, dict) and isinstance(value.get("pretokenizers"), list):
        steps = [
            {key: v for key, v in step.items() if key != "trim_offsets"} if isinstance(step, dict) else step
            for step in value["pretokenizers"]
        ]
        value = {**value, "pretokenizers": steps}
    if value != PRE_TOKENIZER:
        raise _refusal("pre_tokenizer", value)


def _read_ids(vocab: object, vocab_size: int) -> dict[str, int]:
    if not isinstance(vocab, dict) or not vocab:
        raise KleinbildError("model.vocab is no object of tokens")
    alphabet = byte_level_alphabet()
    for token, id_ in vocab.items():
        if type(id_) is not int or not 0 <= id_ < vocab_size:
            raise KleinbildError(
                f"model.vocab[{_shorten(token)}] is {_shorten(id_)}; "
                f"the embedding table has {vocab_size} rows"
            )
        if not token or not alphabet.issuperset(token):
            raise KleinbildError(f"model.vocab: {_shorten(token)} is not written in the byte-level alphabet")
    if len(set(vocab.values())) != len(vocab):
        raise KleinbildError("model.vocab gives one id to two tokens")
    missing = alphabet - vocab.keys()
    if missing:
        raise KleinbildError(f"model.vocab has no token for {len(missing)} of the 256 bytes")
    return vocab


def _read_tokens(ids: dict[str, int]) -> list[str]:
    tokens = [""] * (max(ids.values()) + 1)
    for token, id_ in ids.items():
        tokens[id_] = token
    return tokens


def _read_merges(merges: object, ids: dict[str, int]) -> list[int]:
    """Ids of left and right half, flattened, best rank first; a merge is "a b" or ["a", "b"]."""
    if not isinstance(merges, list):
        raise KleinbildError("model.merges is no list")
    pairs: dict[tuple[int, int], None] = {}
    for rank, merge in enumerate(merges):
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(half, str) for half in pair):
            raise KleinbildError(f"model.merges[{rank}] is {_shorten(merge)}; expected two tokens")
        left, right = pair
        for token in (left, right, left + right):
            if token not in ids:
                raise KleinbildError(f"model.merges[{rank}]: {_shorten(token)} is not in model.vocab")
        pairs[ids[left], ids[right]] = None
        if len(pairs) != rank + 1:
            raise KleinbildError(f"model.merges[{rank}] merges {_shorten(merge)} a second time")
    return [id_ for pair in pairs for id_ in pair]


def _read_added(added: object, ids: dict[str, int], vocab_size: int) -> list[dict[str, Any]]:
    if not isinstance(added, list) or len(added) > MAX_ADDED_TOKENS:
        raise KleinbildError(f"added_tokens is no list of at most {MAX_ADDED_TOKENS} tokens")
    taken = {id_: token for token, id_ in ids.items()}
    result: dict[str, dict[str, Any]] = {}
    for i, token in enumerate(added):
        where = f"added_tokens[{i}]"
        if not isinstance(token, dict):
            raise KleinbildError(f"{where} is no object")
        content, id_ = token.get("content"), token.get("id")
        if not isinstance(content, str) or not 0 < len(content) <= MAX_ADDED_CHARACTERS or _broken(content):
            raise KleinbildError(f"{where}.content is {_shorten(content)}; expected a short text")
        if type(id_) is not int or not 0 <= id_ < vocab_size:
            raise KleinbildError(f"{where}.id is {_shorten(id_)}; the embedding table has {vocab_size} rows")
        if content in result or taken.get(id_, content) != content or ids.get(content, id_) != id_:
            raise KleinbildError(f"{where}: {content!r} with id {id_} contradicts another token")
        taken[id_] = content
        if type(token.get("special")) is not bool:
            raise KleinbildError(f"{where}.special is neither true nor false")
        for flag in ADDED_FLAGS:
            if token.get(flag) is not False:
                raise _refusal(f"{where}.{flag}", token.get(flag))
        flags = {"special": token["special"], **dict.fromkeys(ADDED_FLAGS, False)}
        result[content] = {"id": id_, "content": content, **flags}
    return sorted(result.values(), key=lambda token: int(token["id"]))


def _check_settings(settings: dict[str, Any], vocabulary: dict[str, Any]) -> int:
    """The id of the padding token; refuses settings under which the tokenizer would act differently."""
    for key, allowed in NEUTRAL_CONFIG_KEYS.items():
        if not _is_one_of(settings.get(key), allowed):
            raise _refusal(key, settings[key])
    added = {token["content"]: token for token in vocabulary["added"]}
    decoder = settings.get("added_tokens_decoder", {})
    if not isinstance(decoder, dict):
        raise KleinbildError("added_tokens_decoder is no object")
    for id_, token in decoder.items():
        known = added.get(_content(token))
        flags = ("special", *ADDED_FLAGS)
        if known is None or str(known["id"]) != id_ or any(known[f] is not token.get(f) for f in flags):
            raise KleinbildError(f"added_tokens_decoder[{_shorten(id_)}] is not as in tokenizer.json")
    for key in ("extra_special_tokens", "additional_special_tokens"):
        value = settings.get(key) or []
        tokens = list(value.values()) if isinstance(value, dict) else value
        if not isinstance(tokens, list) or any(_content(token) not in added for token in tokens):
            raise KleinbildError(f"{key} names a token that tokenizer.json does not add")
    pad_token = _content(settings.get("pad_token"))
    if pad_token not in added:
        raise KleinbildError(
            f"pad_token is {_shorten(settings.get('pad_token'))}, none of tokenizer.json's added tokens"
        )
    return int(added[pad_token]["id"])


def _content(token: object) -> str:
    """The text of a token that is given as text or as an object with "content"; "" for anything else."""
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else ""


def _type(value: object) -> object:
    return value.get("type") if isinstance(value, dict) else value


def _broken(text: str) -> bool:
    """Whether `text` holds half a surrogate pair, which JSON can spell and UTF-8 cannot."""
    return any(0xD800 <= ord(character) < 0xE000 for character in text)


def _is_one_of(value: object, allowed: tuple[object, ...]) -> bool:
    return any(value == a and type(value) is type(a) for a in allowed)


def _refusal(key: str, value: object) -> KleinbildError:
    return KleinbildError(
        f"{key} is {_shorten(value)}, which the page's tokenizer does not implement; "
        "use the tokenizer that belongs to FLUX.2 Klein (Qwen3)"
    )


def _shorten(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 120 else text[:117] + "..."
