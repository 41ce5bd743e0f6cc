"""Scenes for training: sampled, captioned and packed by worker processes, drawn where the model is.

Chunk n holds the scenes of the seeds n * CHUNK and following, so the same number of chunks is the same data
whatever the number of workers. Captions become token ids in the workers: text is the slowest part.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.prompts import Prompts
from training.scenes.captions import describe
from training.scenes.pack import pack
from training.scenes.sampling import Split, sample

CHUNK = 512
CAPTIONS_PER_SCENE = 2
CAPTION_SEED_STEP = 1 << 32


def caption_of(split: Split, seed: int, variant: int = 0) -> str:
    """A caption of the scene of a seed."""
    return describe(sample(split, seed), seed + variant * CAPTION_SEED_STEP)


@dataclass(frozen=True)
class Chunk:
    """`count` scenes: packed [count, primitives, width] f32, ids [count, captions, text_seq_len] int16,
    lengths [count, captions] int16; `cut` captions were too long."""

    packed: np.ndarray
    ids: np.ndarray
    lengths: np.ndarray
    cut: int


class Scenes:
    """Chunks 0 .. chunks - 1 of the training split; they come in the background, in order."""

    def __init__(self, tokenizer: Path, text_seq_len: int, scenes: int, workers: int = 0) -> None:
        self.chunks = max(1, scenes // CHUNK)
        workers = workers or max(1, (os.cpu_count() or 2) - 1)
        self.pool = ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), _prepare, (str(tokenizer), text_seq_len)
        )
        self.futures: list[Future[Chunk]] = [self.pool.submit(make_chunk, n) for n in range(self.chunks)]
        self.lock = threading.Lock()
        self.cut = 0

    def __getitem__(self, number: int) -> Chunk:
        """Chunk `number`; waits until it is made."""
        return self.futures[number].result()

    def ready(self) -> int:
        """How many chunks exist already, counted from the first."""
        done = 0
        while done < self.chunks and self.futures[done].done():
            done += 1
        return done

    def __iter__(self) -> Iterator[Chunk]:
        return (self[n] for n in range(self.chunks))

    def close(self) -> None:
        """Ends the workers."""
        self.pool.shutdown(wait=False, cancel_futures=True)


_prompts: Prompts | None = None


def _prepare(tokenizer: str, text_seq_len: int) -> None:
    global _prompts  # noqa: PLW0603  a worker's own tokenizer
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _prompts = Prompts(Path(tokenizer), text_seq_len)


def make_chunk(number: int) -> Chunk:
    """The scenes of chunk `number`, in a worker."""
    assert _prompts is not None
    seeds = range(number * CHUNK, (number + 1) * CHUNK)
    scenes = [sample("train", seed) for seed in seeds]
    captions = [
        describe(scene, seed + variant * CAPTION_SEED_STEP)
        for scene, seed in zip(scenes, seeds, strict=True)
        for variant in range(CAPTIONS_PER_SCENE)
    ]
    ids, lengths, cut = _prompts.encode(captions)
    shape = (len(scenes), CAPTIONS_PER_SCENE)
    return Chunk(pack(scenes), ids.reshape(*shape, -1), lengths.reshape(shape), cut)
