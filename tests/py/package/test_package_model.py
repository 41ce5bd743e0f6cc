"""A model's way into the site folder: stages, order, repeatability, and refusals that name the tensor."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from package_doubles import ModelDouble, model_double

from kleinbild.canonical import EMBEDDING, TIMESTEP_LINEARS, expected_tensors
from kleinbild.checkpoint.tiny import write_tiny_checkpoint
from kleinbild.errors import KleinbildError
from kleinbild.package.compression import plain_bytes
from kleinbild.package.manifest import Manifest
from kleinbild.package.model import package_model
from kleinbild.package.modulation_table import modulation_table
from kleinbild.package.schedule import table_sigmas
from kleinbild.weights import Dense


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelDouble:
    folder = tmp_path_factory.mktemp("model")
    write_tiny_checkpoint(folder)
    return model_double(folder)


def package(model: ModelDouble, root: Path, previous: Path | None = None) -> Manifest:
    return package_model(model, root, previous=previous, log=lambda _: None)


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_every_canonical_tensor_is_packaged_in_order(model: ModelDouble, tmp_path: Path) -> None:
    manifest = package(model, tmp_path)
    expected = {stage: list(specs) for stage, specs in expected_tensors(model.config).items()}
    in_stage = {s.name: [t.name for t in manifest.tensors if t.stage == s.name] for s in manifest.stages}
    assert in_stage == {
        "text_encoder": [name for name in expected["text_encoder"] if name != EMBEDDING],
        "embedding": [EMBEDDING],
        "transformer": ["modulation_table", *expected["transformer"][6:]],
        "modulation": list(TIMESTEP_LINEARS),
        "vae_decoder": expected["vae_decoder"],
    }
    assert list(in_stage) == ["text_encoder", "embedding", "transformer", "modulation", "vae_decoder"]
    assert [name for names in in_stage.values() for name in names] == [t.name for t in manifest.tensors]
    formats = {(t.stage, t.kind, t.format) for t in manifest.tensors}
    assert formats == {
        ("text_encoder", "linear", "f16"),
        ("text_encoder", "vector", "f32"),
        ("embedding", "embedding", "f16"),
        ("transformer", "table", "f32"),
        ("transformer", "linear", "q4"),
        ("modulation", "linear", "q4"),
        ("transformer", "vector", "f32"),
        ("vae_decoder", "linear", "f16"),
        ("vae_decoder", "vector", "f32"),
        ("vae_decoder", "conv", "f16"),
    }


def test_the_modulation_table_is_that_of_the_weights(model: ModelDouble, tmp_path: Path) -> None:
    manifest = package(model, tmp_path)
    (tensor,) = (t for t in manifest.tensors if t.kind == "table")
    (part,) = tensor.parts
    shard = manifest.shards[part.shard]
    assert [t.name for t in manifest.tensors if part.shard in {p.shard for p in t.parts}] == [tensor.name]
    assert manifest.table_sigmas == table_sigmas(model.config)
    data = plain_bytes(tmp_path / shard.path, shard.encoding, shard.bytes)
    table = np.frombuffer(data, "<f4", part.length // 4, part.offset).reshape(tensor.shape)
    np.testing.assert_array_equal(
        table,
        modulation_table(
            manifest.table_sigmas,
            model.config.transformer.timestep_channels,
            lambda name: model.tensor("transformer", name),
        ),
    )


def test_too_many_steps_leave_the_table_out(model: ModelDouble, tmp_path: Path) -> None:
    manifest = package(replace(model, config=replace(model.config, default_steps=300)), tmp_path)
    assert manifest.table_sigmas == ()
    assert "table" not in {tensor.kind for tensor in manifest.tensors}


def test_files_are_those_of_the_manifest(model: ModelDouble, tmp_path: Path) -> None:
    manifest = package(model, tmp_path)
    paths = {shard.path for shard in manifest.shards} | {manifest.tokenizer.path}
    assert set(tree(tmp_path)) == paths | {f"models/{manifest.id}.json"}
    file = manifest.tokenizer
    vocabulary = json.loads(plain_bytes(tmp_path / file.path, file.encoding, file.bytes))
    assert vocabulary["max_length"] == model.config.prompt.text_seq_len


def test_a_second_run_gives_the_same_bytes(model: ModelDouble, tmp_path: Path) -> None:
    assert package(model, tmp_path / "a") == package(model, tmp_path / "b")
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_a_changed_tensor_changes_only_its_stage(model: ModelDouble, tmp_path: Path) -> None:
    first = package(model, tmp_path / "a")
    size = model.tensor("vae_decoder", "bn.mean").shape[0]
    second = package(
        model.but(bn__mean=Dense(np.ones(size, np.float32))), tmp_path / "b", previous=tmp_path / "a"
    )
    assert first.id != second.id
    assert len(set(first.shards) - set(second.shards)) == 1
    for shard in set(first.shards) & set(second.shards):
        assert (tmp_path / "a" / shard.path).samefile(tmp_path / "b" / shard.path)


def test_a_tensor_of_another_shape_is_named(model: ModelDouble, tmp_path: Path) -> None:
    changed = model.but(proj_out__weight=Dense(np.zeros((3, 5), np.float32)))
    with pytest.raises(
        KleinbildError, match=r"transformer: proj_out\.weight is \[3, 5\]; the model's config asks for"
    ):
        package(changed, tmp_path)


def test_a_tensor_with_nan_is_named(model: ModelDouble, tmp_path: Path) -> None:
    shape = model.tensor("transformer", "x_embedder.weight").shape
    changed = model.but(x_embedder__weight=Dense(np.full(shape, np.nan, np.float32)))
    with pytest.raises(KleinbildError, match=r"transformer: x_embedder\.weight holds NaN"):
        package(changed, tmp_path)


def test_a_config_without_bounds_is_refused_before_it_is_counted(model: ModelDouble, tmp_path: Path) -> None:
    text = replace(model.config.text_encoder, num_layers=10**12)
    lying = replace(model, config=replace(model.config, text_encoder=text))
    with pytest.raises(KleinbildError, match=r"config\.text_encoder\.num_layers is 1000000000000"):
        package(lying, tmp_path)


def test_names_that_no_page_can_show_are_refused(model: ModelDouble, tmp_path: Path) -> None:
    for changed in (replace(model, name="x" * 201), replace(model, notice={"en": "\x1b[31m"})):
        with pytest.raises(KleinbildError, match="or not printable"):
            package(changed, tmp_path)
