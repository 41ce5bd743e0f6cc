"""serve.py generate against diffusers: the same numbers at every boundary, and no second download.

tests/dawn draws models of more shapes, with the same kernels and without the browser.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from png_pixels import pixels
from reference import off_by_more_than_one, relative_error

from kleinbild.package.model_index import manifest_files

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
GENERATE_SECONDS = 1200
RELATIVE_BAR = 1e-4
LEVEL_BAR = 1e-3
GOLDEN_PROMPT = "a photo of a small ceramic robot on a wooden workbench, soft studio lighting"

MakeSite = Callable[..., Path]
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Run:
    """What one generate left: its tensors, and what it said (with the requests of its page)."""

    tensors: Arrays
    stderr: str
    picture: bytes

    @property
    def weight_requests(self) -> list[str]:
        """Paths of weights the page asked for."""
        return [line.split()[1] for line in self.stderr.splitlines() if line.startswith("GET /w/")]


def generate(
    site: Path, folder: Path, *arguments: str | Path, latents: npt.NDArray[Any] | None = None
) -> Run:
    """Run generate in f32 on SwiftShader with its cache and its results in `folder`."""
    folder.mkdir(exist_ok=True)
    command: list[str | Path] = [sys.executable, ROOT / "serve.py", "generate", "--site", site]
    command += ["--output", folder / "out.png", "--dump", folder / "dump", "--verbose"]
    command += ["--precision", "f32", "--adapter", "software"]
    if latents is not None:
        np.save(folder / "latents.npy", latents)
        command += ["--latents", folder / "latents.npy"]
    environ = os.environ | {"XDG_CACHE_HOME": str(folder / "cache")}
    result = subprocess.run(
        [*map(str, command), *map(str, arguments)],
        env=environ,
        capture_output=True,
        text=True,
        timeout=GENERATE_SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    tensors = {path.stem: np.load(path, allow_pickle=False) for path in (folder / "dump").glob("*.npy")}
    return Run(tensors, result.stderr, (folder / "out.png").read_bytes())


def golden_checkpoint(name: str, folder: Path) -> Path:
    """The checkpoint that a golden fixture was made with."""
    if name == "tiny-hd32":
        return GOLDEN / name
    subprocess.run([sys.executable, GOLDEN / "make_ckpt.py", name, folder / name], check=True)
    return folder / name


@pytest.mark.parametrize(
    ("case", "checkpoint", "size"),
    [
        ("hd32_t2i_256x256", "tiny-hd32", 256),
        ("hd128_t2i_64x64", "tiny-hd128", 64),
    ],
)
def test_equals_diffusers(case: str, checkpoint: str, size: int, make_site: MakeSite, tmp_path: Path) -> None:
    golden = np.load(GOLDEN / f"{case}.npz")
    site = make_site(golden_checkpoint(checkpoint, tmp_path))
    shape = ("--width", str(size), "--height", str(size), "--num-steps", "4")
    run = generate(site, tmp_path, "--prompt", GOLDEN_PROMPT, *shape, latents=golden["latents_init_nchw"])
    tensors = run.tensors
    for name in ("input_ids", "attention_mask"):
        assert np.array_equal(tensors[name], golden[name][0]), name
    assert np.array_equal(tensors["sigmas"], golden["sigmas"])
    # The large fixture holds the text rows 0..31 and 480..511, and every fourth pixel.
    whole = golden["prompt_embeds"].shape[1] == 512
    rows = slice(None) if whole else np.r_[0:32, 480:512]
    assert relative_error(tensors["prompt_embeds"][rows], golden["prompt_embeds"][0]) < RELATIVE_BAR
    for i in range(4):
        assert relative_error(tensors[f"latents_{i}"], golden["latents_steps"][i, 0]) < RELATIVE_BAR, i
    every = size // golden["vae_out"].shape[-1]
    assert relative_error(tensors["decoded"][:, ::every, ::every], golden["vae_out"][0]) < RELATIVE_BAR
    assert off_by_more_than_one(tensors["image"], golden["image_u8"]) <= LEVEL_BAR


def modulation_paths(site: Path) -> set[str]:
    """Addresses of the weights that a picture of a preset size does without."""
    (path,) = manifest_files(site)
    manifest = json.loads(path.read_text())
    (stage,) = [stage for stage in manifest["stages"] if stage["name"] == "modulation"]
    return {"/" + manifest["shards"][shard]["path"] for shard in stage["shards"]}


def test_second_run_downloads_no_weights_and_draws_the_same(tiny_site: Path, tmp_path: Path) -> None:
    arguments = (
        "--prompt",
        "a red circle",
        "--width",
        "48",
        "--height",
        "32",
        "--num-steps",
        "1",
        "--seed",
        "5",
    )
    first = generate(tiny_site, tmp_path, *arguments)
    served = {f"/w/{path.name}" for path in (tiny_site / "w").iterdir()}
    # one step is at sigma 1, which the table knows, and nothing is fetched for later pictures
    assert sorted(first.weight_requests) == sorted(served - modulation_paths(tiny_site))
    second = generate(tiny_site, tmp_path, *arguments)
    assert second.weight_requests == []
    assert "GET /v/" in second.stderr or "GET / " in second.stderr  # requests were logged at all
    assert pixels(second.picture) == pixels(first.picture)
    for name, tensor in first.tensors.items():
        assert np.array_equal(second.tensors[name], tensor), name
