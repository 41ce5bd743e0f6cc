"""A model on its way through packaging: its progress in bytes, and which of its stages are done with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kleinbild.canonical import expected_tensors
from kleinbild.config import ModelConfig
from kleinbild.notice import Notice
from kleinbild.package.model import ModelSource
from kleinbild.suggestions import Suggestions
from kleinbild.weights import Dense, Weight


class WatchedSource:
    """`source` whose tensors are told to `advance` as they are read: bytes and name.

    `left` is told a canonical stage once all its tensors were read and one of another stage is asked for.
    """

    def __init__(
        self, source: ModelSource, advance: Callable[[int, str], None], left: Callable[[str], None]
    ) -> None:
        self._source = source
        self._advance = advance
        self._left = left
        self._unread = {stage: set(tensors) for stage, tensors in expected_tensors(source.config).items()}
        self._stage = ""

    @property
    def config(self) -> ModelConfig:
        """The model's numbers."""
        return self._source.config

    @property
    def name(self) -> str:
        """The model's name."""
        return self._source.name

    @property
    def notice(self) -> Notice:
        """What the page must tell about the model."""
        return self._source.notice

    @property
    def suggestions(self) -> Suggestions:
        """Prompts and sizes that suit the model."""
        return self._source.suggestions

    @property
    def weights_kind(self) -> str:
        """The format of most linear weights."""
        return self._source.weights_kind

    @property
    def tokenizer_folder(self) -> Path:
        """The folder of tokenizer.json."""
        return self._source.tokenizer_folder

    def tensor(self, stage: str, name: str) -> Weight:
        """The weight `name` of `stage`."""
        if self._stage and self._stage != stage and not self._unread[self._stage]:
            self._left(self._stage)
        self._stage = stage
        weight = self._source.tensor(stage, name)
        if name in self._unread[stage]:
            self._unread[stage].remove(name)
            self._advance(_weight_bytes(weight), name)
        return weight


def bundle_bytes(folder: Path) -> int:
    """Bytes of the weights of the bundle in `folder`, by its files: graphs are counted with them."""
    files = [path for path in folder.iterdir() if path.suffix in (".onnx", ".onnx_data")]
    return sum(path.stat().st_size for path in files)


def _weight_bytes(weight: Weight) -> int:
    if isinstance(weight, Dense):
        return weight.array.nbytes
    zero_points = 0 if weight.zero_points is None else weight.zero_points.nbytes
    return weight.codes.nbytes + weight.scales.nbytes + zero_points
