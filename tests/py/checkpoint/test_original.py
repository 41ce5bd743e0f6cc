"""Checkpoints with the original key names give the tensors of the diffusers layout, bit for bit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from checkpoint_factory import make_checkpoint
from original_factory import Tensors, original_transformer, stored, write_original

from kleinbild.canonical import STAGES
from kleinbild.checkpoint.checkpoint import Checkpoint, is_checkpoint
from kleinbild.checkpoint.safetensors_writer import write_safetensors
from kleinbild.errors import KleinbildError

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "tiny-hd32"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden checkpoint as the reference code would save it."""
    return write_original(GOLDEN, tmp_path_factory.mktemp("original") / "a-model")


def assert_same_tensors(one: Checkpoint, other: Checkpoint) -> None:
    assert one.expected == other.expected
    for stage in STAGES:
        for name, spec in one.expected[stage].items():
            expected = other.tensor(stage, name)
            tensor = one.tensor(stage, name)
            assert tensor.dtype == np.float32
            np.testing.assert_array_equal(tensor, expected, err_msg=name, strict=True)
            if spec.kind != "vector":
                rows = spec.shape[0]
                first, count = rows // 3, rows - rows // 3 - rows // 5
                np.testing.assert_array_equal(
                    one.rows(stage, name, first, count), expected[first : first + count], err_msg=name
                )


def test_every_tensor_and_number_is_that_of_the_diffusers_layout(original: Path) -> None:
    ours, theirs = Checkpoint.open(original), Checkpoint.open(GOLDEN)
    ours.check()
    assert ours.config == theirs.config
    assert ours.name == "a-model"
    assert ours.tokenizer_folder == original / "tokenizer"
    assert theirs.assumed == ()
    for part in ("axes_dims_rope", "rope_theta", "batch norm eps", "the pipeline", "the scheduler"):
        assert any(part in line for line in ours.assumed), part
    assert_same_tensors(ours, theirs)


def test_halves_and_thirds_of_fused_tensors(tmp_path: Path) -> None:
    """Not equal to each other, so a swap would show: guards the test above."""
    folder = make_checkpoint(tmp_path)
    tensors = stored(folder, "transformer")
    qkv = [tensors[f"transformer_blocks.0.attn.to_{part}.weight"][1] for part in "qkv"]
    scale, shift = np.split(tensors["norm_out.linear.weight"][1], 2)
    assert not np.array_equal(scale, shift)
    assert not np.array_equal(qkv[0], qkv[1])
    assert not np.array_equal(qkv[1], qkv[2])


@pytest.mark.parametrize("vae", ["ae.safetensors", "vae/ae.safetensors", "vae/anything.safetensors"])
def test_other_sizes_places_and_the_prefix(tmp_path: Path, vae: str) -> None:
    diffusers = make_checkpoint(
        tmp_path / "diffusers",
        transformer={
            "attention_head_dim": 16,
            "num_attention_heads": 7,
            "num_layers": 3,
            "mlp_ratio": 29 / 112,
        },
        vae={"block_out_channels": [32, 64, 96, 128], "layers_per_block": 1},
        dtype="F16",
    )
    out = write_original(diffusers, tmp_path / "out", transformer="x.safetensors", vae=vae)
    prefixed = original_transformer(stored(diffusers, "transformer"), "model.diffusion_model.")
    write_safetensors(out / "x.safetensors", prefixed)
    assert is_checkpoint(out)
    checkpoint = Checkpoint.open(out)
    assert checkpoint.config == Checkpoint.open(diffusers).config
    assert_same_tensors(checkpoint, Checkpoint.open(diffusers))


def test_a_vae_in_diffusers_layout(original: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(original, tmp_path / "out"))
    shutil.copytree(GOLDEN / "vae", out / "vae")
    checkpoint = Checkpoint.open(out)
    assert not any("batch norm" in line for line in checkpoint.assumed)
    assert_same_tensors(checkpoint, Checkpoint.open(GOLDEN))


def test_config_files_that_are_there_count(original: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(original, tmp_path / "out"))
    config = {"axes_dims_rope": [16, 8, 4, 4], "rope_theta": 500, "eps": 1e-5, "num_layers": 99}
    (out / "config.json").write_text(json.dumps(config))
    for name in ("model_index.json", "scheduler"):
        copy = shutil.copytree if (GOLDEN / name).is_dir() else shutil.copyfile
        copy(GOLDEN / name, out / name)
    (out / "vae").mkdir()
    vae = json.loads((GOLDEN / "vae" / "config.json").read_text()) | {"batch_norm_eps": 1e-3}
    (out / "vae" / "config.json").write_text(json.dumps(vae))
    checkpoint = Checkpoint.open(out)
    checkpoint.check()
    tr = checkpoint.config.transformer
    assert (tr.axes_dims_rope, tr.rope_theta, tr.eps, tr.num_layers) == ((16, 8, 4, 4), 500.0, 1e-5, 2)
    assert checkpoint.config.vae_decoder.batch_norm_eps == 1e-3
    assert checkpoint.assumed == ()


def test_the_file_itself_may_be_named(original: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(original, tmp_path / "out"))
    shutil.copyfile(out / "klein.safetensors", out / "other.safetensors")
    with pytest.raises(KleinbildError, match=r"klein\.safetensors and .*other\.safetensors each hold"):
        Checkpoint.open(out)
    checkpoint = Checkpoint.open(out / "other.safetensors")
    checkpoint.check()
    assert (checkpoint.name, checkpoint.folder) == ("other", out)
    assert not is_checkpoint(out / "ae.safetensors")


def test_the_diffusers_folder_counts_where_both_are(original: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(GOLDEN, tmp_path / "out"))
    shutil.copyfile(original / "klein.safetensors", out / "klein.safetensors")
    (out / "broken.safetensors").write_bytes(b"not looked at")
    assert Checkpoint.open(out).assumed == ()


def drop(name: str) -> Callable[[Tensors], object]:
    return lambda tensors: tensors.pop(name)


def resize(name: str, *shape: int) -> Callable[[Tensors], object]:
    return lambda tensors: tensors.update({name: ("BF16", np.zeros(shape, np.float32))})


QUERY_SCALE = "double_blocks.0.img_attn.norm.query_norm.scale"
SPOILT: dict[str, tuple[Callable[[Tensors], object], str]] = {
    "no fused qkv": (
        drop("double_blocks.1.txt_attn.qkv.weight"),
        r"\.1\.txt_attn\.qkv\.weight'",
    ),
    "no embedder": (drop("img_in.weight"), r"'img_in\.weight' is missing"),
    "no modulation": (
        drop("double_stream_modulation_img.lin.weight"),
        r"_img\.lin\.weight' is missing",
    ),
    "no head norm": (drop(QUERY_SCALE), r"query_norm\.scale' is missing"),
    "qkv in no thirds": (resize("double_blocks.0.txt_attn.qkv.weight", 193, 64), "193 rows, which are not 3"),
    "qkv of another width": (resize("double_blocks.0.txt_attn.qkv.weight", 192, 32), r"is \[64, 32\]"),
    "modulation of odd rows": (resize("final_layer.adaLN_modulation.1.weight", 127, 64), "are not 2 equal"),
    "a scalar": (resize("img_in.weight"), "expected 2 axes"),
    "nothing in an axis": (resize("img_in.weight", 0, 128), "0 rows, which are no heads"),
    "heads that do not divide": (resize(QUERY_SCALE, 24), "no heads of 24"),
    "an empty head": (resize(QUERY_SCALE, 0), "no heads of 0"),
    "a head of one": (resize(QUERY_SCALE, 1), '"attention_head_dim" is 1'),
    "another model": (resize("guidance_in.in_layer.weight", 64, 256), "another model than FLUX.2 Klein"),
    "context of another size": (resize("txt_in.weight", 64, 95), "belong to different models"),
    "no timestep": (drop("time_in.in_layer.weight"), r"time_in\.in_layer\.weight' is missing"),
    "a block with a hole": (drop("single_blocks.0.linear1.weight"), '"num_single_layers" is 0'),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_spoilt_transformer_is_refused(original: Path, tmp_path: Path, case: str) -> None:
    spoil, message = SPOILT[case]
    tensors = original_transformer(stored(GOLDEN, "transformer"))
    spoil(tensors)
    for part in ("text_encoder", "tokenizer", "ae.safetensors"):
        (tmp_path / part).symlink_to(original / part)
    write_safetensors(tmp_path / "klein.safetensors", tensors)
    with pytest.raises(KleinbildError, match=message) as error:
        Checkpoint.open(tmp_path).check()
    assert "klein.safetensors" in str(error.value)


def test_what_is_missing_beside_it_is_named(original: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(original, tmp_path / "out"))
    (out / "ae.safetensors").unlink()
    with pytest.raises(KleinbildError, match=r"vae/config\.json: no such file"):
        Checkpoint.open(out)
    shutil.copyfile(original / "ae.safetensors", out / "ae.safetensors")
    shutil.rmtree(out / "text_encoder")
    with pytest.raises(KleinbildError, match=r"text_encoder/config\.json: no such file"):
        Checkpoint.open(out)
    (out / "klein.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(KleinbildError, match=r"klein\.safetensors: not a safetensors file"):
        Checkpoint.open(out)
    (out / "klein.safetensors").unlink()
    assert not is_checkpoint(out)
    with pytest.raises(KleinbildError, match=r"no model_index\.json in it, nor a transformer"):
        Checkpoint.open(out)
