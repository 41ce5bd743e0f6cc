"""The safetensors reader: exact values from good files, a named refusal of each kind of bad one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from checkpoint_factory import write_model

from kleinbild.checkpoint.safetensors import HEADER_MAX_BYTES, SafetensorsFile, SafetensorsFolder
from kleinbild.checkpoint.safetensors_writer import bfloat16_bits, write_safetensors
from kleinbild.errors import KleinbildError

ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def write_raw(path: Path, header: object, data: bytes = b"", length: int | None = None) -> Path:
    """A file with `header` (JSON value or raw bytes), whatever it says, and `data` behind it."""
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(head) if length is None else length).to_bytes(8, "little") + head + data)
    return path


@pytest.mark.parametrize("dtype", ["F16", "F32", "F64", "I64", "I32", "U8"])
def test_reads_each_dtype(tmp_path: Path, dtype: str) -> None:
    numpy_dtype = {
        "F16": np.float16,
        "F32": np.float32,
        "F64": np.float64,
        "I64": np.int64,
        "I32": np.int32,
        "U8": np.uint8,
    }
    expected = np.array([[0, 1, 2], [3, 100, 255]], numpy_dtype[dtype])
    entry = {"dtype": dtype, "shape": [2, 3], "data_offsets": [0, expected.nbytes]}
    array = SafetensorsFile.open(
        write_raw(tmp_path / "a.safetensors", {"x": entry}, expected.tobytes())
    ).read("x")
    assert type(array) is np.ndarray
    assert array.dtype == expected.dtype
    np.testing.assert_array_equal(array, expected)


def test_bfloat16_is_exact(tmp_path: Path) -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    entry = {"dtype": "BF16", "shape": [256, 256], "data_offsets": [0, 1 << 17]}
    array = SafetensorsFile.open(write_raw(tmp_path / "a.safetensors", {"x": entry}, bits.tobytes())).read(
        "x"
    )
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array.view(np.uint32).reshape(-1), bits.astype(np.uint32) << 16)


def test_bfloat16_rounds_to_nearest_even() -> None:
    values = np.array([1.0, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, -1e-40, np.nan, np.inf], np.float32)
    assert [hex(b) for b in bfloat16_bits(values)] == [
        "0x3f80",
        "0x3f80",
        "0x3f82",
        "0x3f81",
        "0x8001",
        "0x7fc0",
        "0x7f80",
    ]


def test_odd_offsets_scalars_and_empty_tensors(tmp_path: Path) -> None:
    header = {
        "byte": {"dtype": "U8", "shape": [], "data_offsets": [0, 1]},
        "none": {"dtype": "F32", "shape": [0, 4], "data_offsets": [1, 1]},
        "float": {"dtype": "F32", "shape": [1], "data_offsets": [1, 5]},
    }
    data = b"\x07" + np.float32(0.1).tobytes()
    file = SafetensorsFile.open(write_raw(tmp_path / "a.safetensors", header, data))
    assert file.read("byte").shape == ()
    assert int(file.read("byte")) == 7
    assert file.read("none").shape == (0, 4)
    assert file.read("float").tolist() == [np.float32(0.1)]


def test_what_is_read_is_a_copy(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "a.safetensors", {"x": ENTRY}, bytes(8))
    file = SafetensorsFile.open(path)
    file.read("x")[:] = 5
    assert file.read("x").tolist() == [0, 0]
    assert path.read_bytes().endswith(bytes(8))


BAD_FILES: dict[str, tuple[object, bytes, int | None, str]] = {
    "header longer than the file": ({"x": ENTRY}, bytes(8), 1 << 20, "not a safetensors file, or a cut one"),
    "header of 2^63 bytes": ({"x": ENTRY}, bytes(8), 1 << 63, "not a safetensors file, or a cut one"),
    "not JSON": (b"{]", b"", None, "header: not valid JSON"),
    "not UTF-8": (b'{"\xff\xfe": 1}', b"", None, "header: not valid JSON"),
    "nested too deeply": (b"[" * 100_000, b"", None, "header: not valid JSON"),
    "a number of 10000 digits": (b'{"x": ' + b"9" * 10_000 + b"}", b"", None, "header: not valid JSON"),
    "a list": ([1], b"", None, "header: expected a JSON object"),
    "the same tensor twice": (
        b'{"x": {}, "y": {}, "x": {}}',
        b"",
        None,
        "header: not valid JSON (the key 'x' occurs twice)",
    ),
    "an entry that is no object": ({"x": 1}, b"", None, "tensor 'x': expected dtype, shape and data_offsets"),
    "an entry without shape": (
        {"x": {"dtype": "F32", "data_offsets": [0, 4]}},
        bytes(4),
        None,
        "tensor 'x': expected dtype, shape and data_offsets",
    ),
    "unknown dtype": (
        {"x": ENTRY | {"dtype": "F8_E4M3"}},
        bytes(8),
        None,
        "tensor 'x': dtype 'F8_E4M3' is not",
    ),
    "dtype that is no text": (
        {"x": ENTRY | {"dtype": ["F32"]}},
        bytes(8),
        None,
        "tensor 'x': dtype ['F32'] is not",
    ),
    "negative size": ({"x": ENTRY | {"shape": [-2]}}, bytes(8), None, "tensor 'x': bad shape [-2]"),
    "size that is a bool": (
        {"x": ENTRY | {"shape": [2, True]}},
        bytes(8),
        None,
        "tensor 'x': bad shape [2, True]",
    ),
    "rank 9": ({"x": ENTRY | {"shape": [1] * 8 + [2]}}, bytes(8), None, "tensor 'x': bad shape"),
    "sizes whose product overflows 64 bits": (
        {"x": ENTRY | {"shape": [1 << 32, 1 << 32]}},
        bytes(8),
        None,
        "tensor 'x': data_offsets [0, 8] cover 8 bytes",
    ),
    "negative offset": (
        {"x": ENTRY | {"data_offsets": [-8, 0]}},
        bytes(8),
        None,
        "tensor 'x': bad data_offsets",
    ),
    "fractional offset": (
        {"x": ENTRY | {"data_offsets": [0, 8.0]}},
        bytes(8),
        None,
        "tensor 'x': bad data_offsets",
    ),
    "three offsets": (
        {"x": ENTRY | {"data_offsets": [0, 8, 8]}},
        bytes(8),
        None,
        "tensor 'x': bad data_offsets",
    ),
    "offsets the wrong way round": (
        {"x": ENTRY | {"data_offsets": [8, 0]}},
        bytes(8),
        None,
        "tensor 'x': data_offsets [8, 0] cover -8 bytes",
    ),
    "shape and offsets at odds": (
        {"x": ENTRY | {"shape": [3]}},
        bytes(8),
        None,
        "tensor 'x': data_offsets [0, 8] cover 8 bytes, F32 [3] takes 12",
    ),
    "cut data": ({"x": ENTRY}, bytes(7), None, "cut or padded"),
    "data nobody owns": ({"x": ENTRY}, bytes(9), None, "cut or padded"),
    "overlap": (
        {"x": ENTRY, "y": ENTRY | {"data_offsets": [4, 12]}},
        bytes(12),
        None,
        "tensor 'y' overlaps the one before it",
    ),
    "gap": (
        {"x": ENTRY, "y": ENTRY | {"data_offsets": [12, 20]}},
        bytes(20),
        None,
        "tensor 'y' leaves a gap before it",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_refuses(tmp_path: Path, case: str) -> None:
    header, data, length, message = BAD_FILES[case]
    path = write_raw(tmp_path / "bad.safetensors", header, data, length)
    with pytest.raises(KleinbildError) as error:
        SafetensorsFile.open(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\0\0\0"])
def test_refuses_a_file_too_short_for_its_length(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "short.safetensors"
    path.write_bytes(content)
    with pytest.raises(KleinbildError, match="not a safetensors file, or a cut one"):
        SafetensorsFile.open(path)


def test_refuses_a_header_beyond_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "big.safetensors"
    with path.open("wb") as file:
        file.write((HEADER_MAX_BYTES + 1).to_bytes(8, "little"))
        file.truncate(HEADER_MAX_BYTES + 1000)  # sparse
    with pytest.raises(KleinbildError, match="not a safetensors file"):
        SafetensorsFile.open(path)


def tensors() -> dict[str, tuple[str, npt.NDArray[Any]]]:
    return {name: ("F32", np.full((2, 2), i, np.float32)) for i, name in enumerate("abcde")}


@pytest.mark.parametrize("shards", [1, 2, 3])
def test_single_and_sharded_models_read_alike(tmp_path: Path, shards: int) -> None:
    write_model(tmp_path, "model", tensors(), shards)
    assert len(list(tmp_path.glob("*.safetensors"))) == shards
    model = SafetensorsFolder.open(tmp_path, "model")
    assert list(model) == list("abcde")
    assert "f" not in model
    for name, (_, array) in tensors().items():
        assert model.entry(name).shape == (2, 2)
        np.testing.assert_array_equal(model.read(name), array)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(KleinbildError, match=r"model\.safetensors: no such file"):
        SafetensorsFolder.open(tmp_path, "model")
    write_model(tmp_path, "model", tensors(), 2)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(KleinbildError, match=r"model-00002-of-00002\.safetensors: no such file"):
        SafetensorsFolder.open(tmp_path, "model")


def test_a_tensor_that_its_shard_does_not_hold_is_named(tmp_path: Path) -> None:
    write_model(tmp_path, "model", tensors(), 2)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(index.read_text().replace('"a"', '"lost"'))
    with pytest.raises(
        KleinbildError, match=r"model-00001-of-00002\.safetensors: tensor 'lost' is not in it"
    ):
        SafetensorsFolder.open(tmp_path, "model")


@pytest.mark.parametrize(
    "shard",
    [
        "../secret.safetensors",
        "/etc/x.safetensors",
        "a\\b.safetensors",
        "c:x.safetensors",
        "..safetensors",
        "model.bin",
        "x\0.safetensors",
        "é.safetensors",
        "x" * 300 + ".safetensors",
        7,
        None,
    ],
)
def test_shard_names_stay_in_the_folder(tmp_path: Path, shard: object) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": shard}}))
    with pytest.raises(KleinbildError, match=r"tensor 'a' lies in .* no plain \.safetensors name"):
        SafetensorsFolder.open(tmp_path, "model")


@pytest.mark.parametrize("index", [{}, {"weight_map": ["a"]}])
def test_an_index_without_a_map_is_refused(tmp_path: Path, index: object) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(KleinbildError, match='"weight_map" is missing'):
        SafetensorsFolder.open(tmp_path, "model")


def test_writing_is_deterministic_and_leaves_nothing_behind(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_safetensors(tmp_path / name / "x.safetensors", tensors())
    assert (tmp_path / "a/x.safetensors").read_bytes() == (tmp_path / "b/x.safetensors").read_bytes()
    with pytest.raises(ValueError, match="cannot write dtype U8"):
        write_safetensors(tmp_path / "a" / "y.safetensors", {"x": ("U8", np.zeros(1))})
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["x.safetensors"]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"old")

    def refuse(self: Path, target: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_safetensors(path, tensors())
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
