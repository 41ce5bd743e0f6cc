"""Bundle.open gives back what was exported, and takes weights in every form that the format allows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from bundle_numpy import float32, make_small_checkpoint
from onnx import numpy_helper

from kleinbild.bundle import Bundle
from kleinbild.checkpoint.checkpoint import Checkpoint
from kleinbild.errors import KleinbildError
from kleinbild.export import Variant, export_bundle
from kleinbild.quantise import quantise
from kleinbild.weights import Q4, Dense


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return Checkpoint.open(make_small_checkpoint(tmp_path_factory.mktemp("small")))


def is_quantised(name: str, kind: str) -> bool:
    return kind == "linear" and ("model.layers." in name or "transformer_blocks." in name)


@pytest.mark.parametrize("weights", ["f16", "f32"])
def test_dense_tensors_come_back(small: Checkpoint, weights: Variant, tmp_path: Path) -> None:
    export_bundle(small, tmp_path / "b", weights=weights)
    bundle = Bundle.open(tmp_path / "b")
    assert (bundle.config, bundle.name, bundle.notice) == (small.config, small.name, small.notice)
    assert bundle.weights_kind == weights
    assert bundle.tokenizer_folder == tmp_path / "b" / "tokenizer"
    bundle.check()
    for stage, tensors in bundle.expected.items():
        for name, spec in tensors.items():
            weight = bundle.tensor(stage, name)
            assert isinstance(weight, Dense)
            exact = weights == "f32" or (spec.kind == "vector" and stage != "vae_decoder")
            dtype = np.float32 if exact else np.float16
            assert weight.array.dtype == dtype
            np.testing.assert_array_equal(weight.array, small.tensor(stage, name).astype(dtype))


def test_the_narrower_of_the_graphs_and_the_formats_context_clip_counts(
    small: Checkpoint, tmp_path: Path
) -> None:
    """Whether the recorded config has another one, or none, as those of earlier exports."""
    for exported in (0, 2.5):
        out = tmp_path / str(exported)
        export_bundle(small, out, weights="f32", context_clip=exported)
        path = out / "flux2-config.json"
        value = json.loads(path.read_text())
        assert Bundle.open(out).config.prompt.context_clip == exported
        for clip, expected in ((3, exported or 3), (2, 2)):
            path.write_text(json.dumps(value | {"context_clip": clip}))
            assert Bundle.open(out).config.prompt.context_clip == expected
        del value["context_clip"]
        path.write_text(json.dumps(value))
        assert Bundle.open(out).config.prompt.context_clip == exported
        del value["kleinbild"]["config"]["prompt"]["context_clip"]
        path.write_text(json.dumps(value))
        assert Bundle.open(out).config.prompt.context_clip == exported
        del value["kleinbild"]
        path.write_text(json.dumps(value | {"context_clip": 2}))
        assert Bundle.open(out).config.prompt.context_clip == 2


def test_a_lopsided_clip_is_refused(small: Checkpoint, tmp_path: Path) -> None:
    export_bundle(small, tmp_path / "b", weights="f32", context_clip=2.5)
    path = tmp_path / "b" / "flux2-klein-4b-text-encoder-f32.onnx"
    model = onnx.load(path, load_external_data=False)
    (clip,) = [node for node in model.graph.node if node.op_type == "Clip"]
    (high,) = [tensor for tensor in model.graph.initializer if tensor.name == clip.input[2]]
    high.CopyFrom(numpy_helper.from_array(np.array(2, np.float32), high.name))
    onnx.save(model, path)
    with pytest.raises(KleinbildError, match=r"the output is clipped to -2\.5\.\.2\.0"):
        Bundle.open(tmp_path / "b")


@pytest.mark.parametrize(("block_size", "symmetric"), [(16, False), (32, True), (64, False), (128, True)])
def test_q4_tensors_come_back(small: Checkpoint, block_size: int, symmetric: bool, tmp_path: Path) -> None:
    export_bundle(small, tmp_path / "b", weights="q4", block_size=block_size, symmetric=symmetric)
    bundle = Bundle.open(tmp_path / "b")
    assert bundle.weights_kind == "q4"
    bundle.check()
    for stage, tensors in bundle.expected.items():
        for name, spec in tensors.items():
            weight = bundle.tensor(stage, name)
            assert isinstance(weight, Q4) == is_quantised(name, spec.kind)
            if isinstance(weight, Q4):
                expected = quantise(small.tensor(stage, name), block_size, symmetric)
                assert (weight.shape, weight.block_size) == (expected.shape, block_size)
                np.testing.assert_array_equal(weight.codes, expected.codes)
                np.testing.assert_array_equal(weight.scales, expected.scales)
                assert (weight.zero_points is None) == symmetric
                if weight.zero_points is not None and expected.zero_points is not None:
                    np.testing.assert_array_equal(weight.zero_points, expected.zero_points)


def test_external_data_may_lack_offset_and_length(small: Checkpoint, tmp_path: Path) -> None:
    """Both are optional in ONNX: the start of the file, and all of it."""
    out = tmp_path / "b"
    export_bundle(small, out, weights="f32")
    path = out / "flux2-klein-4b-transformer-f32.onnx"
    model = onnx.load(path, load_external_data=False)
    name = "proj_out.weight"
    tensor = next(t for t in model.graph.initializer if t.name == name)
    (out / "own.data").write_bytes(np.ascontiguousarray(small.tensor("transformer", name).T).tobytes())
    del tensor.external_data[:]
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "own.data"
    onnx.save(model, path)
    (out / "transformer-f32-manifest.json").write_text('["transformer-f32-00001.onnx_data", "own.data"]')
    weight = Bundle.open(out).tensor("transformer", name)
    np.testing.assert_array_equal(float32(weight), small.tensor("transformer", name))


def test_weights_inside_the_graph_are_read(small: Checkpoint, tmp_path: Path) -> None:
    """A small bundle need not have shards at all; scales may be float32."""
    out = tmp_path / "b"
    export_bundle(small, out, weights="q4")
    before = Bundle.open(out)
    for stage in ("text-encoder", "transformer"):
        path = out / f"flux2-klein-4b-{stage}-q4.onnx"
        model = onnx.load(path)
        for tensor in model.graph.initializer:
            array = numpy_helper.to_array(tensor)
            if tensor.name.endswith("_scales"):
                array = array.astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        onnx.save(model, path)
        (out / f"{stage}-q4-manifest.json").write_text("[]")
        (out / f"{stage}-q4-00001.onnx_data").rename(tmp_path / f"{stage}.aside")
    after = Bundle.open(out)
    after.check()
    for side in ("text-encoder", "transformer"):
        (tmp_path / f"{side}.aside").rename(out / f"{side}-q4-00001.onnx_data")
    for stage, tensors in before.expected.items():
        for name in tensors:
            np.testing.assert_array_equal(
                float32(after.tensor(stage, name)), float32(before.tensor(stage, name))
            )
