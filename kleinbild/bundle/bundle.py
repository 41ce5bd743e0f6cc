"""An ONNX bundle folder as canonical weights: the counterpart of Checkpoint for what is already quantised.

Opening reads every JSON file and graph and finds every weight; weights themselves are read one at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kleinbild.bundle.flux2_config import BundleRecord, read_record
from kleinbild.bundle.graph import Graph
from kleinbild.bundle.recognise import DenseSource, Q4Source, WeightPlace, recognise
from kleinbild.canonical import TensorSpec, expected_tensors
from kleinbild.config import ModelConfig
from kleinbild.errors import KleinbildError
from kleinbild.weights import Q4, Dense, Weight

FINITE_CHUNK_ELEMENTS = 1 << 22


@dataclass(frozen=True)
class Bundle:
    """An opened bundle folder; `expected` is expected_tensors(config)."""

    folder: Path
    expected: dict[str, dict[str, TensorSpec]]
    _record: BundleRecord
    _places: dict[str, dict[str, WeightPlace]]

    @staticmethod
    def open(folder: Path) -> Bundle:
        """Opens the bundle `folder`; reads no weights kept in shards.

        Raises KleinbildError naming the file, key, shard or tensor that is missing, damaged or not supported.
        """
        record = read_record(folder)
        if not (record.tokenizer_folder / "tokenizer.json").is_file():
            raise KleinbildError(
                f"{record.tokenizer_folder / 'tokenizer.json'}: no such file; fetch the whole bundle"
            )
        expected = expected_tensors(record.config)
        places = {
            stage: recognise([Graph(file) for file in files], expected[stage], stage)
            for stage, files in record.stages.items()
        }
        return Bundle(folder, expected, record, places)

    @property
    def config(self) -> ModelConfig:
        """The model's numbers."""
        return self._record.config

    @property
    def name(self) -> str:
        """The model's name."""
        return self._record.name

    @property
    def notice(self) -> str:
        """What a user must be told about the model; "" when nothing."""
        return self._record.notice

    @property
    def weights_kind(self) -> str:
        """ "q4", "f16" or "f32": how the linears of layers and blocks are stored."""
        return self._record.weights_kind

    @property
    def tokenizer_folder(self) -> Path:
        """The folder of tokenizer.json."""
        return self._record.tokenizer_folder

    def check(self) -> None:
        """Reads every weight once. Raises KleinbildError naming the first that is damaged."""
        for stage, tensors in self.expected.items():
            for name in tensors:
                self.tensor(stage, name)

    def tensor(self, stage: str, name: str) -> Weight:
        """The canonical tensor `name` of `stage`, in the shape `expected` gives (a linear is [N, K]).

        Dense in float32 or float16 as stored, or Q4. Raises KleinbildError naming the tensor when its bytes
        cannot be read or it holds NaN or infinity.
        """
        place, shape = self._places[stage][name], self.expected[stage][name].shape
        where = f"{place.graph.where}: {stage} tensor {name!r}"
        if isinstance(place, DenseSource):
            array = _finite_floats(place.graph.read(place.name), where)
            return Dense(np.ascontiguousarray(array.T) if place.transposed else array.reshape(shape))
        return _read_q4(place, (shape[0], shape[1]), where)


def _read_q4(place: Q4Source, shape: tuple[int, int], where: str) -> Q4:
    graph, rows = place.graph, shape[0]
    zero_points = None
    if place.zero_points is not None:
        zero_points = _bytes(graph.read(place.zero_points), f"{where}, zero points").reshape(rows, -1)
    return Q4(
        shape=shape,
        block_size=place.block_size,
        codes=_bytes(graph.read(place.codes), f"{where}, codes").reshape(rows, -1, place.block_size // 2),
        scales=_finite_floats(graph.read(place.scales), f"{where}, scales").reshape(rows, -1),
        zero_points=zero_points,
    )


def _bytes(array: npt.NDArray[Any], where: str) -> npt.NDArray[np.uint8]:
    if array.dtype != np.uint8:
        raise KleinbildError(f"{where}: stored as {array.dtype}, only uint8 is supported")
    return array


def _finite_floats(array: npt.NDArray[Any], where: str) -> npt.NDArray[np.floating[Any]]:
    if array.dtype not in (np.float16, np.float32):
        raise KleinbildError(f"{where}: stored as {array.dtype}, expected float16 or float32")
    flat = array.reshape(-1)
    for start in range(0, flat.size, FINITE_CHUNK_ELEMENTS):
        if not np.isfinite(flat[start : start + FINITE_CHUNK_ELEMENTS]).all():
            raise KleinbildError(f"{where}: holds NaN or infinity; fetch the bundle again")
    return array
