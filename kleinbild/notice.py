"""What a model's maker tells the people in front of it: one short text, in the languages its maker knows.

It travels from model_index.json through the bundle into manifest and index, and the page shows the visitor's
language or English. Which languages the page itself speaks is the catalogues' (package/catalogues.py).
"""

from __future__ import annotations

import re

from kleinbild.errors import KleinbildError

MAX_CHARACTERS = 2000
MAX_LANGUAGES = 32
FALLBACK = "en"
_LANGUAGE = re.compile(r"[a-z]{2,3}")

Notice = dict[str, str]
"""Texts by language, English among them; {} when there is nothing to tell."""


def read_notice(value: object, where: str) -> Notice:
    """The notice in a JSON value; a text alone is English, and "" is none.

    `where` names the value's place in the KleinbildError raised otherwise.
    """
    if isinstance(value, str):
        value = {FALLBACK: value} if value else {}
    if not isinstance(value, dict) or len(value) > MAX_LANGUAGES:
        raise KleinbildError(
            f"{where}: the notice is neither a text nor texts in up to {MAX_LANGUAGES} languages"
        )
    for language, text in value.items():
        if not isinstance(language, str) or not _LANGUAGE.fullmatch(language):
            raise KleinbildError(f'{where}: {str(language)[:40]!r} is no language of a notice; "en" is one')
        if not isinstance(text, str) or not 1 <= len(text) <= MAX_CHARACTERS:
            raise KleinbildError(f"{where}: the notice is no text of 1 to {MAX_CHARACTERS} characters")
        if not text.replace("\n", "").isprintable() or not text.strip():
            raise KleinbildError(f"{where}: the notice is empty or not printable")
    if value and FALLBACK not in value:
        raise KleinbildError(
            f'{where}: the notice is not there in "{FALLBACK}", which every other language falls back to'
        )
    return value
