"""Reading the JSON of a checkpoint, which is as trustworthy as the place it was downloaded from.

`parse_object` takes bytes and gives a dict or a KleinbildError: bounded size, no duplicate keys, no NaN.
`ConfigFile` wraps one config file, so that every complaint names the file and the key. What the keys mean
is not known here.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from io import BufferedReader
from pathlib import Path
from typing import Any

from kleinbild.errors import KleinbildError

CONFIG_MAX_BYTES = 4 << 20


class _Required:
    """Marks a key without a default."""


REQUIRED = _Required()


def parse_object(data: bytes, where: str) -> dict[str, Any]:
    """The JSON object in `data`; `where` names its place in the KleinbildError raised when it is not one."""
    try:
        value = json.loads(data, object_pairs_hook=_unique_keys, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise KleinbildError(f"{where}: not valid JSON ({error}); fetch the file again") from error
    if not isinstance(value, dict):
        raise KleinbildError(f"{where}: expected a JSON object; fetch the file again")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice!r} occurs twice")
    return values


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """The content of a regular file of at most `max_bytes`; raises KleinbildError naming it otherwise."""
    if not path.is_file():
        raise KleinbildError(f"{path}: no such file; a whole FLUX.2 Klein checkpoint has it")
    with open_binary(path) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise KleinbildError(f"{path}: larger than {max_bytes} bytes, which no such file is; fetch it again")
    return data


def open_binary(path: Path) -> BufferedReader:
    """`path` opened for reading; raises KleinbildError naming it when the system refuses."""
    try:
        return path.open("rb")
    except OSError as error:
        raise KleinbildError(f"{path}: cannot be read ({error.strerror}); make it readable") from error


class ConfigFile:
    """One config file: typed access to its keys, complaints that name file and key."""

    def __init__(self, path: Path, values: dict[str, Any]) -> None:
        self.path = path
        self.values = values

    @staticmethod
    def read(path: Path) -> ConfigFile:
        """The config file at `path`; raises KleinbildError when it is missing, too large or no JSON
        object.
        """
        return ConfigFile(path, parse_object(read_bytes(path, CONFIG_MAX_BYTES), str(path)))

    def error(self, key: str, complaint: str) -> KleinbildError:
        """An error to raise: `complaint` about `key`, with the key's value when it is short."""
        value = json.dumps(self.values[key]) if key in self.values else "missing"
        return KleinbildError(f'{self.path}: "{key}" is {_shorten(value)}: {complaint}')

    def get(self, key: str, default: object = REQUIRED) -> Any:
        """The raw value of `key`, or its default when the key is absent."""
        if key in self.values:
            return self.values[key]
        if default is REQUIRED:
            raise KleinbildError(
                f'{self.path}: "{key}" is missing; '
                "a config.json saved by diffusers or transformers has it, so fetch the original file"
            )
        return default

    def require(
        self, key: str, allowed: Sequence[object], complaint: str, default: object = REQUIRED
    ) -> object:
        """The value of `key`, which must be one of `allowed` (same type too: true is not 1)."""
        value = self.get(key, default)
        if not any(type(value) is type(a) and value == a for a in allowed):
            raise self.error(key, complaint)
        return value

    def integer(self, key: str, low: int, high: int, default: int | _Required = REQUIRED) -> int:
        """The value of `key`, an integer in [low, high]."""
        value = self.get(key, default)
        if type(value) is not int or not low <= value <= high:
            raise self.error(key, f"expected an integer from {low} to {high}")
        return value

    def number(self, key: str, default: float | _Required = REQUIRED) -> float:
        """The value of `key`, a finite number above zero."""
        value = self.get(key, default)
        if not is_positive_number(value):
            raise self.error(key, "expected a number above zero")
        return float(value)

    def integers(
        self, key: str, low: int, high: int, default: Sequence[int] | _Required = REQUIRED
    ) -> tuple[int, ...]:
        """The value of `key`, a list of integers in [low, high]."""
        value = self.get(key, default)
        if not isinstance(value, list | tuple) or not all(type(v) is int and low <= v <= high for v in value):
            raise self.error(key, f"expected a list of integers from {low} to {high}")
        return tuple(value)

    def text(self, key: str, max_length: int, default: str | _Required = REQUIRED) -> str:
        """The value of `key`, a string of printable characters and line feeds."""
        value = self.get(key, default)
        if not isinstance(value, str) or len(value) > max_length:
            raise self.error(key, f"expected a text of at most {max_length} characters")
        if not value.replace("\n", "").isprintable():
            raise self.error(key, "expected a text without control characters")
        return value


def is_positive_number(value: object) -> bool:
    """Whether `value` is an int or float (no bool) that is finite as a float and above zero."""
    if type(value) is int:
        return 0 < value < 1 << 53
    return type(value) is float and math.isfinite(value) and value > 0


def _shorten(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
