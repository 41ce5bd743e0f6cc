"""The manifest is described twice, for the packager and for the page: both must name the same fields."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from kleinbild import config
from kleinbild.errors import KleinbildError
from kleinbild.notice import read_notice
from kleinbild.package import manifest

MANIFEST_JS = Path(__file__).parents[3] / "src_js" / "manifest.js"
CLASSES = {
    cls.__name__: cls
    for cls in (
        config.TextEncoderConfig,
        config.TransformerConfig,
        config.VaeDecoderConfig,
        config.SchedulerConfig,
        config.PromptConfig,
        config.ModelConfig,
        manifest.FileRef,
        manifest.Shard,
        manifest.Stage,
        manifest.TensorPart,
        manifest.Tensor,
        manifest.Manifest,
    )
}


def run_node(script: str) -> str:
    """What the script prints."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    command = [node, "--eval", script]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture(scope="module")
def page_fields() -> dict[str, list[str]]:
    """Field names by class, as the page's validator has them."""
    script = f"import({json.dumps(MANIFEST_JS.as_uri())}).then((m) => console.log(JSON.stringify(m.FIELDS)))"
    found: dict[str, list[str]] = json.loads(run_node(script))
    return found


NOTICES: list[object] = [
    {},
    {"en": "a fox"},
    {"en": "a fox", "de": "ein Fuchs", "ar": "ثعلب"},
    {"en": "x" * 2000},
    {"en": "x" * 2001},
    {"de": "ein Fuchs"},
    {"en": 5},
    {"en": None},
    {"en": "a", "de": ["b"]},
    {"en": "a", "EN": "b"},
    {"en": "a", "de-AT": "b"},
    {"en": "a", "constructor": "b"},
    {"en": "a", "__proto__": "b"},
    {"en": "a", "en\n": "b"},
    {"en": "a"} | {f"a{chr(97 + i)}": "b" for i in range(26)},
    {"en": "a"} | {f"{letter}{chr(97 + i)}": "b" for letter in "ab" for i in range(26)},
    ["en"],
    5,
    None,
]


def test_both_sides_accept_the_same_notices() -> None:
    """A manifest always has the object; that our own files may have a text in its place is the packager's."""
    module = json.dumps(MANIFEST_JS.with_name("model_index.js").as_uri())
    script = f"""import({module}).then(({{ notice }}) => {{
      const same = (value) => JSON.stringify(notice(value, "it")) === JSON.stringify(value);
      const accepted = (value) => {{ try {{ return same(value); }} catch {{ return false; }} }};
      console.log(JSON.stringify(JSON.parse({json.dumps(json.dumps(NOTICES))}).map(accepted)));
    }})"""
    page: list[bool] = json.loads(run_node(script))

    def accepted(value: object) -> bool:
        try:
            return read_notice(value, "it") == value
        except KleinbildError:
            return False

    assert page == [accepted(value) for value in NOTICES]
    assert page.count(True) == 5


def test_both_sides_describe_the_same_records(page_fields: dict[str, list[str]]) -> None:
    assert set(page_fields) == set(CLASSES)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_fields_are_equal(name: str, page_fields: dict[str, list[str]]) -> None:
    assert sorted(page_fields[name]) == sorted(field.name for field in fields(CLASSES[name]))


@pytest.mark.parametrize("name", sorted(set(CLASSES) - {"Shard"}))
def test_typedefs_name_the_same_fields(name: str) -> None:
    """The type checker holds typedef and validator equal; this holds where no type checker runs."""
    text = MANIFEST_JS.read_text()
    typedef = re.search(rf"@typedef {{object}} {name}\b(.*?)(?=@typedef|\*/)", text, re.DOTALL)
    assert typedef is not None
    named = re.findall(r"@property {[^}]+} (\w+)", typedef[1])
    assert sorted(named) == sorted(field.name for field in fields(CLASSES[name]))
