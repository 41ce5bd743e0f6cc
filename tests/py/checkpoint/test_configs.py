"""Config files: what is read from them, and a refusal that names file and key for everything not
implemented.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from checkpoint_factory import REMOVE, make_checkpoint

from kleinbild.checkpoint.configs import PROMPT, read_index_notice, read_model_config, read_name
from kleinbild.checkpoint.json_file import ConfigFile
from kleinbild.checkpoint.tiny import TINY_FOLDER
from kleinbild.config import (
    ModelConfig,
    SchedulerConfig,
    TextEncoderConfig,
    TransformerConfig,
    VaeDecoderConfig,
)
from kleinbild.errors import KleinbildError

TINY = ModelConfig(
    text_encoder=TextEncoderConfig(2048, 32, 64, 27, 4, 2, 16, 1e-6, 1e6, (9, 18, 27)),
    transformer=TransformerConfig(128, 128, 64, 2, 2, 2, 32, 96, 192, 256, (8, 8, 8, 8), 2000.0, 1e-6),
    vae_decoder=VaeDecoderConfig(32, 3, (32, 32, 64, 64), 2, 32, 1e-6, 2, 1e-4),
    scheduler=SchedulerConfig(1000),
    prompt=PROMPT,
    default_width=256,
    default_height=256,
    default_steps=4,
)

FILES = {
    "te": "text_encoder/config.json",
    "transformer": "transformer/config.json",
    "vae": "vae/config.json",
    "scheduler": "scheduler/scheduler_config.json",
    "tokenizer": "tokenizer/tokenizer_config.json",
    "model_index": "model_index.json",
}


def test_the_tiny_model() -> None:
    assert read_model_config(TINY_FOLDER) == TINY


def test_the_published_model(tmp_path: Path) -> None:
    """The numbers of FLUX.2 Klein 4B as published, in the form transformers 4 saves."""
    folder = make_checkpoint(
        tmp_path,
        te={
            "vocab_size": 151936,
            "hidden_size": 2560,
            "intermediate_size": 9728,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "rope_theta": 1000000,
            "rope_parameters": REMOVE,
            "rope_scaling": None,
        },
        transformer={
            "num_layers": 5,
            "num_single_layers": 20,
            "attention_head_dim": 128,
            "num_attention_heads": 24,
            "joint_attention_dim": 7680,
        },
        vae={"block_out_channels": [128, 256, 512, 512], "force_upcast": True},
        weights=False,
    )
    config = read_model_config(folder)
    assert config.text_encoder == TextEncoderConfig(
        151936, 2560, 9728, 27, 32, 8, 128, 1e-6, 1e6, (9, 18, 27)
    )
    assert config.transformer == TransformerConfig(
        128, 128, 3072, 5, 20, 24, 128, 7680, 9216, 256, (32, 32, 32, 32), 2000.0, 1e-6
    )
    assert config.vae_decoder == replace(TINY.vae_decoder, block_out_channels=(128, 256, 512, 512))


OPTIONAL = {
    "te": [
        "attention_bias",
        "hidden_act",
        "model_type",
        "rms_norm_eps",
        "use_sliding_window",
        "layer_types",
    ],
    "transformer": [
        "patch_size",
        "out_channels",
        "timestep_guidance_channels",
        "mlp_ratio",
        "rope_theta",
        "eps",
    ],
    "vae": [
        "act_fn",
        "use_post_quant_conv",
        "mid_block_add_attention",
        "out_channels",
        "patch_size",
        "up_block_types",
        "decoder_block_out_channels",
        "batch_norm_eps",
    ],
    "scheduler": [
        "time_shift_type",
        "shift_terminal",
        "invert_sigmas",
        "stochastic_sampling",
        "use_karras_sigmas",
        "use_exponential_sigmas",
        "use_beta_sigmas",
        "num_train_timesteps",
    ],
    "tokenizer": ["add_prefix_space", "split_special_tokens"],
}


def test_optional_keys_have_the_libraries_defaults(tmp_path: Path) -> None:
    overrides: dict[str, Any] = {part: dict.fromkeys(keys, REMOVE) for part, keys in OPTIONAL.items()}
    assert read_model_config(make_checkpoint(tmp_path, weights=False, **overrides)) == TINY


REQUIRED = {
    "te": [
        "architectures",
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
    ],
    "transformer": [
        "_class_name",
        "guidance_embeds",
        "num_attention_heads",
        "attention_head_dim",
        "in_channels",
        "num_layers",
        "num_single_layers",
        "joint_attention_dim",
    ],
    "vae": ["_class_name", "norm_num_groups", "block_out_channels", "latent_channels", "layers_per_block"],
    "scheduler": ["_class_name", "use_dynamic_shifting"],
    "tokenizer": ["tokenizer_class", "pad_token"],
    "model_index": ["_class_name", "text_encoder", "tokenizer", "transformer", "vae", "scheduler"],
}


@pytest.mark.parametrize(("part", "key"), [(part, key) for part, keys in REQUIRED.items() for key in keys])
def test_a_missing_key_is_named(tmp_path: Path, part: str, key: str) -> None:
    folder = make_checkpoint(tmp_path, weights=False)
    path = folder / FILES[part]
    values = json.loads(path.read_text())
    del values[key]
    path.write_text(json.dumps(values))
    with pytest.raises(KleinbildError) as error:
        read_model_config(folder)
    assert str(error.value).startswith(f'{path}: "{key}" is missing')


BAD_VALUES: list[tuple[str, str, object]] = [
    ("te", "architectures", ["MistralForCausalLM"]),
    ("te", "architectures", []),
    ("te", "architectures", [["Qwen3ForCausalLM"]]),
    ("te", "model_type", "qwen2"),
    ("te", "attention_bias", True),
    ("te", "attention_bias", 0),
    ("te", "hidden_act", "gelu"),
    ("te", "use_sliding_window", True),
    ("te", "layer_types", ["full_attention"] * 27 + ["sliding_attention"]),
    ("te", "rope_scaling", {"rope_type": "yarn", "factor": 4.0}),
    ("te", "rope_parameters", {"rope_type": "yarn", "rope_theta": 1e6}),
    ("te", "rope_parameters", {"rope_type": "default"}),
    ("te", "rope_parameters", {"rope_theta": 1e6, "partial_rotary_factor": 0.5}),
    ("te", "rope_parameters", {"full_attention": {"rope_theta": 1e6}}),
    ("te", "rope_theta", 5000000),  # at odds with rope_parameters
    ("te", "quantization_config", {"bits": 4}),
    ("te", "num_hidden_layers", 27),
    ("te", "num_key_value_heads", 3),
    ("te", "head_dim", 20),
    ("te", "head_dim", 0),
    ("te", "vocab_size", 0),
    ("te", "vocab_size", 1 << 30),
    ("te", "vocab_size", 2048.0),
    ("te", "hidden_size", -32),
    ("te", "hidden_size", True),
    ("te", "intermediate_size", "64"),
    ("te", "rms_norm_eps", 0),
    ("te", "rms_norm_eps", "1e-6"),
    ("transformer", "_class_name", "FluxTransformer2DModel"),
    ("transformer", "guidance_embeds", True),
    ("transformer", "patch_size", 2),
    ("transformer", "attention_head_dim", 36),
    ("transformer", "axes_dims_rope", [8, 8, 8, 16]),
    ("transformer", "axes_dims_rope", [16, 16]),
    ("transformer", "axes_dims_rope", [7, 9, 8, 8]),
    ("transformer", "axes_dims_rope", "8888"),
    ("transformer", "out_channels", 64),
    ("transformer", "in_channels", 64),
    ("transformer", "joint_attention_dim", 100),
    ("transformer", "mlp_ratio", 3.01),
    ("transformer", "mlp_ratio", 1e308),
    ("transformer", "timestep_guidance_channels", 255),
    ("transformer", "num_single_layers", 0),
    ("transformer", "num_attention_heads", 1 << 40),
    ("transformer", "rope_theta", -2000),
    ("transformer", "quantization_config", {"quant_method": "bitsandbytes"}),
    ("vae", "_class_name", "AutoencoderKL"),
    ("vae", "act_fn", "mish"),
    ("vae", "use_post_quant_conv", False),
    ("vae", "mid_block_add_attention", False),
    ("vae", "out_channels", 4),
    ("vae", "patch_size", [1, 1]),
    ("vae", "patch_size", 2),
    ("vae", "up_block_types", ["UpDecoderBlock2D"] * 3),
    ("vae", "up_block_types", ["AttnUpDecoderBlock2D"] * 4),
    ("vae", "block_out_channels", [32, 32, 64]),
    ("vae", "block_out_channels", [32, 32, 64, 65]),
    ("vae", "decoder_block_out_channels", [32, 48, 64, 64]),
    ("vae", "batch_norm_eps", False),
    ("scheduler", "_class_name", "EulerDiscreteScheduler"),
    ("scheduler", "use_dynamic_shifting", False),
    ("scheduler", "time_shift_type", "linear"),
    ("scheduler", "shift_terminal", 0.02),
    ("scheduler", "invert_sigmas", True),
    ("scheduler", "stochastic_sampling", True),
    ("scheduler", "use_karras_sigmas", True),
    ("scheduler", "use_exponential_sigmas", True),
    ("scheduler", "use_beta_sigmas", True),
    ("scheduler", "num_train_timesteps", 999),
    ("tokenizer", "tokenizer_class", "LlamaTokenizer"),
    ("tokenizer", "pad_token", "<|im_end|>"),
    ("tokenizer", "padding_side", "left"),
    ("tokenizer", "truncation_side", "left"),
    ("tokenizer", "add_bos_token", True),
    ("model_index", "_class_name", "Flux2Pipeline"),
    ("model_index", "is_distilled", False),
    ("model_index", "is_distilled", 1),
    ("model_index", "text_encoder", ["transformers", "Mistral3ForConditionalGeneration"]),
    ("model_index", "vae", [None, None]),
    ("model_index", "transformer", "Flux2Transformer2DModel"),
    ("model_index", "text_encoder_out_layers", [9, 9, 18]),
    ("model_index", "text_encoder_out_layers", [18, 9]),
    ("model_index", "text_encoder_out_layers", [0, 9]),
    ("model_index", "text_encoder_out_layers", []),
    ("model_index", "kleinbild_text_seq_len", 15),
    ("model_index", "kleinbild_text_seq_len", 4097),
    ("model_index", "kleinbild_text_seq_len", 64.0),
    ("model_index", "kleinbild_text_seq_len", "64"),
    ("model_index", "kleinbild_text_seq_len", True),
]


@pytest.mark.parametrize(("part", "key", "value"), BAD_VALUES)
def test_what_is_not_implemented_is_refused_by_name(
    tmp_path: Path, part: str, key: str, value: object
) -> None:
    folder = make_checkpoint(tmp_path, weights=False)
    path = folder / FILES[part]
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(KleinbildError) as error:
        read_model_config(folder)
    assert str(error.value).startswith(f'{path}: "{key}" is ')


def test_is_distilled_must_be_said(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, weights=False, model_index={"is_distilled": REMOVE})
    with pytest.raises(KleinbildError, match=r'model_index\.json: "is_distilled" is missing'):
        read_model_config(folder)


@pytest.mark.parametrize("path", FILES.values())
def test_a_missing_or_broken_file_is_named(tmp_path: Path, path: str) -> None:
    file = make_checkpoint(tmp_path, weights=False) / path
    file.write_bytes(b"<html>404</html>")
    with pytest.raises(KleinbildError) as error:
        read_model_config(tmp_path)
    assert str(error.value).startswith(f"{file}: not valid JSON")
    file.unlink()
    with pytest.raises(KleinbildError) as error:
        read_model_config(tmp_path)
    assert str(error.value).startswith(f"{file}: no such file")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[]", "expected a JSON object"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b" " * (5 << 20), "larger than"),
    ],
)
def test_hostile_config_files(tmp_path: Path, content: bytes, message: str) -> None:
    (make_checkpoint(tmp_path, weights=False) / "vae" / "config.json").write_bytes(content)
    with pytest.raises(KleinbildError, match=message):
        read_model_config(tmp_path)


def test_rope_theta_of_either_generation(tmp_path: Path) -> None:
    old: dict[str, Any] = {"rope_theta": 5000000, "rope_parameters": REMOVE}
    new: dict[str, Any] = {"rope_parameters": {"rope_type": "default", "rope_theta": 5e6}}
    both: dict[str, Any] = {"rope_theta": 5e6} | new
    for i, te in enumerate((old, new, both)):
        config = read_model_config(make_checkpoint(tmp_path / str(i), te=te, weights=False))
        assert config.text_encoder.rope_theta == 5e6
    with pytest.raises(KleinbildError, match='"rope_theta" is missing'):
        read_model_config(make_checkpoint(tmp_path / "none", te={"rope_parameters": REMOVE}, weights=False))


def test_other_tapped_layers(tmp_path: Path) -> None:
    layers = {"text_encoder_out_layers": [2, 5]}
    config = read_model_config(
        make_checkpoint(tmp_path, model_index=layers, te={"num_hidden_layers": 6}, weights=False)
    )
    assert config.text_encoder.tapped_layers == (2, 5)
    assert config.text_encoder.num_layers == 5
    assert config.transformer.joint_attention_dim == 64


def test_the_small_decoder(tmp_path: Path) -> None:
    widths = [32, 64, 96, 96]
    config = read_model_config(
        make_checkpoint(tmp_path, vae={"decoder_block_out_channels": widths}, weights=False)
    )
    assert config.vae_decoder.block_out_channels == tuple(widths)


def test_a_pad_token_saved_as_an_object(tmp_path: Path) -> None:
    pad = {"pad_token": {"content": "<|endoftext|>", "special": True}}
    assert read_model_config(make_checkpoint(tmp_path, tokenizer=pad, weights=False)) == TINY


@pytest.mark.parametrize("length", [16, 64, 4096])
def test_a_model_may_be_trained_with_another_length_of_text(tmp_path: Path, length: int) -> None:
    folder = make_checkpoint(tmp_path, model_index={"kleinbild_text_seq_len": length}, weights=False)
    assert read_model_config(folder) == replace(TINY, prompt=replace(PROMPT, text_seq_len=length))


def test_the_prompt_template() -> None:
    assert PROMPT.text_seq_len == 512
    assert PROMPT.template_prefix + "a cat" + PROMPT.template_suffix == (
        "<|im_start|>user\na cat<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )


def test_name_and_notice(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "my-model", weights=False, model_index={"name": REMOVE})
    assert read_name(ConfigFile.read(folder / "model_index.json")) == "my-model"
    assert read_index_notice(ConfigFile.read(folder / "model_index.json")) == {}
    assert read_name(ConfigFile.read(TINY_FOLDER / "model_index.json")) == "Tiny"
    assert (
        "Its weights are random" in read_index_notice(ConfigFile.read(TINY_FOLDER / "model_index.json"))["en"]
    )


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x1b[31m", "x" * 101, 5])
def test_a_bad_name_is_refused(tmp_path: Path, name: object) -> None:
    folder = make_checkpoint(tmp_path, weights=False, model_index={"name": name})
    with pytest.raises(KleinbildError, match=r'model_index\.json: .*"name"'):
        read_name(ConfigFile.read(folder / "model_index.json"))
