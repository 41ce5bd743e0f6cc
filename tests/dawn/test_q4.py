"""A q4 bundle means the same to ONNX Runtime and to the page, at every boundary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from checkpoint_factory import make_checkpoint
from jobs import Arrays, Draw, Job
from onnx_oracle import run_pipeline
from reference import off_by_more_than_one, relative_error

from kleinbild.package.site import build_site
from kleinbild.package.source import ExportOptions, export

BAR = 1e-3
CLIP = 1.5
WIDTH, HEIGHT, STEPS = 48, 32, 2


@pytest.mark.parametrize("symmetric", [False, True], ids=["zero-points", "symmetric"])
@pytest.mark.parametrize("block_size", [16, 32, 64, 128])
def test_page_equals_onnxruntime(tmp_path: Path, draw: Draw, block_size: int, symmetric: bool) -> None:
    compare(tmp_path, draw, ExportOptions(weights="q4", block_size=block_size, symmetric=symmetric))


def test_with_every_linear_in_4_bits_and_a_clipped_context(tmp_path: Path, draw: Draw) -> None:
    options = ExportOptions("q4", 32, all_q4=True, context_clip=CLIP)
    page = compare(tmp_path, draw, options)
    assert np.abs(page["prompt_embeds"]).max() == CLIP
    assert (np.abs(page["prompt_embeds"]) == CLIP).mean() < 0.9


def compare(tmp_path: Path, draw: Draw, options: ExportOptions) -> Arrays:
    """The page's boundaries, which must be onnxruntime's for the same export.

    Hidden sizes 48 and 80 and MLPs of 104 and 240 leave a ragged last block at most block sizes.
    """
    checkpoint = make_checkpoint(
        tmp_path / "checkpoint",
        te={"hidden_size": 48, "intermediate_size": 104},
        transformer={"attention_head_dim": 40, "num_attention_heads": 2, "axes_dims_rope": [10, 10, 10, 10]},
        name=f"q4 {options.block_size} {options.symmetric}",
    )
    bundle = tmp_path / "bundle"
    export(checkpoint, bundle, options, log=lambda _: None)
    build_site([str(bundle)], tmp_path / "dist", options=ExportOptions(), log=lambda _: None)
    latents = np.random.default_rng(options.block_size).standard_normal(
        (128, HEIGHT // 16, WIDTH // 16), np.float32
    )
    job = Job(
        tmp_path / "dist", prompt="a red circle", width=WIDTH, height=HEIGHT, steps=STEPS, latents=latents
    )
    [page] = draw([job])
    tokens = page["input_ids"], page["attention_mask"]
    expected = run_pipeline(bundle, *tokens, latents, steps=STEPS, height=HEIGHT, width=WIDTH)
    for name in ("prompt_embeds", *(f"latents_{i}" for i in range(STEPS)), "decoded"):
        assert relative_error(page[name], expected[name]) < BAR, name
    levels = np.rint(np.clip(expected["decoded"].transpose(1, 2, 0) / 2 + 0.5, 0, 1) * 255)
    assert off_by_more_than_one(page["image"], levels) <= 1e-3
    return page
