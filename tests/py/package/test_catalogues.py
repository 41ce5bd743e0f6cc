"""Reading the page's words: what is a catalogue, and what is refused with its reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kleinbild.errors import KleinbildError
from kleinbild.package.catalogues import read_catalogues


def write(folder: Path, language: str, **areas: object) -> Path:
    for name, area in areas.items():
        path = folder / language / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(area if isinstance(area, str) else json.dumps(area))
    return folder


def test_areas_are_joined_and_languages_come_in_the_menus_order(tmp_path: Path) -> None:
    write(tmp_path, "ar", shell={"shell.language_name": "العربية"})
    write(tmp_path, "en", shell={"shell.language_name": "English"}, make={"make.title": "Make"})
    english, arabic = read_catalogues(tmp_path)
    assert (english.language, english.direction, english.name) == ("en", "ltr", "English")
    assert (arabic.language, arabic.direction, arabic.name) == ("ar", "rtl", "العربية")
    assert json.loads(english.json()) == {"make.title": "Make", "shell.language_name": "English"}


@pytest.mark.parametrize(
    ("area", "reason"),
    [
        ("{", "not valid JSON"),
        ([], "expected a JSON object"),
        ('{"make.a": "1", "make.a": "2"}', "a key occurs twice"),
        ({"gallery.a": "1"}, "no key of this area"),
        ({"make": "1"}, "no key of this area"),
        ({"make.A b": "1"}, "no key of this area"),
        ({"make.a": 1}, "expected a text"),
        ({"make.a": {"one": 1, "other": ""}}, "expected a text"),
        ({"make.a": {"one": "1"}}, "the plural forms here are one, other"),
        ({"make.a": {"one": "1", "few": "2", "other": "3"}}, "the plural forms here are one, other"),
    ],
)
def test_what_is_no_catalogue_is_refused(tmp_path: Path, area: object, reason: str) -> None:
    write(tmp_path, "en", make=area)
    with pytest.raises(KleinbildError, match=rf"en/make\.json: .*{reason}"):
        read_catalogues(tmp_path)


def test_unknown_languages_and_a_missing_english_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "xx", make={})
    with pytest.raises(KleinbildError, match="en: missing"):
        read_catalogues(tmp_path)
    write(tmp_path, "en", make={})
    with pytest.raises(KleinbildError, match=r"xx: give the language a place"):
        read_catalogues(tmp_path)
