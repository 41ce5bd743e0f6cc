"""Whole checkpoints: canonical tensors equal to an independent reader's, and what is missing is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import klein_numpy
import numpy as np
import pytest
from checkpoint_factory import make_checkpoint, write_model

from kleinbild.canonical import STAGES
from kleinbild.checkpoint.checkpoint import WEIGHT_FILES, Checkpoint
from kleinbild.checkpoint.random_weights import random_weight
from kleinbild.checkpoint.safetensors import SafetensorsFile
from kleinbild.errors import KleinbildError

GOLDEN = Path(__file__).resolve().parents[2] / "golden"

Tensors = dict[str, tuple[str, np.ndarray[Any, Any]]]


def rewrite(folder: Path, stage: str, change: Any) -> None:
    """Applies `change` to the dict name -> (dtype, array) of a stage's single weight file."""
    part, stem = WEIGHT_FILES[stage]
    file = SafetensorsFile.open(folder / part / f"{stem}.safetensors")
    tensors: Tensors = {name: (entry.dtype, file.read(name)) for name, entry in file.entries.items()}
    change(tensors)
    write_model(folder / part, stem, tensors)


def test_every_tensor_equals_the_reference_readers() -> None:
    folder = GOLDEN / "tiny-hd32"
    checkpoint = Checkpoint.open(folder)
    checkpoint.check()
    for stage in STAGES:
        part, stem = WEIGHT_FILES[stage]
        weights = klein_numpy.Safetensors(str(folder / part), stem)
        for name, spec in checkpoint.expected[stage].items():
            tensor = checkpoint.tensor(stage, name)
            if name == "bn.scale":
                expected = np.sqrt(weights["bn.running_var"] + np.float32(1e-4))
            else:
                expected = weights[{"bn.mean": "bn.running_mean"}.get(name, name)]
            assert tensor.dtype == np.float32
            assert tensor.shape == spec.shape
            np.testing.assert_array_equal(tensor, expected, err_msg=name)


def test_identity_of_the_checkpoint(tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(make_checkpoint(tmp_path, name="A Model"))
    assert checkpoint.name == "A Model"
    assert checkpoint.notice == {}
    assert checkpoint.tokenizer_folder == tmp_path / "tokenizer"
    assert (checkpoint.tokenizer_folder / "tokenizer.json").is_file()


@pytest.mark.parametrize(("dtype", "shards"), [("F32", 1), ("F16", 2), ("BF16", 3)])
def test_other_sizes_dtypes_and_shards(tmp_path: Path, dtype: str, shards: int) -> None:
    te = {"hidden_size": 48, "num_hidden_layers": 36, "head_dim": 32}
    transformer = {"attention_head_dim": 64, "num_attention_heads": 3, "mlp_ratio": 2}
    folder = make_checkpoint(tmp_path, te=te, transformer=transformer, dtype=dtype, shards=shards, name="m")
    checkpoint = Checkpoint.open(folder)
    checkpoint.check()
    name = "single_transformer_blocks.1.attn.to_qkv_mlp_proj.weight"
    shape = (3 * 192 + 2 * 384, 192)
    exact = random_weight("m/transformer", name, shape)
    tolerance = {"F32": 0.0, "F16": 2.0**-11, "BF16": 2.0**-8}[dtype]  # half a unit in the last place
    np.testing.assert_allclose(checkpoint.tensor("transformer", name), exact, rtol=tolerance, atol=1e-7)


def test_a_text_encoder_saved_without_its_head(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path)
    before = Checkpoint.open(folder).tensor("text_encoder", "model.layers.3.mlp.up_proj.weight")

    def strip(tensors: Tensors) -> None:
        for name in list(tensors):
            tensors[name.removeprefix("model.")] = tensors.pop(name)

    rewrite(folder, "text_encoder", strip)
    checkpoint = Checkpoint.open(folder)
    checkpoint.check()
    after = checkpoint.tensor("text_encoder", "model.layers.3.mlp.up_proj.weight")
    np.testing.assert_array_equal(after, before)


def test_unused_tensors_may_be_absent_or_odd(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path)

    def drop_encoder(tensors: Tensors) -> None:
        for name in list(tensors):
            if name.startswith(("encoder.", "quant_conv.")):
                del tensors[name]

    def spoil_the_end(tensors: Tensors) -> None:
        del tensors["model.norm.weight"]
        for name in list(tensors):
            if name.startswith("model.layers.27."):
                tensors[name] = ("I64", np.zeros(3, np.int64))
        tensors["lm_head.weight"] = ("F32", np.full((2, 2), np.nan, np.float32))

    rewrite(folder, "vae_decoder", drop_encoder)
    rewrite(folder, "text_encoder", spoil_the_end)
    Checkpoint.open(folder).check()


def test_what_is_missing_is_listed(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path)

    def spoil(tensors: Tensors) -> None:
        for name in list(tensors):
            if name.startswith("transformer_blocks.0.attn.to_"):
                del tensors[name]
        tensors["proj_out.weight"] = ("F32", np.zeros((64, 128), np.float32))
        tensors["x_embedder.weight"] = ("I64", np.zeros((64, 128), np.int64))

    rewrite(folder, "transformer", spoil)
    (folder / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(KleinbildError) as error:
        Checkpoint.open(folder).check()
    message = str(error.value)
    assert message.startswith(f"{folder}: ")
    assert "x_embedder.weight' is I64, expected one of BF16, F16, F32, F64" in message
    assert "tensor 'transformer_blocks.0.attn.to_q.weight' is missing" in message
    assert "and 3 more. Fetch the whole checkpoint again" in message


def test_a_tensor_of_another_shape_is_named(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path)
    rewrite(folder, "vae_decoder", lambda t: t.update({"decoder.conv_out.bias": ("F32", np.zeros(4))}))
    message = r"tensor 'decoder\.conv_out\.bias' is \[4\], the config files make it \[3\]"
    checkpoint = Checkpoint.open(folder)
    with pytest.raises(KleinbildError, match=message):
        checkpoint.check()
    with pytest.raises(KleinbildError, match=message):
        checkpoint.tensor("vae_decoder", "decoder.conv_out.bias")


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, dtype: str, value: float) -> None:
    folder = make_checkpoint(tmp_path)
    gain = np.ones(32, np.float32)
    gain[31] = value
    name = "transformer_blocks.1.attn.norm_q.weight"
    rewrite(folder, "transformer", lambda t: t.update({name: (dtype, gain)}))
    checkpoint = Checkpoint.open(folder)
    checkpoint.check()
    with pytest.raises(KleinbildError, match=rf"tensor '{name}' holds NaN or infinity"):
        checkpoint.tensor("transformer", name)


def test_a_variance_below_zero_is_refused(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path)
    rewrite(folder, "vae_decoder", lambda t: t.update({"bn.running_var": ("F32", np.full(128, -0.1))}))
    with pytest.raises(KleinbildError, match=r"tensor 'bn\.running_var' holds a variance below zero"):
        Checkpoint.open(folder).tensor("vae_decoder", "bn.scale")


def test_not_a_checkpoint(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(KleinbildError, match=r"no model_index\.json in it"):
            Checkpoint.open(folder)
