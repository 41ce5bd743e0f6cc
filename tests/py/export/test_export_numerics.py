"""The exported graphs compute the model: against the reference pipeline's goldens, and against numpy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from bundle_numpy import make_small_checkpoint, run_numpy, small_inputs
from onnx_oracle import GOLDEN, run_pipeline
from reference import relative_error

from kleinbild.bundle import Bundle
from kleinbild.checkpoint.checkpoint import Checkpoint
from kleinbild.config import ModelConfig
from kleinbild.export import Variant, export_bundle
from kleinbild.weights import BLOCK_SIZES

# The spec's tolerance for a float32 path against the reference pipeline.
GOLDEN_TOLERANCE = 1e-4
# Two float32 implementations with the same weights: the rounding of a few hundred operations.
FLOAT32_TOLERANCE = 1e-4
FLOAT16_MAX = 65504
GATE_FACTOR, OUTPUT_FACTOR = np.float32(30000), np.float32(20)
SMALL_SIZE = {"steps": 2, "height": 32, "width": 48}

Float32 = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A checkpoint whose linears end inside a block, whatever the block size."""
    return Checkpoint.open(make_small_checkpoint(tmp_path_factory.mktemp("small")))


class Changed:
    """A checkpoint in which some tensors are changed on the way out."""

    def __init__(self, source: Checkpoint, change: Callable[[str, Float32], Float32]) -> None:
        self._source = source
        self._change = change
        self.config: ModelConfig = source.config
        self.name = source.name
        self.notice = source.notice
        self.suggestions = source.suggestions
        self.tokenizer_folder = source.tokenizer_folder

    def check(self) -> None:
        self._source.check()

    def tensor(self, stage: str, name: str) -> Float32:
        return self._change(name, self._source.tensor(stage, name))

    def rows(self, stage: str, name: str, first: int, count: int) -> Float32:
        return self.tensor(stage, name)[first : first + count]

    def stored_bytes(self, stage: str, name: str) -> int:
        return self._source.stored_bytes(stage, name)

    def identity(self) -> dict[str, object]:
        return self._source.identity()


def golden_checkpoint(name: str, tmp_path: Path) -> Path:
    if name == "tiny-hd32":
        return GOLDEN / name
    subprocess.run([sys.executable, GOLDEN / "make_ckpt.py", name, tmp_path / name], check=True)
    return tmp_path / name


@pytest.mark.parametrize(("name", "weights"), [("hd32", "f32"), ("hd128", "f32"), ("hd32", "f16")])
def test_equals_the_reference_pipeline(name: str, weights: Variant, tmp_path: Path) -> None:
    export_bundle(
        Checkpoint.open(golden_checkpoint(f"tiny-{name}", tmp_path)), tmp_path / "b", weights=weights
    )
    golden = np.load(GOLDEN / f"{name}_t2i_64x64.npz")
    result = run_pipeline(
        tmp_path / "b",
        golden["input_ids"][0],
        golden["attention_mask"][0],
        golden["latents_init_nchw"][0],
        steps=4,
        height=64,
        width=64,
    )
    errors = {"prompt_embeds": relative_error(result["prompt_embeds"], golden["prompt_embeds"][0])}
    for i in range(4):
        errors[f"latents_{i}"] = relative_error(result[f"latents_{i}"], golden["latents_steps"][i, 0])
    assert max(errors.values()) < GOLDEN_TOLERANCE, errors
    # The checkpoints are stored in bfloat16, but batch norm's deviations need more than float16 has.
    decoded = relative_error(result["decoded"], golden["vae_out"][0])
    assert decoded < (GOLDEN_TOLERANCE if weights == "f32" else 1e-3)


# Every block size both ways, and each once more with every linear in 4 bits.
Q4_KINDS = [
    *((block_size, symmetric, False) for block_size in BLOCK_SIZES for symmetric in (False, True)),
    *((block_size, block_size in (32, 128), True) for block_size in BLOCK_SIZES),
]


@pytest.mark.parametrize(("block_size", "symmetric", "all_q4"), Q4_KINDS)
def test_q4_computes_with_the_dequantised_weights(
    small: Checkpoint, block_size: int, symmetric: bool, all_q4: bool, tmp_path: Path
) -> None:
    out = tmp_path / "bundle"
    export_bundle(small, out, weights="q4", block_size=block_size, symmetric=symmetric, all_q4=all_q4)
    inputs: dict[str, Any] = {**small_inputs(), **SMALL_SIZE}
    twin = run_pipeline(out, **inputs)
    expected = run_numpy(Bundle.open(out), **inputs)
    assert twin.keys() == expected.keys()
    errors = {name: relative_error(twin[name], expected[name]) for name in expected}
    assert max(errors.values()) < FLOAT32_TOLERANCE, errors

    # As shipped: 8-bit activations (0.5 % a matmul) and a sigma rounded to float16, so only roughly equal.
    shipped = run_pipeline(out, **inputs, twin=False)
    errors = {name: relative_error(shipped[name], twin[name]) for name in expected}
    assert max(errors.values()) < 0.1, errors


def test_a_clipped_context_is_what_the_transformer_gets(small: Checkpoint, tmp_path: Path) -> None:
    inputs: dict[str, Any] = {**small_inputs(), **SMALL_SIZE}
    limit = 0.5
    results = {}
    for clip in (0, limit):
        out = tmp_path / str(clip)
        export_bundle(small, out, weights="f32", context_clip=clip)
        expected = run_numpy(Bundle.open(out), **inputs)
        results[clip] = run_pipeline(out, **inputs)
        errors = {name: relative_error(results[clip][name], expected[name]) for name in expected}
        assert max(errors.values()) < FLOAT32_TOLERANCE, errors
    whole, clipped = (results[clip]["prompt_embeds"] for clip in (0, limit))
    assert np.abs(whole).max() > 2 * limit
    np.testing.assert_array_equal(clipped, np.clip(whole, -limit, limit))
    assert relative_error(results[limit]["latents_1"], results[0]["latents_1"]) > 1e-3


def test_residual_streams_beyond_float16_survive(small: Checkpoint, tmp_path: Path) -> None:
    size = small.config.transformer.hidden_size

    def open_gates(name: str, weight: Float32) -> Float32:
        """Makes gates and outputs of the double block's second half so large that it leaves float16."""
        if name.startswith("double_stream_modulation"):
            weight[5 * size :] *= GATE_FACTOR
        return weight * OUTPUT_FACTOR if ".linear_out." in name else weight

    out, trace = tmp_path / "bundle", dict[str, npt.NDArray[Any]]()
    export_bundle(Changed(small, open_gates), out, weights="f16")
    inputs: dict[str, Any] = {**small_inputs(), **SMALL_SIZE}
    expected = run_numpy(Bundle.open(out), **inputs, trace=trace)
    for name in ("double0_img", "double0_txt", "single0"):
        assert np.abs(trace[name]).max() > 2 * FLOAT16_MAX, name
    shipped = run_pipeline(out, **inputs, twin=False)
    assert relative_error(shipped["latents_1"], expected["latents_1"]) < 0.05


def test_text_states_beyond_float16_saturate(small: Checkpoint, tmp_path: Path) -> None:
    def grow(name: str, weight: Float32) -> Float32:
        """Embeddings at float16's edge, and a first layer that pushes them over it."""
        if name == "model.embed_tokens.weight":
            return weight * np.float32(65000 / np.abs(weight).max())
        return weight * np.float32(20000) if name == "model.layers.0.mlp.down_proj.weight" else weight

    out = tmp_path / "bundle"
    export_bundle(Changed(small, grow), out, weights="f16")
    inputs: dict[str, Any] = {**small_inputs(), **SMALL_SIZE}
    expected = run_numpy(Bundle.open(out), **inputs)["prompt_embeds"]
    assert np.abs(expected).max() > 1.2 * FLOAT16_MAX
    embeds = run_pipeline(out, **inputs, twin=False)["prompt_embeds"]
    saturated = np.clip(expected, -FLOAT16_MAX, FLOAT16_MAX)
    assert relative_error(embeds, saturated) < 0.01
