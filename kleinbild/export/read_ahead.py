"""Reads the tensors of one stage ahead of their use, in a thread.

While a tensor is being quantised or written, the next ones are read and converted to float32; at most
READ_AHEAD_BYTES wait. Which tensor is next is a guess from the canonical order; a wrong one costs only time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from kleinbild.canonical import expected_tensors
from kleinbild.config import ModelConfig
from kleinbild.export.conversion import float32_bytes, is_large
from kleinbild.export.source import WeightSource

READ_AHEAD_BYTES = 512 << 20

Float32 = npt.NDArray[np.float32]
# Told how many bytes of the source are done, and what comes next.
Advance = Callable[[int, str], None]


class ReadAhead:
    """A TensorSource of one stage of `source`, used by one thread; a context manager.

    `advance` is told the stored bytes of each tensor once the next one is asked for, or the block ends well.
    """

    def __init__(self, source: WeightSource, stage: str, advance: Advance) -> None:
        self._source = source
        self._advance = advance
        self._shapes = {name: spec.shape for name, spec in expected_tensors(source.config)[stage].items()}
        self._stage = stage
        self._next = deque(name for name, shape in self._shapes.items() if not is_large(shape))
        self._ahead: dict[str, Future[Float32]] = {}
        self._reader = ThreadPoolExecutor(1)
        self._used = ""

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._reader.shutdown(cancel_futures=True)
        if kind is None:
            self._use("")

    @property
    def config(self) -> ModelConfig:
        """The model's numbers."""
        return self._source.config

    def tensor(self, stage: str, name: str) -> Float32:
        """One canonical tensor of the stage."""
        assert stage == self._stage, stage
        self._use(name)
        if name in self._next:
            self._next.remove(name)
        future = self._ahead.pop(name, None)
        self._fill()
        return self._source.tensor(stage, name) if future is None else future.result()

    def rows(self, stage: str, name: str, first: int, count: int) -> Float32:
        """Some rows of one canonical tensor, not read ahead."""
        self._use(name)
        return self._source.rows(stage, name, first, count)

    def _fill(self) -> None:
        waiting = sum(float32_bytes(self._shapes[name]) for name in self._ahead)
        while self._next:
            waiting += float32_bytes(self._shapes[self._next[0]])
            if waiting > READ_AHEAD_BYTES:
                break
            self._submit(self._next.popleft())

    def _submit(self, name: str) -> None:
        self._ahead[name] = self._reader.submit(self._source.tensor, self._stage, name)

    def _use(self, name: str) -> None:
        if self._used and name != self._used:
            self._advance(self._source.stored_bytes(self._stage, self._used), name)
        self._used = name
