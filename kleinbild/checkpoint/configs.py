"""The config files of a diffusers folder -> ModelConfig, or a refusal that names the file and the key.

The page implements FLUX.2 Klein and nothing near it, so every switch that would change the arithmetic is
checked. A key may be absent only where the library's own default is the value that is implemented; sizes
must be there. Sources: transformers Qwen3Config; diffusers Flux2Transformer2DModel, AutoencoderKLFlux2,
FlowMatchEulerDiscreteScheduler, Flux2KleinPipeline. Keys that no arithmetic reads are ignored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kleinbild.checkpoint.json_file import ConfigFile, is_positive_number
from kleinbild.config import (
    ModelConfig,
    PromptConfig,
    SchedulerConfig,
    TextEncoderConfig,
    TransformerConfig,
    VaeDecoderConfig,
)
from kleinbild.errors import KleinbildError
from kleinbild.notice import Notice, read_notice
from kleinbild.suggestions import Suggestions, read_suggestions

INDEX_FILE = "model_index.json"
# Flux2KleinPipeline._get_qwen3_prompt_embeds: the chat template with one user turn and thinking switched off.
PROMPT = PromptConfig(
    text_seq_len=512,
    template_prefix="<|im_start|>user\n",
    template_suffix="<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
)
DEFAULT_TAPPED_LAYERS = (9, 18, 27)
DEFAULT_SIZE_PIXELS = 256
DEFAULT_STEPS = 4
VAE_NORM_EPS = 1e-6  # fixed in diffusers' vae.Decoder, in no config file
VAE_BLOCKS = 4  # three doublings after the 2x2 patches: one latent token is 16x16 pixels

MAX_WIDTH = 1 << 17
MAX_LAYERS = 1 << 10
HEAD_DIM_STEP = 8
TEXT_LENGTHS = (16, 4096)  # the chat template takes 12 tokens; the page's manifest ends at 4096

COMPONENTS = {
    "text_encoder": ("Qwen3ForCausalLM", "Qwen3Model"),
    "tokenizer": ("Qwen2Tokenizer", "Qwen2TokenizerFast"),
    "transformer": ("Flux2Transformer2DModel",),
    "vae": ("AutoencoderKLFlux2",),
    "scheduler": ("FlowMatchEulerDiscreteScheduler",),
}


@dataclass(frozen=True)
class ConfigFiles:
    """The config files of a checkpoint, as diffusers and transformers write them."""

    index: ConfigFile
    tokenizer: ConfigFile
    text_encoder: ConfigFile
    transformer: ConfigFile
    vae: ConfigFile
    scheduler: ConfigFile

    @staticmethod
    def read(folder: Path) -> ConfigFiles:
        """Those of the diffusers folder `folder`; raises KleinbildError naming one that is missing."""
        return ConfigFiles(
            index=ConfigFile.read(folder / INDEX_FILE),
            tokenizer=ConfigFile.read(folder / "tokenizer" / "tokenizer_config.json"),
            text_encoder=ConfigFile.read(folder / "text_encoder" / "config.json"),
            transformer=ConfigFile.read(folder / "transformer" / "config.json"),
            vae=ConfigFile.read(folder / "vae" / "config.json"),
            scheduler=ConfigFile.read(folder / "scheduler" / "scheduler_config.json"),
        )


def read_model_config(folder: Path) -> ModelConfig:
    """The ModelConfig of the diffusers folder `folder`; raises KleinbildError as `model_config` does."""
    return model_config(ConfigFiles.read(folder))


def model_config(files: ConfigFiles) -> ModelConfig:
    """The ModelConfig that `files` describe.

    Raises KleinbildError naming file and key when a key is missing, malformed, or asks for something that
    is not implemented.
    """
    index = files.index
    _check_pipeline(index)
    tapped = index.integers("text_encoder_out_layers", 1, MAX_LAYERS, DEFAULT_TAPPED_LAYERS)
    if not tapped or list(tapped) != sorted(set(tapped)):
        raise index.error("text_encoder_out_layers", "expected layer numbers in ascending order")
    _check_tokenizer(files.tokenizer)
    text_encoder = _text_encoder(files.text_encoder, tapped)
    transformer_file, vae_file = files.transformer, files.vae
    transformer = _transformer(transformer_file)
    vae_decoder = _vae_decoder(vae_file)
    if transformer.joint_attention_dim != len(tapped) * text_encoder.hidden_size:
        raise transformer_file.error(
            "joint_attention_dim",
            f"the text encoder gives {len(tapped)} layers of {text_encoder.hidden_size}, "
            f"{len(tapped) * text_encoder.hidden_size} in all; the parts belong to different models",
        )
    packed_channels = vae_decoder.latent_channels * vae_decoder.patch_size**2
    if transformer.in_channels != packed_channels:
        raise transformer_file.error(
            "in_channels",
            f'"latent_channels" of {vae_file.path} in 2x2 patches makes {packed_channels}; '
            "the parts belong to different models",
        )
    return ModelConfig(
        text_encoder=text_encoder,
        transformer=transformer,
        vae_decoder=vae_decoder,
        scheduler=_scheduler(files.scheduler),
        prompt=replace(
            PROMPT, text_seq_len=index.integer("kleinbild_text_seq_len", *TEXT_LENGTHS, PROMPT.text_seq_len)
        ),
        default_width=DEFAULT_SIZE_PIXELS,
        default_height=DEFAULT_SIZE_PIXELS,
        default_steps=DEFAULT_STEPS,
    )


def _check_pipeline(index: ConfigFile) -> None:
    index.require("_class_name", ["Flux2KleinPipeline"], "only Flux2KleinPipeline is implemented")
    index.require(
        "is_distilled",
        [True],
        "only the distilled model is implemented (the base model needs a second, unguided pass a step)",
        default=False,
    )
    for part, classes in COMPONENTS.items():
        value = index.get(part)
        if not isinstance(value, list) or len(value) != 2 or value[1] not in classes:
            raise index.error(part, f"expected {_alternatives(classes)}")


def _check_tokenizer(file: ConfigFile) -> None:
    file.require(
        "tokenizer_class", COMPONENTS["tokenizer"], f"expected {_alternatives(COMPONENTS['tokenizer'])}"
    )
    pad = file.get("pad_token")
    if (pad.get("content") if isinstance(pad, dict) else pad) != "<|endoftext|>":
        raise file.error("pad_token", "expected <|endoftext|>, with which the model was trained")
    for side in ("padding_side", "truncation_side"):
        file.require(side, ["right"], "only the right side is implemented", default="right")
    for key in ("add_prefix_space", "add_bos_token", "add_eos_token", "split_special_tokens"):
        file.require(key, [False, None], "only false is implemented", default=False)


def _text_encoder(file: ConfigFile, tapped: tuple[int, ...]) -> TextEncoderConfig:
    architectures = file.get("architectures")
    if not isinstance(architectures, list) or len(architectures) != 1:
        raise file.error("architectures", "expected one class")
    if architectures[0] not in COMPONENTS["text_encoder"]:
        raise file.error("architectures", f"expected {_alternatives(COMPONENTS['text_encoder'])}")
    file.require("model_type", ["qwen3"], "expected qwen3", default="qwen3")
    file.require("attention_bias", [False], "attention with biases is not implemented", default=False)
    file.require("hidden_act", ["silu"], "only silu is implemented", default="silu")
    file.require("use_sliding_window", [False], "sliding windows are not implemented", default=False)
    _refuse_quantised(file)
    layers = file.integer("num_hidden_layers", 1, MAX_LAYERS)
    if layers <= max(tapped):
        raise file.error(
            "num_hidden_layers",
            f"the state after layer {max(tapped)} is read, and the last layer's is already normed; "
            f"expected at least {max(tapped) + 1} layers",
        )
    types = file.get("layer_types", None)
    if types is not None and (not isinstance(types, list) or any(t != "full_attention" for t in types)):
        raise file.error("layer_types", "only full_attention is implemented")
    heads = file.integer("num_attention_heads", 1, MAX_LAYERS)
    key_value_heads = file.integer("num_key_value_heads", 1, MAX_LAYERS)
    if heads % key_value_heads:
        raise file.error("num_key_value_heads", f'"num_attention_heads", {heads}, is no multiple of it')
    return TextEncoderConfig(
        vocab_size=file.integer("vocab_size", 1, 1 << 20),
        hidden_size=file.integer("hidden_size", 1, MAX_WIDTH),
        intermediate_size=file.integer("intermediate_size", 1, MAX_WIDTH),
        num_layers=max(tapped),
        num_attention_heads=heads,
        num_key_value_heads=key_value_heads,
        head_dim=_head_dim(file, "head_dim"),
        rms_norm_eps=file.number("rms_norm_eps", 1e-6),
        rope_theta=_rope_theta(file),
        tapped_layers=tapped,
    )


def _rope_theta(file: ConfigFile) -> float:
    """`rope_theta` as transformers 4 ("rope_theta") or transformers 5 ("rope_parameters") saves it."""
    file.require("rope_scaling", [None], "scaled rotary embeddings are not implemented", default=None)
    parameters = file.get("rope_parameters", None)
    if parameters is None:
        return file.number("rope_theta")
    if not isinstance(parameters, dict) or not is_positive_number(parameters.get("rope_theta")):
        raise file.error("rope_parameters", 'expected an object whose "rope_theta" is a number above zero')
    if parameters.get("rope_type", "default") != "default":
        raise file.error("rope_parameters", 'only the "rope_type" default is implemented')
    if parameters.get("partial_rotary_factor", 1.0) != 1.0:
        raise file.error("rope_parameters", "partial rotary embeddings are not implemented")
    theta = float(parameters["rope_theta"])
    if file.number("rope_theta", theta) != theta:
        raise file.error("rope_theta", f'"rope_parameters" says {theta}; only one of them can be right')
    return theta


def _transformer(file: ConfigFile) -> TransformerConfig:
    _require_class(file, "transformer")
    file.require("guidance_embeds", [False], "guidance embeddings (FLUX.2-dev) are not implemented")
    file.require("patch_size", [1], "only 1 is implemented", default=1)
    _refuse_quantised(file)
    heads = file.integer("num_attention_heads", 1, MAX_LAYERS)
    head_dim = _head_dim(file, "attention_head_dim")
    hidden_size = heads * head_dim
    if hidden_size > MAX_WIDTH:
        raise file.error("num_attention_heads", f"{heads} heads of {head_dim} are wider than {MAX_WIDTH}")
    axes = file.integers("axes_dims_rope", 2, MAX_WIDTH, (32, 32, 32, 32))
    if len(axes) != 4 or sum(axes) != head_dim or any(axis % 2 for axis in axes):
        raise file.error(
            "axes_dims_rope", f'expected four even numbers that make "attention_head_dim", {head_dim}'
        )
    in_channels = file.integer("in_channels", 1, MAX_WIDTH)
    if file.get("out_channels", None) is not None and file.get("out_channels") != in_channels:
        raise file.error("out_channels", f'expected null or the value of "in_channels", {in_channels}')
    mlp_product = hidden_size * file.number("mlp_ratio", 3.0)
    mlp_hidden_size = round(min(mlp_product, MAX_WIDTH + 1))
    # A ratio of two sizes, times one of them, need not be exactly the other.
    if not 1 <= mlp_hidden_size <= MAX_WIDTH or not math.isclose(mlp_product, mlp_hidden_size):
        raise file.error("mlp_ratio", f"{hidden_size} times it must be a whole number up to {MAX_WIDTH}")
    timestep_channels = file.integer("timestep_guidance_channels", 2, MAX_WIDTH, 256)
    if timestep_channels % 2:
        raise file.error("timestep_guidance_channels", "expected an even number (half cosines, half sines)")
    return TransformerConfig(
        in_channels=in_channels,
        out_channels=in_channels,
        hidden_size=hidden_size,
        num_layers=file.integer("num_layers", 1, MAX_LAYERS),
        num_single_layers=file.integer("num_single_layers", 1, MAX_LAYERS),
        num_attention_heads=heads,
        attention_head_dim=head_dim,
        joint_attention_dim=file.integer("joint_attention_dim", 1, MAX_WIDTH),
        mlp_hidden_size=mlp_hidden_size,
        timestep_channels=timestep_channels,
        axes_dims_rope=axes,
        rope_theta=file.number("rope_theta", 2000),
        eps=file.number("eps", 1e-6),
    )


def _vae_decoder(file: ConfigFile) -> VaeDecoderConfig:
    _require_class(file, "vae")
    file.require("act_fn", ["silu"], "only silu is implemented", default="silu")
    file.require("use_post_quant_conv", [True], "only true is implemented", default=True)
    file.require("mid_block_add_attention", [True], "only true is implemented", default=True)
    file.require("out_channels", [3], "only pictures of 3 channels are implemented", default=3)
    if file.integers("patch_size", 1, 64, (2, 2)) != (2, 2):
        raise file.error("patch_size", "only [2, 2] is implemented")
    up_blocks = ["UpDecoderBlock2D"] * VAE_BLOCKS
    file.require(
        "up_block_types", [up_blocks], f"only {VAE_BLOCKS} x UpDecoderBlock2D is implemented", up_blocks
    )
    groups = file.integer("norm_num_groups", 1, MAX_WIDTH)
    # The small decoder of FLUX.2 has widths of its own beside an unchanged encoder.
    own_widths = file.get("decoder_block_out_channels", None) is not None
    key = "decoder_block_out_channels" if own_widths else "block_out_channels"
    widths = file.integers(key, 1, MAX_WIDTH)
    if len(widths) != VAE_BLOCKS or any(width % groups for width in widths):
        raise file.error(key, f'expected {VAE_BLOCKS} multiples of "norm_num_groups", {groups}')
    return VaeDecoderConfig(
        latent_channels=file.integer("latent_channels", 1, MAX_WIDTH),
        out_channels=3,
        block_out_channels=widths,
        layers_per_block=file.integer("layers_per_block", 1, 64),
        norm_num_groups=groups,
        norm_eps=VAE_NORM_EPS,
        patch_size=2,
        batch_norm_eps=file.number("batch_norm_eps", 1e-4),
    )


def _scheduler(file: ConfigFile) -> SchedulerConfig:
    _require_class(file, "scheduler")
    file.require(
        "use_dynamic_shifting", [True], "only true is implemented (the shift follows the picture's size)"
    )
    file.require("time_shift_type", ["exponential"], "only exponential is implemented", default="exponential")
    file.require("shift_terminal", [None], "only null is implemented", default=None)
    for key in (
        "invert_sigmas",
        "stochastic_sampling",
        "use_karras_sigmas",
        "use_exponential_sigmas",
        "use_beta_sigmas",
    ):
        file.require(key, [False], "only false is implemented", default=False)
    file.require("num_train_timesteps", [1000], "only 1000 is implemented", default=1000)
    return SchedulerConfig(num_train_timesteps=1000)


def _require_class(file: ConfigFile, part: str) -> None:
    classes = COMPONENTS[part]
    file.require("_class_name", classes, f"expected {_alternatives(classes)}")


def _refuse_quantised(file: ConfigFile) -> None:
    if file.get("quantization_config", None) is not None:
        raise file.error("quantization_config", "the weights are already quantised; use the bf16 checkpoint")


def _head_dim(file: ConfigFile, key: str) -> int:
    value = file.integer(key, HEAD_DIM_STEP, 1 << 10)
    if value % HEAD_DIM_STEP:
        raise file.error(key, f"expected a multiple of {HEAD_DIM_STEP}")
    return value


def _alternatives(names: Sequence[str]) -> str:
    return " or ".join(names)


def read_name(index: ConfigFile, default: str | None = None) -> str:
    """Name of the checkpoint: "name" of model_index.json, or `default`, or the folder's own name."""
    name = index.text("name", 100, default or index.path.parent.resolve().name).strip()
    if not name or "\n" in name:
        raise KleinbildError(f'{index.path}: the model has no name; set "name" to a short one on one line')
    return name


def read_index_notice(index: ConfigFile) -> Notice:
    """What the page is to tell its user about the model: "kleinbild_notice" of model_index.json, or {}."""
    return read_notice(index.get("kleinbild_notice", ""), str(index.path))


def read_index_suggestions(index: ConfigFile) -> Suggestions:
    """What the model suggests: "kleinbild_examples" and "kleinbild_sizes" of model_index.json, or nothing."""
    examples, sizes = index.get("kleinbild_examples", []), index.get("kleinbild_sizes", [])
    return read_suggestions(examples, sizes, str(index.path))
