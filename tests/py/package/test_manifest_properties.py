"""Manifests somebody changed: whatever is changed, reading and checking either accept or refuse by name."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from package_doubles import model_double

from kleinbild.checkpoint.tiny import write_tiny_checkpoint
from kleinbild.errors import KleinbildError
from kleinbild.package.manifest import Manifest, manifest_from_json, manifest_text
from kleinbild.package.manifest_checks import check_manifest
from kleinbild.package.model import package_model

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-2, 300),
    st.sampled_from([2**31, 2**53, 2**63, 2**64, 10**400, -(10**400)]),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["", "gzip", "start", "needed", "table", "f16", "q4", "../x", "\x00", "\ud800", "9" * 300]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """One of a model with as few tensors as a model can have."""
    folder = tmp_path_factory.mktemp("manifest")
    write_tiny_checkpoint(folder / "checkpoint")
    double = model_double(folder / "checkpoint")
    config = double.config
    few = replace(
        config,
        text_encoder=replace(config.text_encoder, num_layers=1, tapped_layers=(1,)),
        transformer=replace(config.transformer, num_layers=1, num_single_layers=1),
    )
    return package_model(replace(double, config=few), folder / "site", previous=None, log=lambda _: None)


def places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of every field below `value`; of a list, the first, a middle and the last entry."""
    if isinstance(value, dict):
        keys: list[Any] = list(value)
    elif isinstance(value, list):
        keys = sorted({0, len(value) // 2, len(value) - 1} & set(range(len(value))))
    else:
        return []
    found = [(value, key) for key in keys]
    for key in keys:
        found += places(value[key])
    return found


def accepted(value: Any) -> bool:
    """Whether the manifest is read and checked; anything but acceptance and KleinbildError is raised."""
    try:
        check_manifest(manifest_from_json(value, "x.json"), "x.json")
    except KleinbildError as error:
        assert "\n" not in str(error)
        assert str(error).startswith("x.json")
        assert len(str(error)) < 1000
        return False
    return True


@given(data=st.data())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_a_changed_value_is_refused_or_harmless(manifest: Manifest, data: st.DataObject) -> None:
    """What is accepted names the same tensors, shards and stages, and is written as it was read."""
    value = json.loads(manifest_text(manifest))
    found = places(value)
    container, key = found[data.draw(st.integers(0, len(found) - 1))]
    container[key] = data.draw(VALUES)
    if accepted(value):
        after = manifest_from_json(value)
        assert manifest_from_json(json.loads(manifest_text(after))) == after
        assert contents(after) == contents(manifest)


def contents(manifest: Manifest) -> object:
    """What the page relies on: tensors, the rows and the length of their parts, files, stages."""
    return (
        [
            (t.name, t.kind, t.shape, t.format, [(p.row_start, p.row_count, p.length) for p in t.parts])
            for t in manifest.tensors
        ],
        manifest.stages,
        [(shard.path, shard.sha256, shard.encoding) for shard in manifest.shards],
    )


@given(data=st.data())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_missing_added_and_swapped_entries_are_refused(manifest: Manifest, data: st.DataObject) -> None:
    value = json.loads(manifest_text(manifest))
    name = data.draw(st.sampled_from(["stages", "tensors", "shards"]))
    entries = value[name]
    index = data.draw(st.integers(0, len(entries) - 1))
    match data.draw(st.sampled_from(["drop", "double", "swap"])):
        case "drop":
            del entries[index]
        case "double":
            entries.append(entries[index])
        case _:
            other = data.draw(st.integers(0, len(entries) - 1).filter(lambda i: i != index))
            entries[index], entries[other] = entries[other], entries[index]
            if name == "tensors":  # their order says nothing
                assert accepted(value)
                return
    assert not accepted(value)


@given(value=VALUES)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_anything_else_is_refused(value: Any) -> None:
    assert not accepted(value)
    assert not accepted({"schema": 4, "config": value})


def test_what_is_written_is_read_back(manifest: Manifest) -> None:
    again = manifest_from_json(json.loads(manifest_text(manifest)))
    assert again == manifest
    assert manifest_text(again) == manifest_text(manifest)
    assert accepted(json.loads(manifest_text(manifest)))
