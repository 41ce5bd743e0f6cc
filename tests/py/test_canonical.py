"""The canonical tensor list, held against the published parameter counts of FLUX.2 Klein 4B."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from kleinbild.canonical import EMBEDDING, STAGES, expected_tensors
from kleinbild.checkpoint.configs import PROMPT
from kleinbild.config import (
    ModelConfig,
    SchedulerConfig,
    TextEncoderConfig,
    TransformerConfig,
    VaeDecoderConfig,
)

KLEIN_4B = ModelConfig(
    text_encoder=TextEncoderConfig(151936, 2560, 9728, 27, 32, 8, 128, 1e-6, 1e6, (9, 18, 27)),
    transformer=TransformerConfig(
        128, 128, 3072, 5, 20, 24, 128, 7680, 9216, 256, (32, 32, 32, 32), 2000.0, 1e-6
    ),
    vae_decoder=VaeDecoderConfig(32, 3, (128, 256, 512, 512), 2, 32, 1e-6, 2, 1e-4),
    scheduler=SchedulerConfig(1000),
    prompt=PROMPT,
    default_width=256,
    default_height=256,
    default_steps=4,
)


def count(stage: str, *, config: ModelConfig = KLEIN_4B, **match: Any) -> int:
    """Parameters of the tensors of `stage` whose kind is `kind`, or all."""
    specs = expected_tensors(config)[stage].values()
    return sum(math.prod(s.shape) for s in specs if match.get("kind", s.kind) == s.kind)


def test_parameter_counts_of_klein_4b() -> None:
    assert tuple(expected_tensors(KLEIN_4B)) == STAGES
    assert count("transformer") == 3_875_544_576
    assert count("transformer", kind="vector") == 7_680
    assert count("text_encoder", kind="embedding") == 388_956_160
    assert count("text_encoder", kind="linear") == 2_724_986_880
    assert count("text_encoder", kind="vector") == 145_152
    assert count("vae_decoder") == 49_620_259 + 256  # and the batch norm of 2 x 128
    small = replace(
        KLEIN_4B, vae_decoder=replace(KLEIN_4B.vae_decoder, block_out_channels=(96, 192, 384, 384))
    )
    assert round(count("vae_decoder", config=small) / 1e6, 1) == 27.9


def test_order_of_use() -> None:
    tensors = expected_tensors(KLEIN_4B)
    text = list(tensors["text_encoder"])
    assert text[0] == EMBEDDING
    assert text[-1] == "model.layers.26.mlp.down_proj.weight"
    transformer = list(tensors["transformer"])
    assert transformer[0] == "time_guidance_embed.timestep_embedder.linear_1.weight"
    assert transformer[-1] == "proj_out.weight"
    positions = [
        transformer.index(name)
        for name in (
            "x_embedder.weight",
            "transformer_blocks.0.attn.to_q.weight",
            "transformer_blocks.4.ff_context.linear_out.weight",
            "single_transformer_blocks.0.attn.to_qkv_mlp_proj.weight",
            "single_transformer_blocks.19.attn.to_out.weight",
        )
    ]
    assert positions == sorted(positions)
    vae = list(tensors["vae_decoder"])
    assert vae[:4] == ["bn.scale", "bn.mean", "post_quant_conv.weight", "post_quant_conv.bias"]
    assert vae[-1] == "decoder.conv_out.bias"


def test_shapes_and_kinds() -> None:
    tensors = expected_tensors(KLEIN_4B)
    expected = {
        ("text_encoder", "model.layers.0.self_attn.k_proj.weight"): ("linear", (1024, 2560)),
        ("text_encoder", "model.layers.0.self_attn.o_proj.weight"): ("linear", (2560, 4096)),
        ("transformer", "context_embedder.weight"): ("linear", (3072, 7680)),
        ("transformer", "double_stream_modulation_img.linear.weight"): ("linear", (18432, 3072)),
        ("transformer", "single_transformer_blocks.7.attn.to_qkv_mlp_proj.weight"): ("linear", (27648, 3072)),
        ("transformer", "single_transformer_blocks.7.attn.to_out.weight"): ("linear", (3072, 12288)),
        ("vae_decoder", "bn.scale"): ("vector", (128,)),
        ("vae_decoder", "decoder.up_blocks.2.resnets.0.conv_shortcut.weight"): ("conv", (256, 512, 1, 1)),
        ("vae_decoder", "decoder.mid_block.attentions.0.to_out.0.weight"): ("linear", (512, 512)),
        ("vae_decoder", "decoder.conv_in.weight"): ("conv", (512, 32, 3, 3)),
    }
    for (stage, name), (kind, shape) in expected.items():
        spec = tensors[stage][name]
        assert (spec.kind, spec.shape) == (kind, shape), name
    shortcuts = [name for name in tensors["vae_decoder"] if name.endswith("conv_shortcut.weight")]
    assert shortcuts == [f"decoder.up_blocks.{i}.resnets.0.conv_shortcut.weight" for i in (2, 3)]
    assert "decoder.up_blocks.3.upsamplers.0.conv.weight" not in tensors["vae_decoder"]
