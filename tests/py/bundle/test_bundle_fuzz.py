"""Damaged bundles, some hundreds: each is read or refused in one line, soon, and writes nothing elsewhere."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from bundle_mutations import mutate
from seedlike import unpack_seedlike

from kleinbild.bundle import Bundle
from kleinbild.errors import KleinbildError
from kleinbild.package.model import package_model

SECONDS = 20
MESSAGE_CHARACTERS = 2000
VAE = "flux2-klein-4b-vae-decoder"
# The text encoder's graph is large and slow to rewrite; the others get most of the attention.
ROUNDS = {
    "flux2-klein-4b-transformer-q4.onnx": 110,
    f"{VAE}-pre-attn-fp16.onnx": 40,
    f"{VAE}-attn-chunk-fp16.onnx": 15,
    f"{VAE}-post-stage0-fp16.onnx": 20,
    f"{VAE}-post-stage1-fp16.onnx": 20,
    "flux2-klein-4b-text-encoder-q4.onnx": 12,
    "flux2-config.json": 60,
    "transformer-q4-manifest.json": 15,
    "transformer-q4-00001.onnx_data": 8,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_seedlike(tmp_path_factory.mktemp("seedlike") / "bundle")


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("file", ROUNDS)
def test_damage_is_survived(whole: Path, file: str, tmp_path: Path) -> None:
    bundle, out = tmp_path / "bundle", tmp_path / "out"
    shutil.copytree(whole, bundle)
    refused = 0
    for seed in range(ROUNDS[file]):
        shutil.copyfile(whole / file, bundle / file)
        done = mutate(bundle, file, seed)
        before = {path.name for path in tmp_path.iterdir()}, files_below(bundle)
        start = time.monotonic()
        try:
            opened = Bundle.open(bundle)
            opened.check()
            package_model(opened, out, previous=None, log=lambda _: None)
        except KleinbildError as error:
            refused += 1
            message = str(error)
            assert message.isprintable() and len(message) <= MESSAGE_CHARACTERS, (seed, done, message)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {done}") from error
        assert time.monotonic() - start < SECONDS, (seed, done)
        assert files_below(bundle) == before[1], (seed, done)
        assert {path.name for path in tmp_path.iterdir()} - {"out"} == before[0] - {"out"}, (seed, done)
        shutil.rmtree(out, ignore_errors=True)
    assert refused > 0
