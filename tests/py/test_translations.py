"""The site's own catalogues: equal keys and holes in every language, and every key that the code names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kleinbild.package.catalogues import PLURAL_FORMS, Catalogue, Text, read_catalogues

PROJECT = Path(__file__).parents[2]
CATALOGUES = read_catalogues(PROJECT / "site" / "i18n")
ENGLISH = CATALOGUES[0]
HOLE = re.compile(r"\{(\w+)\}")
# A key in the page's code: in quotes, of a known area. What follows a template's ${ is not seen here.
AREAS = sorted({key.partition(".")[0] for key in ENGLISH.words})
NAMED = re.compile(rf"""["'`:]((?:{"|".join(AREAS)})\.[a-z0-9_.-]+)(?=["'`;])""")


def holes(text: Text) -> set[str]:
    """What stands in braces; `count` may be left to the words of a form, such as "one picture"."""
    if isinstance(text, str):
        return set(HOLE.findall(text))
    return {hole for form in text.values() for hole in HOLE.findall(form)} - {"count"}


def test_every_language_is_there() -> None:
    assert [catalogue.language for catalogue in CATALOGUES] == list(PLURAL_FORMS)


@pytest.mark.parametrize("catalogue", CATALOGUES[1:], ids=lambda catalogue: str(catalogue.language))
def test_catalogues_are_equal(catalogue: Catalogue) -> None:
    assert catalogue.words.keys() == ENGLISH.words.keys()
    for key, text in catalogue.words.items():
        english = ENGLISH.words[key]
        assert isinstance(text, str) == isinstance(english, str), f"{key}: plural forms in one language only"
        assert holes(text) == holes(english), key


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda catalogue: str(catalogue.language))
def test_every_text_has_words_and_no_markup(catalogue: Catalogue) -> None:
    for key, text in catalogue.words.items():
        for form in [text] if isinstance(text, str) else text.values():
            assert form.strip() == form != "", key
            assert "<" not in form, f"{key}: markup does not belong into words"


def test_translations_are_translated() -> None:
    """A text may be the same in two languages (a name, a unit), but not most of them."""
    for catalogue in CATALOGUES[1:]:
        same = [key for key, text in catalogue.words.items() if text == ENGLISH.words[key]]
        assert len(same) < 0.1 * len(ENGLISH.words), same


def test_german_says_sie() -> None:
    german = next(catalogue for catalogue in CATALOGUES if catalogue.language == "de")
    familiar = re.compile(r"\b(du|dich|dir|dein\w*|wähle|nimm|öffne|schließe|lade|sieh)\b", re.IGNORECASE)
    found = {key: text for key, text in german.words.items() if familiar.search(str(text))}
    assert not found


def test_every_key_that_the_code_names_exists() -> None:
    named: dict[str, str] = {}
    for folder, pattern in (("src_js/app", "*.js"), ("site", "*.j2")):
        for path in sorted((PROJECT / folder).rglob(pattern)):
            for key in NAMED.findall(path.read_text(encoding="utf-8")):
                named[key] = path.name
    assert len(named) > 50
    missing = {key: where for key, where in named.items() if key not in ENGLISH.words}
    assert not missing
