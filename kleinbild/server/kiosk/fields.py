"""Typed fields of a JSON object from elsewhere: each is read once, within bounds, and leftovers are told."""

from __future__ import annotations

import unicodedata
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

from kleinbild.errors import KleinbildError

EX_CONFIG = 78  # of sysexits.h: systemd is told not to try again
MAX_QUOTED_CHARS = 40
MAX_PATH_CHARS = 1024


class OperatorFileError(KleinbildError):
    """The operator file cannot be used: starting again does not help until it is mended."""

    exit_status = EX_CONFIG


class Fields:
    """The fields of `record`, which stands at `where`. Every method raises OperatorFileError."""

    def __init__(self, record: dict[str, Any], where: str) -> None:
        self.where = where
        self._left = dict(record)

    def peek(self, name: str) -> Any:
        """The raw value, still to be read."""
        return self._left.get(name)

    def done(self) -> None:
        """Refuse what nobody has read."""
        if self._left:
            raise OperatorFileError(f"{self.where}: unknown field {_quoted(next(iter(self._left)))}")

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        value = self._left.pop(name, default)
        if type(value) is not int or not least <= value <= most:
            raise self._error(name, f"must be a whole number from {least} to {most}")
        return value

    def optional_integer(self, name: str, least: int, most: int) -> int | None:
        if self._left.get(name) is None:
            self._left.pop(name, None)
            return None
        return self.integer(name, least, least, most)

    def optional_number(self, name: str, least: float, most: float) -> float | None:
        value = self._left.pop(name, None)
        if value is not None and (type(value) not in (int, float) or not least <= value <= most):
            raise self._error(name, f"must be a number from {least:g} to {most:g}")
        return None if value is None else float(value)

    def integer_or_word(self, name: str, word: str, least: int, most: int) -> int | None:
        """A whole number, or None for `word` or nothing."""
        value = self._left.pop(name, word)
        if value == word:
            return None
        if type(value) is not int or not least <= value <= most:
            raise self._error(name, f'must be "{word}" or a whole number from {least} to {most}')
        return value

    def boolean(self, name: str, default: bool) -> bool:
        value = self._left.pop(name, default)
        if type(value) is not bool:
            raise self._error(name, "must be true or false")
        return value

    def string(self, name: str, most: int) -> str:
        value = self._left.pop(name, None)
        return self._text(name, value, most)

    def optional_string(self, name: str, most: int) -> str | None:
        value = self._left.pop(name, None)
        return None if value is None else self._text(name, value, most)

    def strings(self, name: str, default: tuple[str, ...], most: int, most_chars: int) -> tuple[str, ...]:
        value = self._left.pop(name, list(default))
        if not isinstance(value, list) or len(value) > most:
            raise self._error(name, f"must be a list of at most {most} texts")
        return tuple(self._text(f"{name}[{index}]", text, most_chars) for index, text in enumerate(value))

    def texts(self, name: str, languages: tuple[str, ...], most: int) -> dict[str, str]:
        """One text (key ""), or one for every language of the kiosk."""
        value = self._left.pop(name, None)
        if not isinstance(value, dict):
            return {"": self._text(name, value, most)}
        if set(value) != set(languages):
            raise self._error(name, f"must be a text, or one for each of {', '.join(languages)}")
        return {language: self._text(f"{name}.{language}", value[language], most) for language in languages}

    def objects(self, name: str, most: int) -> list[dict[str, Any]]:
        value = self._left.pop(name, [])
        if not isinstance(value, list) or len(value) > most or not all(isinstance(v, dict) for v in value):
            raise self._error(name, f"must be a list of at most {most} objects")
        return value

    def optional_object(self, name: str) -> dict[str, Any] | None:
        value = self._left.pop(name, None)
        if value is not None and not isinstance(value, dict):
            raise self._error(name, "must be an object")
        return value

    def folder(self, name: str, base: Path) -> Path | None:
        """A folder, relative to `base`; None for nothing."""
        text = self.optional_string(name, MAX_PATH_CHARS)
        return None if text is None else base / Path(text).expanduser()

    def _text(self, name: str, value: object, most: int) -> str:
        if not isinstance(value, str) or not 0 < len(value.strip()) <= most or len(value) > most:
            raise self._error(name, f"must be a text of 1 to {most} characters")
        # Control characters, and half of a surrogate pair, which is no text at all.
        if any(unicodedata.category(c) in ("Cc", "Cs") for c in value):
            raise self._error(name, "holds characters that are no text")
        return value

    def _error(self, name: str, reason: str) -> OperatorFileError:
        return OperatorFileError(f"{self.where}: {name} {reason}")


def lan_address(text: str, where: str) -> IPv4Address | IPv6Address:
    """The address of one interface. Raises OperatorFileError for names, "everywhere" and the like."""
    try:
        address = ip_address(text)
    except ValueError:
        raise OperatorFileError(
            f"{where}: address {_quoted(text)} must be this machine's address in the LAN, as 192.168.1.20"
        ) from None
    if address.is_unspecified or address.is_multicast or (address.version == 4 and address.is_global):
        raise OperatorFileError(
            f"{where}: address {text} must be one of this machine in the LAN, not everywhere or public"
        )
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise OperatorFileError(f"{where}: address {text} has a zone, which no telephone can follow")
    return address


def _quoted(text: str) -> str:
    return repr(text if len(text) <= MAX_QUOTED_CHARS else text[:MAX_QUOTED_CHARS] + "...")
