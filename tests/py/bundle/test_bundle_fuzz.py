"""Damaged bundles, some hundreds: each is read or refused in one line, soon, and writes nothing elsewhere."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from bundle_mutations import mutate
from checkpoint_factory import make_checkpoint
from seedlike import unpack_seedlike

from kleinbild.bundle import Bundle
from kleinbild.checkpoint.checkpoint import Checkpoint
from kleinbild.errors import KleinbildError
from kleinbild.export import export_bundle
from kleinbild.package.model import package_model

SECONDS = 20
MESSAGE_CHARACTERS = 2000
VAE = "flux2-klein-4b-vae-decoder"
PACKAGED = 10  # every so many of those that are read are packaged, too
ROUNDS = {
    "flux2-klein-4b-transformer-q4.onnx": 90,
    f"{VAE}-pre-attn-fp16.onnx": 30,
    f"{VAE}-attn-chunk-fp16.onnx": 15,
    f"{VAE}-post-stage0-fp16.onnx": 20,
    f"{VAE}-post-stage1-fp16.onnx": 20,
    "flux2-klein-4b-text-encoder-q4.onnx": 25,
    "flux2-config.json": 30,
    "transformer-q4-manifest.json": 15,
    "transformer-q4-00001.onnx_data": 5,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The other exporter's bundle, with a text encoder of ours that has three layers and is quick to read."""
    folder = tmp_path_factory.mktemp("seedlike")
    bundle = unpack_seedlike(folder / "bundle")
    checkpoint = make_checkpoint(
        folder / "checkpoint",
        te={"hidden_size": 64, "intermediate_size": 32, "num_hidden_layers": 4},
        model_index={"text_encoder_out_layers": [1, 2, 3]},
    )
    export_bundle(Checkpoint.open(checkpoint), folder / "own", weights="q4")
    for path in (folder / "own").glob("*text-encoder*"):
        shutil.copyfile(path, bundle / path.name)
    return bundle


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("file", ROUNDS)
def test_damage_is_survived(whole: Path, file: str, tmp_path: Path) -> None:
    bundle, out = tmp_path / "bundle", tmp_path / "out"
    shutil.copytree(whole, bundle)
    refused = read = 0
    for seed in range(ROUNDS[file]):
        shutil.copyfile(whole / file, bundle / file)
        done = mutate(bundle, file, seed)
        before = {path.name for path in tmp_path.iterdir()}, files_below(bundle)
        start = time.process_time()
        try:
            opened = Bundle.open(bundle)
            opened.check()
            read += 1
            if read % PACKAGED == 1:
                package_model(opened, out, previous=None, log=lambda _: None)
        except KleinbildError as error:
            refused += 1
            message = str(error)
            assert message.isprintable() and len(message) <= MESSAGE_CHARACTERS, (seed, done, message)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {done}") from error
        assert time.process_time() - start < SECONDS, (seed, done)
        assert files_below(bundle) == before[1], (seed, done)
        assert {path.name for path in tmp_path.iterdir()} - {"out"} == before[0] - {"out"}, (seed, done)
        shutil.rmtree(out, ignore_errors=True)
    assert refused > 0
    assert refused < ROUNDS[file] or file.endswith("manifest.json")
