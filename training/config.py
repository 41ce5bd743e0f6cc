"""The sizes of the model that is trained, and the config files of a checkpoint that say them.

Two models: `MINI`, which the repository ships, and `SMOKE`, with which the tests run every stage in seconds.
The files have the keys of diffusers and transformers, which kleinbild/checkpoint reads; what those libraries
do not know (the text's length, examples, sizes) stands in model_index.json under names of our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NAME = "Mini"
NOTICE = {
    "ar": (
        "هذا Mini، نموذج صغير للتجربة: يرسم مشاهد بسيطة من أشكال ملوّنة ولا يعرف غيرها، ولا يفهم إلا "
        "الإنجليزية. للحصول على صور لأي شيء آخر أضف FLUX.2 Klein 4B، وستجد الطريقة في صفحة «النماذج»."
    ),
    "de": (
        "Das ist Mini, ein kleines Modell zum Ausprobieren: Es malt einfache Szenen aus farbigen "
        "Formen, kennt sonst nichts und versteht nur Englisch. Für Bilder von allem Möglichen gibt "
        "es FLUX.2 Klein 4B; wie man es bekommt, steht unter „Modelle“."
    ),
    "en": (
        "This is Mini, a small model to try things out with: it draws simple scenes of coloured "
        "shapes and knows nothing else. For pictures of anything, get FLUX.2 Klein 4B: “Models” says "
        "how."
    ),
}
EXAMPLES = (
    "a red circle on a white background",
    "a small yellow star to the left of a large blue square on a white background",
    "a red sailing boat with white sails on the blue sea under a light blue sky with the sun",
    "grey mountains with snow on top behind a green meadow under a pink sky",
    "a pink flower with a yellow middle on a green meadow under a light blue sky",
    "a happy yellow face on a light blue background",
)
SIZES = ((256, 256), (128, 128), (256, 192), (192, 256))
TEMPLATE_TOKENS = 12  # what the chat template adds to every prompt


@dataclass(frozen=True)
class TextEncoderSizes:
    """Qwen3 decoder. The state after the last tap is never normed, so one more layer, which changes nothing,
    stands behind it in the checkpoint."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    tapped_layers: tuple[int, ...]
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0

    @property
    def num_layers(self) -> int:
        return max(self.tapped_layers)


@dataclass(frozen=True)
class TransformerSizes:
    """Flux2Transformer2DModel."""

    in_channels: int
    num_layers: int
    num_single_layers: int
    num_attention_heads: int
    attention_head_dim: int
    mlp_ratio: float
    axes_dims_rope: tuple[int, int, int, int]
    joint_attention_dim: int
    timestep_channels: int = 256
    rope_theta: float = 100.0  # a picture is at most some 16 tokens wide, so no slow angles
    eps: float = 1e-6

    @property
    def hidden_size(self) -> int:
        return self.num_attention_heads * self.attention_head_dim

    @property
    def mlp_hidden_size(self) -> int:
        return round(self.hidden_size * self.mlp_ratio)


@dataclass(frozen=True)
class VaeSizes:
    """AutoencoderKLFlux2 whose encoder is narrower than its decoder."""

    encoder_channels: tuple[int, int, int, int]
    decoder_channels: tuple[int, int, int, int]
    latent_channels: int
    layers_per_block: int
    norm_num_groups: int
    batch_norm_eps: float = 1e-4


@dataclass(frozen=True)
class Sizes:
    """One model."""

    text_seq_len: int
    text_encoder: TextEncoderSizes
    transformer: TransformerSizes
    vae: VaeSizes


def _sizes(
    text_seq_len: int,
    text_encoder: TextEncoderSizes,
    vae: VaeSizes,
    *,
    blocks: tuple[int, int],
    heads: tuple[int, int],
    mlp_ratio: float,
    axes: tuple[int, int, int, int],
) -> Sizes:
    transformer = TransformerSizes(
        in_channels=4 * vae.latent_channels,
        num_layers=blocks[0],
        num_single_layers=blocks[1],
        num_attention_heads=heads[0],
        attention_head_dim=heads[1],
        mlp_ratio=mlp_ratio,
        axes_dims_rope=axes,
        joint_attention_dim=len(text_encoder.tapped_layers) * text_encoder.hidden_size,
    )
    return Sizes(text_seq_len, text_encoder, transformer, vae)


MINI = _sizes(
    64,
    TextEncoderSizes(1024, 128, 256, 4, 2, 32, (2, 3, 4)),
    VaeSizes((32, 32, 64, 64), (32, 48, 64, 64), 16, 1, 8),
    blocks=(1, 6),
    heads=(6, 32),
    mlp_ratio=2.0,
    axes=(4, 12, 12, 4),
)
SMOKE = _sizes(
    64,
    TextEncoderSizes(512, 32, 32, 2, 1, 16, (1, 2)),
    VaeSizes((8, 8, 16, 16), (8, 8, 16, 16), 8, 1, 4),
    blocks=(1, 1),
    heads=(2, 16),
    mlp_ratio=2.0,
    axes=(4, 4, 4, 4),
)
MODELS = {"mini": MINI, "smoke": SMOKE}


def config_files(sizes: Sizes) -> dict[str, dict[str, Any]]:
    """Path in the checkpoint's folder -> content, for every config file but the tokenizer's."""
    return {
        "model_index.json": _model_index(sizes),
        "text_encoder/config.json": _text_encoder(sizes.text_encoder),
        "transformer/config.json": _transformer(sizes.transformer),
        "vae/config.json": _vae(sizes.vae),
        "scheduler/scheduler_config.json": {
            "_class_name": "FlowMatchEulerDiscreteScheduler",
            "num_train_timesteps": 1000,
            "shift": 3.0,
            "shift_terminal": None,
            "time_shift_type": "exponential",
            "use_dynamic_shifting": True,
        },
    }


def _model_index(sizes: Sizes) -> dict[str, Any]:
    return {
        "_class_name": "Flux2KleinPipeline",
        "is_distilled": True,
        "kleinbild_examples": list(EXAMPLES),
        "kleinbild_notice": NOTICE,
        "kleinbild_sizes": [list(size) for size in SIZES],
        "kleinbild_text_seq_len": sizes.text_seq_len,
        "name": NAME,
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "Qwen3ForCausalLM"],
        "text_encoder_out_layers": list(sizes.text_encoder.tapped_layers),
        "tokenizer": ["transformers", "Qwen2Tokenizer"],
        "transformer": ["diffusers", "Flux2Transformer2DModel"],
        "vae": ["diffusers", "AutoencoderKLFlux2"],
    }


def _text_encoder(sizes: TextEncoderSizes) -> dict[str, Any]:
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "attention_bias": False,
        "dtype": "bfloat16",
        "head_dim": sizes.head_dim,
        "hidden_act": "silu",
        "hidden_size": sizes.hidden_size,
        "intermediate_size": sizes.intermediate_size,
        "max_position_embeddings": 4096,
        "model_type": "qwen3",
        "num_attention_heads": sizes.num_attention_heads,
        "num_hidden_layers": sizes.num_layers + 1,
        "num_key_value_heads": sizes.num_key_value_heads,
        "rms_norm_eps": sizes.rms_norm_eps,
        "rope_theta": sizes.rope_theta,
        "tie_word_embeddings": True,
        "use_sliding_window": False,
        "vocab_size": sizes.vocab_size,
    }


def _transformer(sizes: TransformerSizes) -> dict[str, Any]:
    return {
        "_class_name": "Flux2Transformer2DModel",
        "attention_head_dim": sizes.attention_head_dim,
        "axes_dims_rope": list(sizes.axes_dims_rope),
        "eps": sizes.eps,
        "guidance_embeds": False,
        "in_channels": sizes.in_channels,
        "joint_attention_dim": sizes.joint_attention_dim,
        "mlp_ratio": sizes.mlp_ratio,
        "num_attention_heads": sizes.num_attention_heads,
        "num_layers": sizes.num_layers,
        "num_single_layers": sizes.num_single_layers,
        "out_channels": None,
        "patch_size": 1,
        "rope_theta": sizes.rope_theta,
        "timestep_guidance_channels": sizes.timestep_channels,
    }


def _vae(sizes: VaeSizes) -> dict[str, Any]:
    levels = len(sizes.encoder_channels)
    return {
        "_class_name": "AutoencoderKLFlux2",
        "act_fn": "silu",
        "batch_norm_eps": sizes.batch_norm_eps,
        "block_out_channels": list(sizes.encoder_channels),
        "decoder_block_out_channels": list(sizes.decoder_channels),
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "in_channels": 3,
        "latent_channels": sizes.latent_channels,
        "layers_per_block": sizes.layers_per_block,
        "mid_block_add_attention": True,
        "norm_num_groups": sizes.norm_num_groups,
        "out_channels": 3,
        "patch_size": [2, 2],
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "use_post_quant_conv": True,
        "use_quant_conv": True,
    }
