"""The page's pipeline equals the reference on models of many shapes, in f32 and nearly in f16."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import klein_numpy
import numpy as np
import numpy.typing as npt
import pytest
from checkpoint_factory import make_checkpoint, write_model
from jobs import Arrays, Draw, Job
from reference import boundaries, largest_residual, off_by_more_than_one, reference_trace, relative_error

from kleinbild.package.site import build_site
from kleinbild.package.source import ExportOptions

F32_BAR = 1e-4
F16_BAR = 1e-2
LARGE_RESIDUAL = 1e5


@dataclass(frozen=True)
class Case:
    """A model's dimensions and the picture to draw with it."""

    te: dict[str, Any] = field(default_factory=dict)
    transformer: dict[str, Any] = field(default_factory=dict)
    vae: dict[str, Any] = field(default_factory=dict)
    prompt: str = "a photo of a small ceramic robot on a wooden workbench"
    width: int = 64
    height: int = 64
    steps: int = 2


CASES = {
    "head-16-hidden-48": Case(
        te={"hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 30},
        transformer={"attention_head_dim": 16, "num_attention_heads": 3, "num_layers": 1},
        width=112,
        height=80,
        steps=3,
    ),
    "head-32-hidden-96": Case(
        te={"hidden_size": 64, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 24},
        transformer={"num_attention_heads": 3, "num_layers": 3, "num_single_layers": 1},
        prompt="word " * 600,
        width=32,
        height=32,
        steps=8,
    ),
    "head-64-hidden-192": Case(
        te={"hidden_size": 96, "num_hidden_layers": 36, "num_attention_heads": 3, "num_key_value_heads": 3},
        transformer={"attention_head_dim": 64, "num_attention_heads": 3, "num_layers": 1},
        vae={"block_out_channels": [32, 64, 64, 96]},
        prompt="",
        width=16,
        height=48,
        steps=1,
    ),
    "head-96-hidden-96": Case(
        te={"num_hidden_layers": 33, "head_dim": 32},
        transformer={"attention_head_dim": 96, "num_attention_heads": 1, "num_layers": 2},
        vae={"layers_per_block": 1},
        prompt="东京 <|im_end|> l'été\n12345",
        width=48,
        height=16,
        steps=4,
    ),
    "head-128-hidden-256": Case(
        te={"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 128},
        transformer={"attention_head_dim": 128, "num_layers": 1, "num_single_layers": 1},
    ),
}


@dataclass(frozen=True)
class Drawn:
    """One case's pictures."""

    reference: dict[str, Any]
    residual: float
    f32: Arrays
    f16: Arrays


def draw_case(folder: Path, checkpoint: Path, case: Case, draw: Draw, seed: int) -> Drawn:
    """Packages `checkpoint` with f32 weights and draws `case` by reference, in f32 and in f16."""
    site = folder / "dist"
    build_site([str(checkpoint)], site, options=ExportOptions(weights="f32"), log=lambda _: None)
    latents: npt.NDArray[np.float32] = np.random.default_rng(seed).standard_normal(
        (128, case.height // 16, case.width // 16), np.float32
    )
    picture: dict[str, Any] = {
        "prompt": case.prompt,
        "width": case.width,
        "height": case.height,
        "steps": case.steps,
        "latents": latents,
    }
    job = Job(site, **picture)
    f32, f16 = draw([job, replace(job, precision="f16")])
    trace = reference_trace(checkpoint, **picture)
    return Drawn(boundaries(trace), largest_residual(trace), f32, f16)


@pytest.fixture(scope="module", params=CASES)
def drawn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, draw: Draw) -> Drawn:
    """Each case, drawn once for all tests of this file."""
    case = CASES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    checkpoint = make_checkpoint(
        folder / "checkpoint", te=case.te, transformer=case.transformer, vae=case.vae, name=request.param
    )
    return draw_case(folder, checkpoint, case, draw, seed=len(request.param))


def test_f32_equals_the_reference_at_every_boundary(drawn: Drawn) -> None:
    for name in ("input_ids", "attention_mask", "sigmas"):
        assert np.array_equal(drawn.f32[name], drawn.reference[name]), name
    steps = [name for name in drawn.reference if name.startswith("latents_")]
    for name in ["prompt_embeds", *steps, "decoded"]:
        assert relative_error(drawn.f32[name], drawn.reference[name]) < F32_BAR, name
    assert off_by_more_than_one(drawn.f32["image"], drawn.reference["image"]) <= 1e-3


def test_f16_stays_close_to_f32(drawn: Drawn) -> None:
    steps = [name for name in drawn.reference if name.startswith("latents_")]
    for name in ["prompt_embeds", *steps]:
        assert relative_error(drawn.f16[name], drawn.f32[name]) < F16_BAR, name


def test_f16_survives_a_large_residual_stream(tmp_path: Path, draw: Draw) -> None:
    """Projections back into the residual stream scaled until it passes what f16 can hold (65504)."""
    checkpoint = make_checkpoint(tmp_path / "checkpoint", dtype="F32", name="large residual")
    stem = "diffusion_pytorch_model"
    stored = klein_numpy.Safetensors(str(checkpoint / "transformer"), stem)
    gain = {"ff.linear_out": 3e4, "ff_context.linear_out": 3e4, "attn.to_out": 3e4}
    tensors = {
        key: ("F32", stored[key] * next((g for part, g in gain.items() if part in key), 1.0))
        for key in stored.at
    }
    write_model(checkpoint / "transformer", stem, tensors)
    drawn = draw_case(tmp_path, checkpoint, Case(), draw, seed=1)
    assert drawn.residual > LARGE_RESIDUAL
    for name in ("latents_0", "latents_1", "decoded"):
        assert np.isfinite(drawn.f16[name]).all(), name
    assert relative_error(drawn.f32["latents_1"], drawn.reference["latents_1"]) < F32_BAR
    assert relative_error(drawn.f16["latents_1"], drawn.f32["latents_1"]) < F16_BAR
