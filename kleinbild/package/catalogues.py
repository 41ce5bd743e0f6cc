"""The page's words: a folder a language below i18n/, a flat JSON file an area, joined to one catalogue each.

A value is a string with {holes}, or an object of plural forms that {count} chooses by the language's rules.
Which keys there are is for those who write the page; a test holds that all languages have the same ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kleinbild.errors import KleinbildError
from kleinbild.package.files import read_json

MAX_CATALOGUE_BYTES = 1024 * 1024
FALLBACK = "en"
RIGHT_TO_LEFT = frozenset({"ar"})
PLURAL_FORMS = {
    "en": frozenset({"one", "other"}),
    "de": frozenset({"one", "other"}),
    "ar": frozenset({"zero", "one", "two", "few", "many", "other"}),
}
"""The languages in the order of the menu, with the plural forms that each distinguishes."""
_KEY = re.compile(r"[a-z0-9_]+(\.[a-z0-9_-]+)+")

Text = str | Mapping[str, str]


@dataclass(frozen=True)
class Catalogue:
    """All words of one language by key, and its name in itself."""

    language: str
    words: Mapping[str, Text]

    @property
    def direction(self) -> str:
        """ "rtl" or "ltr", as HTML's `dir` wants it."""
        return "rtl" if self.language in RIGHT_TO_LEFT else "ltr"

    @property
    def name(self) -> str:
        """What the language calls itself."""
        return self.plain("shell.language_name")

    def plain(self, key: str) -> str:
        """The text of `key`. Raises KleinbildError when there is none, or one with plural forms."""
        text = self.words.get(key)
        if not isinstance(text, str):
            raise KleinbildError(f"i18n/{self.language}: {key!r} is no plain text; add it to its area's file")
        return text

    def json(self) -> bytes:
        """The catalogue as the page fetches it."""
        return json.dumps(self.words, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def read_catalogues(folder: Path) -> list[Catalogue]:
    """The catalogues below `folder` (i18n/) in the order of the menu.

    Raises KleinbildError when a language is unknown or English missing, and for a file that is no catalogue.
    """
    found = {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()
    if FALLBACK not in found:
        raise KleinbildError(f"{folder / FALLBACK}: missing; run build.py from a whole source tree")
    if unknown := sorted(found - PLURAL_FORMS.keys()):
        raise KleinbildError(f"{folder / unknown[0]}: give the language a place in PLURAL_FORMS first")
    return [
        Catalogue(language, _read_language(folder / language))
        for language in PLURAL_FORMS
        if language in found
    ]


def _read_language(folder: Path) -> dict[str, Text]:
    words: dict[str, Text] = {}
    for path in sorted(folder.glob("*.json")):
        words.update(_read_area(path, PLURAL_FORMS[folder.name]))
    return words


def _read_area(path: Path, forms: frozenset[str]) -> dict[str, Text]:
    area = read_json(path, MAX_CATALOGUE_BYTES)
    for key, text in area.items():
        if not _KEY.fullmatch(key) or not key.startswith(f"{path.stem}."):
            raise KleinbildError(f'{path}: {key!r} is no key of this area: write "{path.stem}.<name>"')
        values = text.values() if isinstance(text, dict) else [text]
        if not all(isinstance(value, str) for value in values):
            raise KleinbildError(f"{path}: {key}: expected a text or an object of plural forms")
        if isinstance(text, dict) and text.keys() != forms:
            raise KleinbildError(f"{path}: {key}: the plural forms here are {', '.join(sorted(forms))}")
    return area
