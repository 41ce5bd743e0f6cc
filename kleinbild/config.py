"""The numbers that define a model, shared by export, bundle, manifest and page.

Each field comes from a config file of the checkpoint or from the bundle's own record of it; nothing here is a
default of one particular model. The same field names stand in the manifest under "config".
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, get_args, get_origin, get_type_hints

from kleinbild.errors import KleinbildError

MAX_EXACT_INTEGER = 1 << 53


@dataclass(frozen=True)
class TextEncoderConfig:
    """Qwen3 decoder used as a text encoder: the residual stream is tapped after `tapped_layers` layers."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rms_norm_eps: float
    rope_theta: float
    tapped_layers: tuple[int, ...]


@dataclass(frozen=True)
class TransformerConfig:
    """Flux2Transformer2DModel: double stream blocks, then single stream blocks."""

    in_channels: int
    out_channels: int
    hidden_size: int
    num_layers: int
    num_single_layers: int
    num_attention_heads: int
    attention_head_dim: int
    joint_attention_dim: int
    mlp_hidden_size: int
    timestep_channels: int
    axes_dims_rope: tuple[int, ...]
    rope_theta: float
    eps: float


@dataclass(frozen=True)
class VaeDecoderConfig:
    """Decoder half of AutoencoderKLFlux2, with the batch norm of its packed latents."""

    latent_channels: int
    out_channels: int
    block_out_channels: tuple[int, ...]
    layers_per_block: int
    norm_num_groups: int
    norm_eps: float
    patch_size: int
    batch_norm_eps: float


@dataclass(frozen=True)
class SchedulerConfig:
    """FlowMatchEulerDiscreteScheduler with exponential dynamic shifting."""

    num_train_timesteps: int


@dataclass(frozen=True)
class PromptConfig:
    """How a prompt becomes the transformer's context.

    Tokens: prefix + prompt + suffix, cut and padded to `text_seq_len`. The text encoder's output is brought
    into [-context_clip, context_clip]; 0: it stays as it is.
    """

    text_seq_len: int
    template_prefix: str
    template_suffix: str
    context_clip: float = 0.0


@dataclass(frozen=True)
class ModelConfig:
    """Everything the page must know to run the model."""

    text_encoder: TextEncoderConfig
    transformer: TransformerConfig
    vae_decoder: VaeDecoderConfig
    scheduler: SchedulerConfig
    prompt: PromptConfig
    default_width: int
    default_height: int
    default_steps: int


def config_to_json(config: ModelConfig) -> dict[str, Any]:
    """`config` as plain JSON values (tuples become lists)."""
    result: dict[str, Any] = asdict(config)
    return result


def config_from_json(value: object, where: str = "config") -> ModelConfig:
    """The ModelConfig that `config_to_json` wrote.

    Raises KleinbildError naming the field when one is missing, unknown or of the wrong type.
    """
    result = _read(ModelConfig, value, where)
    assert isinstance(result, ModelConfig)
    return result


def _read(kind: Any, value: object, where: str) -> object:
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise KleinbildError(f"{where}: expected a list, found {value!r}")
        return tuple(_read(get_args(kind)[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if kind is float and (type(value) is float or (type(value) is int and abs(value) <= MAX_EXACT_INTEGER)):
        return float(value)
    if kind in (int, str):
        if type(value) is not kind:
            raise KleinbildError(f"{where}: expected {kind.__name__}, found {value!r}")
        return value
    if kind is float or not isinstance(value, dict):
        raise KleinbildError(f"{where}: expected {kind.__name__}, found {value!r}")
    hints = get_type_hints(kind)
    names = [f.name for f in fields(kind)]
    for name in names:
        if name not in value:
            raise KleinbildError(f"{where}: field {name!r} is missing")
    for name in value:
        if name not in hints:
            raise KleinbildError(f"{where}: unknown field {name!r}")
    return kind(**{name: _read(hints[name], value[name], f"{where}.{name}") for name in names})
