"""The operator file: how a kiosk behaves, as JSON, checked field by field before anything is started.

It is treated as hostile: bounded in bytes and counts, every type and range checked, unknown fields refused (a
misspelt "idle_second" would otherwise go unnoticed). docs/kiosk.md is its reference; a test
keeps the two equal.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

from kleinbild.server.kiosk.fields import Fields, OperatorFileError, lan_address
from kleinbild.server.kiosk.pin import HASH_ADVICE, MAX_PIN_DIGITS, MIN_PIN_DIGITS, PinHash

SCHEMA = 1
MAX_FILE_BYTES = 256 * 1024
MAX_WORDS, MAX_WORD_CHARS = 2000, 64
MAX_CARDS, MAX_TITLE_CHARS, MAX_PROMPT_CHARS = 24, 60, 2000
MAX_SIZES, MIN_SIDE, MAX_SIDE, SIDE_MULTIPLE = 8, 64, 2048, 16
MAX_STEPS = 100
MAX_SEED = 2**64 - 1
LANGUAGES = ("en", "de", "ar")
DEFAULT_SIZE = "512x512"
_SIZE = re.compile(r"([0-9]{2,4})x([0-9]{2,4})")


@dataclass(frozen=True)
class Card:
    """A prompt to choose by touch. seed None: another one every time. size None: the visitor's choice."""

    title: dict[str, str]  # by language; "" stands for every language without an own one
    prompt: str
    size: str | None
    seed: int | None


@dataclass(frozen=True)
class TakeHome:
    """Where, how long (seconds) and how often a picture may be fetched from the LAN."""

    address: IPv4Address | IPv6Address
    port: int
    seconds: int
    downloads: int
    qr: bool


@dataclass(frozen=True)
class Operator:
    """A checked operator file.

    attract and keep_pictures are folders, memory_gb is of the GPU's. None stands for the model's own number
    of steps, and for what the GPU's facts suggest.
    """

    pin: PinHash | None
    languages: tuple[str, ...]
    idle_seconds: int
    countdown_seconds: int
    refused_words: tuple[str, ...]
    cards: tuple[Card, ...]
    own_prompts: bool
    sizes: tuple[str, ...]
    steps: int | None
    memory_gb: float | None
    attract: Path | None
    keep_pictures: Path | None
    take_home: TakeHome | None


def read_operator_file(path: Path) -> bytes:
    """The bytes of the operator file. Raises OperatorFileError when it cannot be read or is too large."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise OperatorFileError(f"{path}: cannot be read ({error.strerror})") from None
    if len(data) > MAX_FILE_BYTES:
        raise OperatorFileError(f"{path}: larger than {MAX_FILE_BYTES} bytes, which no operator file is")
    return data


def parse_operator_file(data: bytes, path: Path) -> Operator:
    """The operator's wishes in `data`, the contents of `path`; folders in it are relative to its own.

    Raises OperatorFileError naming file and field.
    """
    fields = Fields(_document(data, path), str(path))
    if fields.integer("schema", SCHEMA, 0, 1 << 30) != SCHEMA:
        raise OperatorFileError(f"{path}: schema must be {SCHEMA}")
    languages = _languages(fields)
    sizes = fields.strings("sizes", (DEFAULT_SIZE,), MAX_SIZES, 9)
    for size in sizes:
        check_size(size, f"{path}: sizes")
    if not sizes:
        raise OperatorFileError(f"{path}: sizes must name at least one")
    cards = tuple(
        _card(Fields(record, f"{path}: cards[{index}]"), languages)
        for index, record in enumerate(fields.objects("cards", MAX_CARDS))
    )
    own_prompts = fields.boolean("own_prompts", True)
    if not own_prompts and not cards:
        raise OperatorFileError(f"{path}: without own_prompts there must be cards, or nothing can be made")
    keep = fields.folder("keep_pictures", path.parent)
    operator = Operator(
        pin=_pin(fields, path),
        languages=languages,
        idle_seconds=fields.integer("idle_seconds", 90, 5, 3600),
        countdown_seconds=fields.integer("countdown_seconds", 15, 3, 60),
        refused_words=fields.strings("refused_words", (), MAX_WORDS, MAX_WORD_CHARS),
        cards=cards,
        own_prompts=own_prompts,
        sizes=sizes,
        steps=fields.optional_integer("steps", 1, MAX_STEPS),
        memory_gb=fields.optional_number("memory_gb", 0.5, 1024),
        attract=_attract(fields, path, keep),
        keep_pictures=keep,
        take_home=_take_home(fields, path),
    )
    fields.done()
    return operator


def check_size(size: str, where: str) -> tuple[int, int]:
    """Width and height of "512x512". Raises OperatorFileError unless both are sides a picture can have."""
    match = _SIZE.fullmatch(size)
    sides = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(MIN_SIDE <= side <= MAX_SIDE and side % SIDE_MULTIPLE == 0 for side in sides):
        raise OperatorFileError(
            f"{where}: {size!r} is no size; write WIDTHxHEIGHT, multiples of {SIDE_MULTIPLE} "
            f"from {MIN_SIDE} to {MAX_SIDE}"
        )
    return sides


def _document(data: bytes, path: Path) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        record = dict(pairs)
        if len(record) != len(pairs):
            raise OperatorFileError(f"{path}: a field stands there twice")
        return record

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=unique)
    except UnicodeDecodeError:
        raise OperatorFileError(f"{path}: not UTF-8") from None
    except json.JSONDecodeError as error:
        raise OperatorFileError(
            f"{path}: no valid JSON (line {error.lineno}, column {error.colno}: {error.msg})"
        ) from None
    except (ValueError, RecursionError):  # a number of thousands of digits, or a pit of brackets
        raise OperatorFileError(f"{path}: no valid JSON") from None
    if not isinstance(value, dict):
        raise OperatorFileError(f"{path}: must be a JSON object")
    return value


def _languages(fields: Fields) -> tuple[str, ...]:
    languages = fields.strings("languages", LANGUAGES, len(LANGUAGES), 2)
    if not languages or len(set(languages)) != len(languages) or not set(languages) <= set(LANGUAGES):
        raise OperatorFileError(f"{fields.where}: languages must be one or more of {', '.join(LANGUAGES)}")
    return languages


def _pin(fields: Fields, path: Path) -> PinHash | None:
    plain, hashed = fields.optional_string("pin", MAX_PIN_DIGITS), fields.optional_string("pin_hash", 200)
    if plain is not None and hashed is not None:
        raise OperatorFileError(f"{path}: pin and pin_hash exclude each other")
    if plain is not None:
        if not (plain.isascii() and plain.isdigit() and len(plain) >= MIN_PIN_DIGITS):
            raise OperatorFileError(
                f"{path}: pin must be a text of {MIN_PIN_DIGITS} to {MAX_PIN_DIGITS} digits"
            )
        return PinHash.of(plain)
    if hashed is None:
        return None
    try:
        return PinHash.parse(hashed)
    except ValueError as error:
        raise OperatorFileError(f"{path}: pin_hash {error}; {HASH_ADVICE}") from None


def _card(fields: Fields, languages: tuple[str, ...]) -> Card:
    title = fields.texts("title", languages, MAX_TITLE_CHARS)
    prompt = fields.string("prompt", MAX_PROMPT_CHARS)
    size = fields.optional_string("size", 9)
    if size is not None:
        check_size(size, fields.where)
    seed = fields.integer_or_word("seed", "random", 0, MAX_SEED)
    fields.done()
    return Card(title, prompt, size, seed)


def _attract(fields: Fields, path: Path, keep: Path | None) -> Path | None:
    """The folder whose pictures the screen shows while nobody is there; None: none."""
    if fields.peek("attract") != "recent":
        folder = fields.folder("attract", path.parent)
        if folder is not None and not folder.is_dir():
            raise OperatorFileError(f"{path}: attract: {folder} is no folder")
        return folder
    fields.optional_string("attract", 6)
    if keep is None:
        raise OperatorFileError(f'{path}: attract "recent" needs keep_pictures, the folder they are kept in')
    return keep


def _take_home(fields: Fields, path: Path) -> TakeHome | None:
    record = fields.optional_object("take_home")
    if record is None:
        return None
    inner = Fields(record, f"{path}: take_home")
    found = TakeHome(
        address=lan_address(inner.string("address", 60), inner.where),
        port=inner.integer("port", 8090, 0, 65535),
        seconds=inner.integer("minutes", 10, 1, 24 * 60) * 60,
        downloads=inner.integer("downloads", 5, 1, 100),
        qr=inner.boolean("qr", True),
    )
    inner.done()
    return found
