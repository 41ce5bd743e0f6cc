"""Compression: deterministic, no time or name in it, bounded unpacking, refusals that name the file."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kleinbild.errors import KleinbildError
from kleinbild.package.compression import (
    GZIP,
    PLAIN,
    WEIGHTS_HISTORY_BITS,
    compressed,
    plain_bytes,
    worthwhile,
)
from kleinbild.package.layout import Storage, encode_part
from kleinbild.quantise import quantise


@given(st.binary(max_size=2000), st.integers(1, 200), st.sampled_from([9, 15]))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_whatever_is_compressed_unpacks_to_itself(data: bytes, times: int, history_bits: int) -> None:
    data *= times
    packed = compressed(data, history_bits)
    if packed is not None:
        assert gzip.decompress(packed) == data
        assert len(packed) <= 0.97 * len(data)
        assert compressed(bytearray(data), history_bits) == packed


def test_the_header_tells_no_time_and_no_name() -> None:
    packed = compressed(bytes(1000))
    assert packed is not None
    magic, method, flags, time = packed[:2], packed[2], packed[3], packed[4:8]
    assert (magic, method, flags, time) == (b"\x1f\x8b", 8, 0, bytes(4))


def test_less_than_three_percent_is_not_worth_it() -> None:
    assert worthwhile(10_000, 9_700)
    assert not worthwhile(10_000, 9_701)
    assert compressed(np.random.default_rng(0).bytes(10_000)) is None


def test_codes_take_about_their_entropy() -> None:
    """Gaussian weights in symmetric blocks of 32: 3.77 bits a code, whatever the order of the codes."""
    weight = quantise(np.random.default_rng(0).standard_normal((512, 2048)).astype(np.float32), 32, True)
    out = np.zeros(Storage.of("linear", weight).part_bytes(512), np.uint8)
    encode_part("linear", weight, 0, 512, out)
    codes = out[: 512 * 2048 // 2].tobytes()
    counts = np.bincount(np.frombuffer(codes, np.uint8), minlength=256)
    shares = counts[counts > 0] / counts.sum()
    entropy = -(shares * np.log2(shares)).sum() / 8
    packed = compressed(codes, WEIGHTS_HISTORY_BITS)
    assert packed is not None
    assert entropy <= len(packed) / len(codes) < entropy + 0.01


def test_no_more_is_unpacked_than_may_be(tmp_path: Path) -> None:
    """64 MiB of zeros are 64 KiB of gzip: a piece must stay a piece whatever it unpacks to."""
    data = bytes(1 << 26)
    path = tmp_path / "zeros"
    path.write_bytes(gzip.compress(data))
    tracemalloc.start()
    with pytest.raises(KleinbildError, match="zeros: holds more than 1000000 bytes"):
        plain_bytes(path, GZIP, 1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 22
    assert plain_bytes(path, GZIP, 1 << 26) == data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "ends before its gzip does"),
        (gzip.compress(b"abc", mtime=0)[:-4], "ends before its gzip does"),
        (b"abc" * 10, "is no gzip"),
        (gzip.compress(b"abc", mtime=0)[:-8] + bytes(8), "is no gzip"),
        (zlib.compress(b"abc"), "is no gzip"),
        (gzip.compress(b"abc", mtime=0) + b"d", "holds more than one gzip member"),
        (gzip.compress(b"abcd" * 100, mtime=0), "holds more than 399 bytes"),
    ],
)
def test_what_is_no_gzip_of_that_size_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.bin.gz"
    path.write_bytes(content)
    with pytest.raises(KleinbildError, match=f"x.bin.gz: {message}"):
        plain_bytes(path, GZIP, 399)


def test_plain_files_are_read_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"abc")
    assert plain_bytes(path, PLAIN, 3) == b"abc"
    with pytest.raises(KleinbildError, match="more than 2 bytes"):
        plain_bytes(path, PLAIN, 2)
