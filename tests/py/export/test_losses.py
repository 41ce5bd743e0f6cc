"""The report of an export: groups, errors, bits and bytes are what the bundle holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from bundle_numpy import float32, make_small_checkpoint

from kleinbild.bundle import Bundle
from kleinbild.canonical import STAGES, expected_tensors
from kleinbild.checkpoint.checkpoint import Checkpoint
from kleinbild.export import Losses, export_bundle
from kleinbild.export.losses import layer_group
from kleinbild.quantise import quantise_measured
from kleinbild.weights import Q4

GROUPS = {
    "text embedding": "model.embed_tokens.weight",
    "text attention": "model.layers.1.self_attn.o_proj.weight",
    "text mlp": "model.layers.2.mlp.down_proj.weight",
    "timestep": "time_guidance_embed.timestep_embedder.linear_2.weight",
    "modulation": "single_stream_modulation.linear.weight",
    "embedders": "proj_out.weight",
    "double attention": "transformer_blocks.0.attn.to_add_out.weight",
    "double mlp": "transformer_blocks.0.ff_context.linear_in.weight",
    "single in": "single_transformer_blocks.0.attn.to_qkv_mlp_proj.weight",
    "single out": "single_transformer_blocks.0.attn.to_out.weight",
    "norms": "single_transformer_blocks.0.attn.norm_q.weight",
    "VAE decoder": "decoder.conv_in.bias",
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return Checkpoint.open(make_small_checkpoint(tmp_path_factory.mktemp("small")))


def test_every_tensor_has_its_group(small: Checkpoint) -> None:
    found: dict[str, set[str]] = {}
    for stage, specs in expected_tensors(small.config).items():
        for name, spec in specs.items():
            found.setdefault(layer_group(stage, name, spec.kind), set()).add(name)
    assert found.keys() == GROUPS.keys()
    for group, name in GROUPS.items():
        assert name in found[group]
    assert {n for n in found["modulation"] if "linear" in n} == {
        "double_stream_modulation_img.linear.weight",
        "double_stream_modulation_txt.linear.weight",
        "single_stream_modulation.linear.weight",
        "norm_out.linear.weight",
    }
    assert found["embedders"] == {"x_embedder.weight", "context_embedder.weight", "proj_out.weight"}


@pytest.mark.parametrize("all_q4", [False, True])
def test_errors_and_bits_are_those_of_the_bundle(small: Checkpoint, all_q4: bool, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    losses = export_bundle(small, out, weights="q4", block_size=32, all_q4=all_q4)
    bundle = Bundle.open(out)
    sums: dict[str, list[float]] = {}
    for stage, specs in bundle.expected.items():
        for name, spec in specs.items():
            weight, exact = bundle.tensor(stage, name), small.tensor(stage, name).astype(np.float64)
            arrays: list[npt.NDArray[np.generic] | None]
            if isinstance(weight, Q4):
                arrays = [weight.codes, weight.scales, weight.zero_points]
            else:
                arrays = [weight.array]
            error = ((float32(weight) - exact) ** 2).sum()
            stored = sum(array.nbytes for array in arrays if array is not None)
            total = sums.setdefault(layer_group(stage, name, spec.kind), [0.0, 0.0, 0, 0])
            for i, part in enumerate([error, (exact**2).sum(), float(exact.size), float(stored)]):
                total[i] += part
    assert losses.groups.keys() == sums.keys()
    for group, (error, norm, count, size) in sums.items():
        loss = losses.groups[group]
        assert loss.weights == count
        assert loss.bytes == size, group
        assert loss.bits == pytest.approx(8 * size / count)
        if group != "norms":  # kept in float32
            assert loss.relative_error == pytest.approx((error / norm) ** 0.5, rel=1e-3), group
    assert losses.groups["norms"].relative_error == 0
    assert (losses.groups["modulation"].bits < 16) == all_q4
    total_bytes = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    assert sum(losses.stage_bytes.values()) == total_bytes
    assert list(losses.stage_bytes) == [*STAGES, "tokenizer and config"]
    shard = (out / "transformer-q4-00001.onnx_data").stat().st_size
    assert shard < losses.stage_bytes["transformer"] < 2 * shard


def test_float32_loses_nothing(small: Checkpoint, tmp_path: Path) -> None:
    losses = export_bundle(small, tmp_path / "b", weights="f32")
    assert {(loss.relative_error, loss.bits) for loss in losses.groups.values()} == {(0.0, 32.0)}


def test_the_lines_of_a_report() -> None:
    losses = Losses()
    weight = np.random.default_rng(0).standard_normal((64, 256)).astype(np.float32)
    losses.add_q4("single in", quantise_measured(weight, 16, symmetric=False))
    losses.add_q4("single in", quantise_measured(weight, 16, symmetric=False))
    losses.add_dense("VAE decoder", weight, weight.astype(np.float16))
    losses.stage_bytes = {"text_encoder": 1000, "vae_decoder": 234}
    header, *rows = losses.lines()
    assert header.split() == ["layers", "weights", "bits", "each", "error"]
    assert [row.split() for row in rows] == [
        ["single", "in", "32,768", "5.250", rows[0].split()[-1]],
        ["VAE", "decoder", "16,384", "16.000", rows[1].split()[-1]],
        ["text", "encoder", "1,000", "bytes"],
        ["vae", "decoder", "234", "bytes"],
        ["together", "1,234", "bytes"],
    ]
    assert rows[0].split()[-1] == f"{losses.groups['single in'].relative_error:.3%}"
    assert len({len(row) for row in rows[:2]} | {len(header)}) == 1
