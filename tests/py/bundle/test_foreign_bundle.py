"""A bundle may be written in any of the ways that exporters have: the canonical tensors stay the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import foreign_bundle as foreign
import numpy as np
import pytest
from bundle_numpy import float32, make_small_checkpoint
from checkpoint_factory import make_checkpoint
from foreign_bundle import Change, Graph, rewrite
from seedlike import unpack_seedlike

from kleinbild.bundle import Bundle
from kleinbild.checkpoint.checkpoint import Checkpoint
from kleinbild.config import ModelConfig
from kleinbild.export import export_bundle
from kleinbild.package.model import package_model
from kleinbild.weights import Q4, Dense


@dataclass(frozen=True)
class Original:
    """A bundle as its exporter wrote it, and what it packages to."""

    folder: Path
    config: ModelConfig
    shards: list[tuple[str, str]]


def shards(bundle: Bundle, out: Path) -> list[tuple[str, str]]:
    manifest = package_model(bundle, out, previous=None, log=lambda _: None)
    return [("tokenizer", manifest.tokenizer.sha256), *(("shard", shard.sha256) for shard in manifest.shards)]


def own_bundle(folder: Path, name: str) -> None:
    """Our own exporter's: grouped heads and other widths in 4 bits, or a small one in float16."""
    if name == "q4":
        checkpoint = make_checkpoint(
            folder / "checkpoint",
            te={
                "hidden_size": 48,
                "intermediate_size": 80,
                "num_attention_heads": 6,
                "num_key_value_heads": 2,
            },
            transformer={"attention_head_dim": 16, "num_attention_heads": 3, "num_layers": 3},
            vae={"layers_per_block": 1, "block_out_channels": [32, 64, 64, 96]},
        )
        export_bundle(
            Checkpoint.open(checkpoint), folder / "bundle", weights="q4", block_size=32, symmetric=True
        )
    else:
        checkpoint = make_small_checkpoint(folder / "checkpoint")
        export_bundle(Checkpoint.open(checkpoint), folder / "bundle", weights="f16")


@pytest.fixture(scope="module", params=["seedlike", "q4", "f16"])
def original(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Original:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "seedlike":
        unpack_seedlike(folder / "bundle")
    else:
        own_bundle(folder, request.param)
    bundle = Bundle.open(folder / "bundle")
    return Original(folder / "bundle", bundle.config, shards(bundle, folder / "out"))


CHANGES: dict[str, Sequence[Change]] = {
    "opaque": [foreign.opaque],
    "constants": [foreign.constants_as_initializers, foreign.initializers_as_constants],
    "merged": [foreign.merged_initializers],
    "reciprocals": [foreign.reciprocals],
    "slices": [foreign.splits_as_slices],
    "transposed": [foreign.transposed_weights],
    "gemms": [foreign.gemms],
    "no opset": [foreign.no_opset_import],
    "fused": [foreign.fused],
    "unfused": [foreign.unfused],
}
ALL = [
    foreign.gemms,
    foreign.unfused,
    foreign.fused,
    foreign.splits_as_slices,
    foreign.transposed_weights,
    foreign.reciprocals,
    foreign.constants_as_initializers,
    foreign.merged_initializers,
    foreign.initializers_as_constants,
    foreign.no_opset_import,
    foreign.opaque,
]
CHANGES |= {"all": ALL, "fused, opaque": [foreign.fused, foreign.opaque]}


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_shards_come_of_it(original: Original, change: str, tmp_path: Path) -> None:
    bundle = Bundle.open(rewrite(original.folder, tmp_path / "bundle", CHANGES[change]))
    assert bundle.config == original.config
    assert shards(bundle, tmp_path / "out") == original.shards


def test_linears_may_be_left_dense(original: Original, tmp_path: Path) -> None:
    """Numbers change then: what is dense is what the codes stood for, in float16."""
    before = Bundle.open(original.folder)
    if before.weights_kind != "q4":
        pytest.skip("nothing to leave dense")
    after = Bundle.open(rewrite(original.folder, tmp_path / "bundle", [foreign.dense, foreign.opaque]))
    kinds = set()
    for stage, tensors in before.expected.items():
        for name in tensors:
            old, new = before.tensor(stage, name), after.tensor(stage, name)
            if isinstance(old, Q4) and isinstance(new, Dense):
                kinds.add(stage)
                np.testing.assert_array_equal(new.array, float32(old).astype(np.float16))
            else:
                np.testing.assert_array_equal(float32(new), float32(old))
    assert kinds == {"text_encoder", "transformer"}
    package_model(after, tmp_path / "out", previous=None, log=lambda _: None)


def test_inputs_may_have_names_of_their_own(original: Original, tmp_path: Path) -> None:
    """flux2-config.json gives them in the format's order; programs go by it."""
    bundle = shutil.copytree(original.folder, tmp_path / "bundle")
    config = json.loads((bundle / "flux2-config.json").read_text())
    for model in config["models"].values():
        path = bundle / model["file"]
        graph = Graph(path, Random(0))
        names = {name: f"in {name}" for name in model["inputs"] if name not in model["outputs"]}
        if "/" in "".join(names):
            continue  # what the VAE's graphs hand on has one name on both sides
        for value in graph.model.graph.input:
            value.name = names[value.name]
        for node in graph.nodes:
            node.input[:] = [names.get(name, name) for name in node.input]
        model["inputs"] = list(names.values())
        graph.save()
    (bundle / "flux2-config.json").write_text(json.dumps(config))
    assert shards(Bundle.open(bundle), tmp_path / "out") == original.shards


def test_numbers_are_derived_from_the_graphs_of_another_exporter(tmp_path: Path) -> None:
    """Our own bundle without our record has the same ModelConfig, and so the same manifest but for names."""
    own_bundle(tmp_path, "q4")
    expected = Bundle.open(tmp_path / "bundle")
    path = tmp_path / "bundle" / "flux2-config.json"
    value = json.loads(path.read_text())
    del value["kleinbild"]
    path.write_text(json.dumps(value))
    bundle = Bundle.open(tmp_path / "bundle")
    assert bundle.config == expected.config
    assert (bundle.name, bundle.notice, bundle.weights_kind) == (expected.name, {}, "q4")
