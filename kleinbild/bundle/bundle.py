"""An ONNX bundle folder as canonical weights: the counterpart of Checkpoint for what is already quantised.

Opening reads every JSON file and graph and finds every weight; weights themselves are read one at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kleinbild.bundle.flux2_config import BundleRecord, read_record
from kleinbild.bundle.model_config import model_config
from kleinbild.bundle.places import Place, check_place, read_place, where_stored
from kleinbild.bundle.recognise import recognise
from kleinbild.canonical import TensorSpec, expected_tensors
from kleinbild.config import ModelConfig
from kleinbild.errors import KleinbildError
from kleinbild.notice import Notice
from kleinbild.suggestions import Suggestions
from kleinbild.weights import Dense, Weight


@dataclass(frozen=True)
class Bundle:
    """An opened bundle folder; config: the model's numbers; `expected` is expected_tensors(config)."""

    folder: Path
    config: ModelConfig
    expected: dict[str, dict[str, TensorSpec]]
    _record: BundleRecord
    _places: dict[str, dict[str, Place]]

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
        found = recognise(record)
        config = model_config(record, found)
        expected = expected_tensors(config)
        bundle = Bundle(folder, config, expected, record, found.places)
        for stage, tensors in expected.items():
            bundle._check_places(stage, tensors)
        return bundle

    @property
    def name(self) -> str:
        """The model's name."""
        return self._record.name

    @property
    def notice(self) -> Notice:
        """What a user must be told about the model; "" when nothing."""
        return self._record.own.notice if self._record.own else {}

    @property
    def suggestions(self) -> Suggestions:
        """Prompts and sizes that suit the model."""
        return self._record.own.suggestions if self._record.own else Suggestions()

    @property
    def weights_kind(self) -> str:
        """ "q4", "f16" or "f32": how the linears of layers and blocks are stored."""
        if self._record.own:
            return self._record.own.weights_kind
        places = self._places["transformer"].values()
        if any(place.quantised for place in places):
            return "q4"
        largest = self.tensor("transformer", "proj_out.weight")
        return "f32" if isinstance(largest, Dense) and largest.array.dtype == np.float32 else "f16"

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
        return read_place(self._places[stage][name], self._where(stage, name))

    def _check_places(self, stage: str, tensors: dict[str, TensorSpec]) -> None:
        """Every tensor has a place of its shape, and its bytes are there."""
        places = self._places[stage]
        for name in [*tensors, *places]:
            found = list(places[name].shape) if name in places else "not in the graphs"
            wanted = list(tensors[name].shape) if name in tensors else "no tensor of this model"
            if found != wanted:
                raise KleinbildError(
                    f"{self.folder}: {stage} tensor {name!r} is {found}, expected {wanted}; "
                    "the graphs contradict each other"
                )
        for name in tensors:
            check_place(places[name], f"{stage} tensor {name!r}")

    def _where(self, stage: str, name: str) -> str:
        return f"{where_stored(self._places[stage][name]) or self.folder}: {stage} tensor {name!r}"
