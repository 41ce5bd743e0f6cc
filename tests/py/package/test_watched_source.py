"""What packaging tells while it reads a model: bytes once a tensor, and a stage when it is done with."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkpoint_factory import make_checkpoint
from package_doubles import ModelDouble, model_double

from kleinbild.package.model import package_model
from kleinbild.package.watched_source import WatchedSource, bundle_bytes
from kleinbild.weights import Q4, Dense


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelDouble:
    return model_double(make_checkpoint(tmp_path_factory.mktemp("model")))


def watched(model: ModelDouble, told: list[tuple[int, str]], left: list[str]) -> WatchedSource:
    return WatchedSource(model, lambda count, name: told.append((count, name)), left.append)


def test_it_is_the_same_model(model: ModelDouble, tmp_path: Path) -> None:
    source = watched(model, [], [])
    plain = package_model(model, tmp_path / "plain", previous=None, log=lambda _: None)
    assert package_model(source, tmp_path / "watched", previous=None, log=lambda _: None) == plain


def test_every_tensor_is_told_once(model: ModelDouble) -> None:
    told: list[tuple[int, str]] = []
    source = watched(model, told, [])
    dense, q4 = "model.layers.0.self_attn.q_norm.weight", "proj_out.weight"
    weight, quantised = source.tensor("text_encoder", dense), source.tensor("transformer", q4)
    assert isinstance(weight, Dense)
    assert isinstance(quantised, Q4)
    source.tensor("text_encoder", dense)
    size = quantised.codes.nbytes + quantised.scales.nbytes
    assert told == [(weight.array.nbytes, dense), (size, q4)]


def test_a_stage_is_left_when_all_of_it_was_read_and_another_begins(model: ModelDouble) -> None:
    left: list[str] = []
    source = watched(model, [], left)
    names = {stage: list(tensors) for stage, tensors in model.checkpoint.expected.items()}
    source.tensor("transformer", names["transformer"][0])
    for name in names["text_encoder"]:
        source.tensor("text_encoder", name)
    assert left == []
    for name in (*names["transformer"], names["transformer"][0]):
        source.tensor("transformer", name)
    assert left == ["text_encoder"]
    source.tensor("vae_decoder", names["vae_decoder"][0])
    assert left == ["text_encoder", "transformer"]


def test_the_bytes_of_a_bundle_are_those_of_its_graphs_and_shards(tmp_path: Path) -> None:
    for name, size in (("a.onnx", 10), ("a-00001.onnx_data", 200), ("flux2-config.json", 3000)):
        (tmp_path / name).write_bytes(bytes(size))
    assert bundle_bytes(tmp_path) == 210
