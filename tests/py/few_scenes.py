"""A few scenes made in this process, in place of the worker processes of training/data.py."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

import pytest

from training import data
from training.data import Chunk, Scenes
from training.prompts import Prompts

SCENES_PER_CHUNK = 6


class FewScenes(Scenes):
    """As many chunks, of SCENES_PER_CHUNK scenes each."""

    def __init__(
        self, tokenizer: Path, text_seq_len: int, chunks: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(data, "CHUNK", SCENES_PER_CHUNK)
        monkeypatch.setattr(data, "_prompts", Prompts(tokenizer, text_seq_len))
        self.chunks = chunks
        self.futures = [Future[Chunk]() for _ in range(chunks)]
        for number, future in enumerate(self.futures):
            future.set_result(data.make_chunk(number))
