"""Mutated safetensors files: the reader ends with tensors or a KleinbildError, in bounded memory."""

from __future__ import annotations

import json
import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from kleinbild.checkpoint.safetensors import SafetensorsFile
from kleinbild.checkpoint.safetensors_writer import write_safetensors
from kleinbild.errors import KleinbildError

MUTATIONS = 600
# Of a file of 3 KB; a header's JSON costs a small multiple of its bytes.
MEMORY_BYTES = 1 << 20
NUMBERS = (0, 1, 2, 3, 7, 8, 1 << 31, (1 << 48) - 1, 1 << 48, 1 << 63, -1, -(1 << 63), 0.5, 1e308)
TEXTS = ("", "F32", "BF16", "U8", "F8", "x" * 300, "\ud800")
VALUES: tuple[object, ...] = (*NUMBERS, *TEXTS, None, True, [], [0], [[]], {})


def make_file(path: Path) -> bytes:
    generator = np.random.default_rng(0)
    write_safetensors(
        path,
        {
            "a": ("BF16", generator.standard_normal((8, 16))),
            "b.weight": ("F32", generator.standard_normal((3, 5))),
            "c": ("I64", np.arange(4)),
            "d": ("F16", generator.standard_normal((2, 2, 3))),
            "scalar": ("F32", np.ones(())),
        },
    )
    return path.read_bytes()


def mutate(data: bytes, chance: random.Random) -> bytes:
    kind = chance.randrange(5)
    if kind == 0:
        return flip(data, chance)
    if kind == 1:
        return data[: chance.randrange(len(data))] + chance.randbytes(chance.choice([0, 0, 3, 4000]))
    if kind == 2:
        first, last = sorted(chance.randrange(len(data)) for _ in range(2))
        return data[:first] + data[last:] if chance.random() < 0.5 else data[:last] + data[first:]
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    for _ in range(chance.randint(1, 3)):
        mutate_header(header, chance)
    head = json.dumps(header).encode()
    if kind == 3:
        return len(head).to_bytes(8, "little") + head + data[8 + length :]
    wrong = chance.choice([len(head) - 1, len(head) + 1, 0, 1 << 40, (1 << 64) - 1])
    return wrong.to_bytes(8, "little") + head + data[8 + length :]


def flip(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 4, 64])):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def mutate_header(header: dict[str, object], chance: random.Random) -> None:
    name = chance.choice([*header, "new"])
    entry = header.get(name)
    if not isinstance(entry, dict) or chance.random() < 0.2:
        header[name] = chance.choice([*VALUES, header[chance.choice(list(header))]])
        return
    key = chance.choice([*entry, "extra"])
    value = entry.get(key)
    if isinstance(value, list) and value and chance.random() < 0.7:
        value[chance.randrange(len(value))] = chance.choice(VALUES)
    elif chance.random() < 0.2:
        entry.pop(key, None)
    else:
        entry[key] = chance.choice(VALUES)


def read_all(path: Path) -> int:
    """Reads everything there is, whole and by rows; returns the bytes read."""
    file, size = SafetensorsFile.open(path), 0
    for name, entry in file.entries.items():
        array = file.read(name)
        assert array.shape == entry.shape
        size += array.nbytes
        if entry.shape and entry.shape[0]:
            rows = file.read_rows(name, 0, entry.shape[0])
            assert rows.tobytes() == array.tobytes()
            np.testing.assert_array_equal(file.read_rows(name, entry.shape[0] - 1, 1), array[-1:])
    return size


def test_mutations_end_with_tensors_or_a_named_error(tmp_path: Path) -> None:
    good, path = make_file(tmp_path / "good.safetensors"), tmp_path / "mutated.safetensors"
    chance, refused = random.Random(20260), 0
    tracemalloc.start()
    try:
        for i in range(MUTATIONS):
            path.write_bytes(mutate(good, chance))
            tracemalloc.reset_peak()
            try:
                assert read_all(path) < 100_000
            except KleinbildError as error:
                refused += 1
                assert str(error).startswith(f"{path}: "), i
                assert "\n" not in str(error), i
            assert tracemalloc.get_traced_memory()[1] < MEMORY_BYTES, i
    finally:
        tracemalloc.stop()
    # Some mutations are harmless: flipped bytes of values.
    assert MUTATIONS * 0.6 < refused < MUTATIONS


def test_a_file_that_is_cut_after_it_was_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    data = make_file(path)
    file = SafetensorsFile.open(path)
    path.write_bytes(data[:-1])
    with pytest.raises(KleinbildError, match="ends inside the tensor 'scalar'"):
        file.read("scalar")
    assert file.read("a").shape == (8, 16)


def test_rows_are_those_of_the_whole(tmp_path: Path) -> None:
    values = np.random.default_rng(1).standard_normal((700, 3, 211)).astype(np.float32)
    for dtype in ("BF16", "F32", "F16"):
        path = tmp_path / f"{dtype}.safetensors"
        write_safetensors(path, {"before": ("F32", np.zeros(3)), "x": (dtype, values)})
        file = SafetensorsFile.open(path)
        whole = file.read("x")
        for first, count in ((0, 700), (0, 0), (700, 0), (13, 500), (699, 1)):
            np.testing.assert_array_equal(file.read_rows("x", first, count), whole[first : first + count])
