"""Another exporter's bundle, packaged as it is, gives what its own graphs give in float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jobs import Draw, Job
from reference import off_by_more_than_one, relative_error
from seedlike import GOLDEN, unpack_seedlike

from kleinbild.package.site import build_site
from kleinbild.package.source import ExportOptions

# The graphs' softmax scale is stored in float16, and their context is handed on in float16; the page rounds
# neither. Measured: 2e-4 for the context and the decoder, 3e-5 for the latents.
BAR = 1e-3
SIDE_TOKENS = 4


def test_page_equals_the_graphs(tmp_path: Path, draw: Draw) -> None:
    """Arrays of the graphs' float32 copy, run by ONNX Runtime on the stored codes and scales."""
    bundle = unpack_seedlike(tmp_path / "bundle")
    build_site([str(bundle)], tmp_path / "dist", options=ExportOptions(), log=lambda _: None)
    golden = np.load(GOLDEN / "seedlike_p0.npz")
    latents = golden["latents_init"][0].T.reshape(-1, SIDE_TOKENS, SIDE_TOKENS)
    side = 16 * SIDE_TOKENS
    job = Job(
        tmp_path / "dist", prompt=str(golden["prompt"]), width=side, height=side, steps=4, latents=latents
    )
    [page] = draw([job])
    for name in ("input_ids", "attention_mask"):
        assert np.array_equal(page[name], golden[name][0]), name
    assert relative_error(page["sigmas"], golden["sigmas"]) < 1e-6
    for name, key in (
        ("prompt_embeds", "f32_ctx"),
        ("latents_3", "f32_latents_final"),
        ("decoded", "f32_image"),
    ):
        assert relative_error(page[name], golden[key][0]) < BAR, name
    assert off_by_more_than_one(page["image"], golden["f32_image_u8"]) <= 1e-3
