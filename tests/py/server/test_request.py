"""What generate refuses before it starts a browser."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kleinbild.errors import KleinbildError
from kleinbild.server.generate.options import GenerateOptions
from kleinbild.server.generate.request import Job, make_job, read_latents
from kleinbild.server.site import ModelShape

MODEL = ModelShape(128, 512, 96, 256, 192, 4)
SHAPE = (128, 4, 6)  # of a picture 96 wide and 64 high


def job(notes: list[str] | None = None, **changes: Any) -> Job:
    given: dict[str, Any] = {
        "prompt": "x",
        "output": Path("x.png"),
        "batch": None,
        "output_dir": None,
        "server": True,
        "json": False,
        "width": None,
        "height": None,
        "seed": 123,
        "steps": None,
        "latents": None,
        "precision": "auto",
        "adapter": "auto",
        "dump": None,
        "memory_budget": None,
        "preview": False,
        "verbose": False,
    }
    return make_job(GenerateOptions(**(given | changes)), MODEL, ([] if notes is None else notes).append)


def test_defaults_are_the_models() -> None:
    made = job()
    assert (made.width, made.height, made.steps, made.trace) == (256, 192, 4, False)
    assert made.rows == 16 * 12


def test_a_memory_budget_is_in_gigabytes() -> None:
    assert job().memory_budget is None
    assert job(memory_budget=8.25).memory_budget == 8_250_000_000
    for wrong in (0.0, 0.49, -1.0, 1025.0, float("nan"), float("inf")):
        with pytest.raises(KleinbildError, match="--memory-budget"):
            job(memory_budget=wrong)


@pytest.mark.parametrize(("given", "used"), [(16, 16), (31, 16), (100, 96), (2048, 2048), (2063, 2048)])
def test_sizes_are_floored_with_a_notice(given: int, used: int) -> None:
    notes: list[str] = []
    assert job(notes, width=given).width == used
    assert job(notes, height=given).height == used
    assert len(notes) == (0 if given == used else 2)
    assert all(str(given) in note and str(used) in note for note in notes)


@pytest.mark.parametrize("size", [0, -16, 15, -1, 2064, 10**9])
def test_sizes_refused(size: int) -> None:
    for name in ("width", "height"):
        with pytest.raises(KleinbildError, match=f"--{name} {size}: must be 16 to 2048"):
            job(None, **{name: size})


@pytest.mark.parametrize("steps", [1, 100])
def test_steps_accepted(steps: int) -> None:
    assert job(steps=steps).steps == steps


@pytest.mark.parametrize("steps", [0, -1, 101, 1000])
def test_steps_refused(steps: int) -> None:
    with pytest.raises(KleinbildError, match="--num-steps"):
        job(steps=steps)


def test_seed_bounds() -> None:
    assert job(seed=0).seed == 0
    assert job(seed=2**64 - 1).seed == 2**64 - 1
    for seed in (-1, 2**64):
        with pytest.raises(KleinbildError, match="--seed"):
            job(seed=seed)


def test_prompt_that_is_no_text() -> None:
    assert job(prompt="").prompt == ""
    for prompt in ("caf\udce9", "x" * 100_001):
        with pytest.raises(KleinbildError, match="--prompt"):
            job(prompt=prompt)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [SHAPE, (1, *SHAPE)])
def test_latents(tmp_path: Path, shape: tuple[int, ...], order: str) -> None:
    values = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    np.save(tmp_path / "l.npy", np.asarray(values, order="C" if order == "C" else "F"))
    made = job(width=100, height=64, latents=tmp_path / "l.npy").latents
    assert made is not None
    assert made.shape == SHAPE
    assert made.flags.c_contiguous
    assert np.array_equal(made, values.reshape(SHAPE))


def _npy(array: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


GOOD = np.zeros(SHAPE, np.float32)
HUGE = "{'descr': '<f4', 'fortran_order': False, 'shape': (128, 4, 6000000000), }\n"


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: _npy(GOOD.astype(np.float64)), "float64"),
        (lambda: _npy(GOOD.astype(np.float16)), "float16"),
        (lambda: _npy(GOOD.astype(">f4")), "float32"),
        (lambda: _npy(GOOD[:64]), "shape"),
        (lambda: _npy(GOOD.transpose(0, 2, 1)), "shape"),
        (lambda: _npy(GOOD[None, None]), "shape"),
        (lambda: _npy(np.zeros(GOOD.size, np.float32)), "shape"),
        (lambda: _npy(np.zeros((128, 32, 6), np.float32)), "too large"),
        (lambda: _npy(np.where(np.arange(6) == 5, np.nan, GOOD).astype(np.float32)), "finite"),
        (lambda: _npy(np.full(SHAPE, np.inf, np.float32)), "finite"),
        (lambda: _npy(np.array([{"a": 1}], dtype=object)), "npy"),
        (lambda: _npy(GOOD)[:-4], "npy"),
        (lambda: _npy(GOOD)[:60], "npy"),
        (lambda: _header(HUGE), "npy"),
        (lambda: _header("__import__('os').system('false')"), "npy"),
        (lambda: b"", "npy"),
        (lambda: b"not numpy at all", "npy"),
    ],
)
def test_latents_refused(tmp_path: Path, make: Callable[[], bytes], word: str) -> None:
    path = tmp_path / "l.npy"
    path.write_bytes(make())
    with pytest.raises(KleinbildError, match=word):
        read_latents(path, SHAPE)


def test_latents_archive_and_missing_file_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "l.npz", GOOD)
    for name in ("l.npz", "missing.npy", "."):
        with pytest.raises(KleinbildError, match="--latents"):
            read_latents(tmp_path / name, SHAPE)
