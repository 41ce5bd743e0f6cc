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


@pytest.fixture(scope="module")
def page_fields() -> dict[str, list[str]]:
    """Field names by class, as the page's validator has them."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    script = f"import({json.dumps(MANIFEST_JS.as_uri())}).then((m) => console.log(JSON.stringify(m.FIELDS)))"
    run = subprocess.run([node, "--eval", script], capture_output=True, text=True, check=True, timeout=60)
    found: dict[str, list[str]] = json.loads(run.stdout)
    return found


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
