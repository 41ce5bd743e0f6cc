"""Checkpoints with made-up weights, of any size: true shapes, deterministic, streamed to disk.

`write_random_weights` fills a folder of config files; the project's small model is made with it (tiny.py).
`write_synthetic_configs` and `_weights` do so for models/klein4b, the configs of FLUX.2 Klein 4B: 16 GB that
have learned nothing, to measure with where the trained model cannot be had.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kleinbild.checkpoint.checkpoint import WEIGHT_FILES
from kleinbild.checkpoint.random_weights import random_values
from kleinbild.checkpoint.safetensors_writer import BlockedTensor, encode, write_blocked
from kleinbild.checkpoint.stored import BATCH_COUNT, stored_shapes
from kleinbild.errors import KleinbildError

MODELS = Path(__file__).resolve().parents[2] / "models"
KLEIN4B_FOLDER = MODELS / "klein4b"
KLEIN4B_SEED = "synthetic-4b"
# transformers' own limit: a larger model lies in several files behind an index.
FILE_BYTES = 5_000_000_000
BLOCK_ELEMENTS = 1 << 20
BLOCKS_AHEAD = 8

Advance = Callable[[int], object]


def write_synthetic_configs(out: Path, tokenizer: Path, configs: Path = KLEIN4B_FOLDER) -> None:
    """Writes all but the weights to the folder `out`: the files of the folders `configs` and `tokenizer`.

    Raises KleinbildError when the configs are not there.
    """
    copy_configs(configs, out)
    shutil.copytree(tokenizer, out / "tokenizer", dirs_exist_ok=True)


def write_synthetic_weights(out: Path, file_bytes: int = FILE_BYTES, advance: Advance = int) -> None:
    """Writes weight_bytes(out) bytes of random bf16 weights to the folder `out` of config files.

    `advance` is told every number of bytes written. Raises KleinbildError as stored_shapes does.
    """
    seeds = {stage: f"{KLEIN4B_SEED}/{part}" for stage, (part, _) in WEIGHT_FILES.items()}
    write_random_weights(out, seeds, file_bytes, advance)


def copy_configs(configs: Path, out: Path) -> None:
    """Copies a folder of models/ to `out`, over what is there; raises KleinbildError when there is none."""
    if not (configs / "model_index.json").is_file():
        raise KleinbildError(f"{configs}: no config files of the model; use a whole source tree")
    shutil.copytree(configs, out, dirs_exist_ok=True)


def write_random_weights(
    out: Path, seeds: Mapping[str, str], file_bytes: int = FILE_BYTES, advance: Advance = int
) -> None:
    """Writes the weight files, bf16, that the config files in `out` ask for; `seeds` has a seed a stage."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for stage, shapes in stored_shapes(out).items():
            part, stem = WEIGHT_FILES[stage]
            tensors = {
                name: _random_tensor(pool, seeds[stage], name, shape, advance)
                for name, shape in sorted(shapes.items())
            }
            _write_model(out / part, stem, tensors, file_bytes)


def weight_bytes(folder: Path) -> int:
    """Bytes of all the tensors that write_random_weights writes for the config files in `folder`."""
    shapes = [shape for stage in stored_shapes(folder).values() for shape in stage.values()]
    return sum(2 * math.prod(shape) if shape else 8 for shape in shapes)


def _random_tensor(
    pool: Executor, seed: str, name: str, shape: tuple[int, ...], advance: Advance
) -> BlockedTensor:
    if name == BATCH_COUNT:
        return BlockedTensor("I64", (), lambda: [np.zeros((), np.int64)])
    size = math.prod(shape)

    def block(first: int) -> npt.NDArray[Any]:
        return encode("BF16", random_values(seed, name, shape, first, min(BLOCK_ELEMENTS, size - first)))

    def blocks() -> Iterator[npt.NDArray[Any]]:
        ahead: deque[Future[npt.NDArray[Any]]] = deque()
        for first in range(0, size, BLOCK_ELEMENTS):
            ahead.append(pool.submit(block, first))
            if len(ahead) == BLOCKS_AHEAD:
                yield ahead.popleft().result()
                advance(2 * BLOCK_ELEMENTS)
        for future in ahead:
            yield future.result()
            advance(future.result().nbytes)

    return BlockedTensor("BF16", shape, blocks)


def _write_model(folder: Path, stem: str, tensors: Mapping[str, BlockedTensor], file_bytes: int) -> None:
    """One file, or several of at most `file_bytes` of tensors behind an index, named as transformers does."""
    files: list[dict[str, BlockedTensor]] = [{}]
    for name, tensor in tensors.items():
        if files[-1] and sum(t.nbytes for t in files[-1].values()) + tensor.nbytes > file_bytes:
            files.append({})
        files[-1][name] = tensor
    if len(files) == 1:
        write_blocked(folder / f"{stem}.safetensors", tensors)
        return
    names = [f"{stem}-{i + 1:05}-of-{len(files):05}.safetensors" for i in range(len(files))]
    for name, part in zip(names, files, strict=True):
        write_blocked(folder / name, part)
    total = sum(tensor.nbytes for tensor in tensors.values())
    index = {
        "metadata": {"total_size": total},
        "weight_map": {key: name for name, part in zip(names, files, strict=True) for key in part},
    }
    (folder / f"{stem}.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
