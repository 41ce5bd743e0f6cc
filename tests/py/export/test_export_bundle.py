"""What an exported folder looks like: files, names, shards, determinism; and what stops an export."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from bundle_numpy import make_small_checkpoint
from onnx import TensorProto

from kleinbild.bundle import Bundle
from kleinbild.checkpoint.checkpoint import Checkpoint
from kleinbild.config import ModelConfig, VaeDecoderConfig, config_from_json
from kleinbild.errors import KleinbildError
from kleinbild.export import Variant, export_bundle
from kleinbild.export.folder import new_folder
from kleinbild.export.vae_decoder import vae_graphs
from kleinbild.suggestions import Suggestions

Float32 = npt.NDArray[np.float32]

CUT_TENSORS = {
    "vae_decoder_pre": (
        ["z"],
        [
            "/decoder/block_1/Add_output_0",
            "/decoder/attn_1/Mul_6_output_0",
            "/decoder/attn_1/Mul_7_output_0",
            "/decoder/attn_1/Reshape_2_output_0",
        ],
    ),
    "vae_decoder_attn_chunk": (["q_chunk", "kt", "v"], ["attn_chunk"]),
    "vae_decoder_post_stage0": (
        ["/decoder/block_1/Add_output_0", "/decoder/attn_1/MatMul_1_output_0"],
        ["/decoder/block.2_2/Add_output_0"],
    ),
    "vae_decoder_post_stage1": (["/decoder/block.2_2/Add_output_0"], ["/decoder/block.0_3/Add_output_0"]),
    "vae_decoder_post_stage2": (["/decoder/block.0_3/Add_output_0"], ["/decoder/block.2_3/Add_output_0"]),
    "vae_decoder_post_stage3": (["/decoder/block.2_3/Add_output_0"], ["image"]),
}


class Source:
    """A checkpoint that can be spoilt."""

    def __init__(
        self, checkpoint: Checkpoint, change: Callable[[str, Float32], Float32] = lambda _, w: w
    ) -> None:
        self._checkpoint = checkpoint
        self._change = change
        self.config: ModelConfig = checkpoint.config
        self.name = "Söurce"
        self.notice = {"en": "a notice", "de": "ein Hinweis"}
        self.suggestions = Suggestions(("a fox",), ((128, 256),))
        self.tokenizer_folder = checkpoint.tokenizer_folder

    def check(self) -> None:
        self._checkpoint.check()

    def tensor(self, stage: str, name: str) -> Float32:
        return self._change(name, self._checkpoint.tensor(stage, name))

    def rows(self, stage: str, name: str, first: int, count: int) -> Float32:
        return self.tensor(stage, name)[first : first + count]

    def stored_bytes(self, stage: str, name: str) -> int:
        return self._checkpoint.stored_bytes(stage, name)

    def identity(self) -> dict[str, object]:
        return self._checkpoint.identity()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return Checkpoint.open(make_small_checkpoint(tmp_path_factory.mktemp("small")))


def contents(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.mark.parametrize("weights", ["q4", "f16", "f32"])
def test_files_and_graphs_are_those_of_the_format(
    small: Checkpoint, weights: Variant, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "bundle"
    export_bundle(Source(small), out, weights=weights)
    precision = "fp32" if weights == "f32" else "fp16"
    vae_files = {
        f"flux2-klein-4b-vae-decoder-{part}-{precision}.onnx"
        for part in ("pre-attn", "attn-chunk", "post-stage0", "post-stage1", "post-stage2", "post-stage3")
    }
    assert {path.name for path in out.iterdir()} == vae_files | {
        "flux2-config.json",
        "tokenizer",
        f"flux2-klein-4b-text-encoder-{weights}.onnx",
        f"flux2-klein-4b-transformer-{weights}.onnx",
        f"text-encoder-{weights}-manifest.json",
        f"text-encoder-{weights}-00001.onnx_data",
        f"transformer-{weights}-manifest.json",
        f"transformer-{weights}-00001.onnx_data",
    }
    manifest = (out / f"transformer-{weights}-manifest.json").read_bytes()
    assert manifest == b'[\n  "transformer-%s-00001.onnx_data"\n]\n' % weights.encode()
    assert contents(out / "tokenizer") == contents(small.tokenizer_folder)

    config = json.loads((out / "flux2-config.json").read_text(encoding="utf-8"))
    assert config["kleinbild"]["name"] == config["model_name"] == "Söurce"
    assert config["kleinbild"]["notice"] == {"en": "a notice", "de": "ein Hinweis"}
    assert (config["kleinbild"]["examples"], config["kleinbild"]["sizes"]) == (["a fox"], [[128, 256]])
    assert config_from_json(config["kleinbild"]["config"]) == small.config
    assert (config["context_dim"], config["latent_channels"], config["latent_downsample"]) == (120, 128, 16)
    assert config["models"]["vae_decoder_attn_chunk"]["head_dim"] == 64
    real = TensorProto.FLOAT if weights == "f32" else TensorProto.FLOAT16
    for key, model in config["models"].items():
        path = out / model["file"]
        onnx.checker.check_model(str(path), full_check=True)
        graph = onnx.load(path, load_external_data=False).graph
        assert [value.name for value in graph.input] == model["inputs"]
        assert [value.name for value in graph.output] == model["outputs"]
        if key in CUT_TENSORS:
            assert (model["inputs"], model["outputs"]) == CUT_TENSORS[key]
        types = {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)}
        ids = {"input_ids": TensorProto.INT64, "attention_mask": TensorProto.INT64}
        ids |= {"x_ids": TensorProto.FLOAT, "ctx_ids": TensorProto.FLOAT}
        assert types == {name: ids.get(name, real) for name in types}
    assert config["models"]["text_encoder"]["inputs"] == ["input_ids", "attention_mask"]
    assert config["models"]["transformer"]["inputs"] == ["x", "x_ids", "timesteps", "ctx", "ctx_ids"]


@pytest.mark.parametrize("symmetric", [False, True])
def test_only_linears_of_layers_and_blocks_are_quantised(
    small: Checkpoint, symmetric: bool, tmp_path: Path
) -> None:
    export_bundle(small, tmp_path / "b", weights="q4", block_size=32, symmetric=symmetric)
    for stage, inside in (("text-encoder", "model.layers."), ("transformer", "transformer_blocks.")):
        model = onnx.load(tmp_path / "b" / f"flux2-klein-4b-{stage}-q4.onnx", load_external_data=False)
        assert ("com.microsoft", 1) in [(opset.domain, opset.version) for opset in model.opset_import]
        dims = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
        quantised = [node for node in model.graph.node if node.op_type == "MatMulNBits"]
        assert len(quantised) == {"text-encoder": 3 * 7, "transformer": 12 + 2}[stage]
        for node in quantised:
            name = node.input[1].removesuffix("_Q4")
            assert inside in name
            suffixes = ["_Q4", "_scales"] + ([] if symmetric else ["_zero_points"])
            assert list(node.input[1:]) == [name + suffix for suffix in suffixes]
            a = {attribute.name: attribute.i for attribute in node.attribute}
            assert (a["bits"], a["block_size"], a["accuracy_level"]) == (4, 32, 4)
            blocks = -(-a["K"] // 32)
            assert dims[node.input[1]] == [a["N"], blocks, 16]
            assert dims[node.input[2]] == [a["N"] * blocks]
            if not symmetric:
                assert dims[node.input[3]] == [a["N"] * -(-blocks // 2)]


def test_the_same_checkpoint_gives_the_same_bytes(small: Checkpoint, tmp_path: Path) -> None:
    for out in ("one", "two"):
        export_bundle(small, tmp_path / out, weights="q4")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_shards_hold_whole_tensors_and_are_listed_in_order(small: Checkpoint, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    export_bundle(small, out, weights="f32", shard_bytes=400_000)
    names = json.loads((out / "text-encoder-f32-manifest.json").read_text())
    assert names == [f"text-encoder-f32-{i + 1:05}.onnx_data" for i in range(len(names))]
    assert len(names) > 1
    assert all((out / name).stat().st_size <= 400_000 for name in names)
    bundle = Bundle.open(out)
    for stage, tensors in bundle.expected.items():
        for name in tensors:
            weight = bundle.tensor(stage, name)
            np.testing.assert_array_equal(weight.array, small.tensor(stage, name))  # type: ignore[union-attr]


def test_a_bundle_is_replaced_and_anything_else_is_not(small: Checkpoint, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    out.mkdir()
    export_bundle(small, out, weights="f32")
    export_bundle(small, out, weights="q4")
    assert Bundle.open(out).weights_kind == "q4"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]

    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").touch()
    with pytest.raises(KleinbildError, match="photos: is not empty and no bundle"):
        export_bundle(small, tmp_path / "photos", weights="q4")
    with pytest.raises(KleinbildError, match=r"cat\.png: is there already and no folder"):
        export_bundle(small, tmp_path / "photos" / "cat.png", weights="q4")
    (tmp_path / "new.part").mkdir()
    (tmp_path / "new.part" / "mine").touch()
    with pytest.raises(KleinbildError, match=r"new\.part: not written by build\.py"):
        export_bundle(small, tmp_path / "new", weights="q4")
    assert sorted(contents(tmp_path / "photos")) == ["cat.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "new.part", "photos"]


def test_a_failed_last_rename_leaves_the_old_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "mark").write_text("old")
    (tmp_path / "bundle.old").mkdir()  # somebody's, and nobody's business
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path.name == "bundle.part":
            raise OSError(28, "No space left on device", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with (
        pytest.raises(KleinbildError, match="No space left"),
        new_folder(tmp_path / "bundle", "mark") as part,
    ):
        (part / "mark").write_text("new")
    assert (tmp_path / "bundle" / "mark").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "bundle.old"]


def too_large(name: str, weight: Float32) -> Float32:
    return weight * np.float32(1e9) if name == "x_embedder.weight" else weight


def test_an_error_on_the_way_leaves_nothing(small: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(
        KleinbildError, match=r"transformer: tensor 'x_embedder.weight' holds .*--weights f32"
    ):
        export_bundle(Source(small, too_large), tmp_path / "bundle", weights="q4")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_checkpoint_is_refused_and_leaves_nothing(small: Checkpoint, tmp_path: Path) -> None:
    folder = make_small_checkpoint(tmp_path / "checkpoint", dtype="F32")
    path = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    data = bytearray(path.read_bytes())
    data[-4:] = b"\x00\x00\xc0\x7f"
    path.write_bytes(data)
    with pytest.raises(KleinbildError, match="holds NaN or infinity"):
        export_bundle(Checkpoint.open(folder), tmp_path / "bundle", weights="f32")
    (folder / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(KleinbildError, match=r"tokenizer\.json: no such file"):
        export_bundle(Checkpoint.open(folder), tmp_path / "bundle", weights="f32")
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint"]


def test_options_are_checked_before_anything_is_written(small: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(KleinbildError, match="weights 'q8': expected one of q4, f16, f32"):
        export_bundle(small, tmp_path / "b", weights="q8")  # type: ignore[arg-type]
    with pytest.raises(KleinbildError, match="block size 24: expected one of 16, 32, 64, 128"):
        export_bundle(small, tmp_path / "b", weights="q4", block_size=24)
    with pytest.raises(KleinbildError, match="327680 bytes, a shard holds 1000"):
        export_bundle(small, tmp_path / "b", weights="f32", shard_bytes=1000)
    assert list(tmp_path.iterdir()) == []


def test_a_vae_without_the_cut_points_is_refused(small: Checkpoint) -> None:
    config: VaeDecoderConfig = replace(small.config.vae_decoder, layers_per_block=0)
    with pytest.raises(KleinbildError, match="cannot be cut into the stages of a bundle"):
        vae_graphs(config)
