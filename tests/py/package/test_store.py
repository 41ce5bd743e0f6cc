"""The store: named by digests of plain bytes, compressed only where it pays, linked from an earlier site."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from kleinbild.package.manifest import FileRef
from kleinbild.package.store import FileStore

PACKABLE = bytes(range(16)) * 64
NOISE = np.random.default_rng(0).bytes(4096)


def test_bytes_that_repeat_are_compressed(tmp_path: Path) -> None:
    digest = hashlib.sha256(PACKABLE).hexdigest()
    file = FileStore(tmp_path).put(PACKABLE, "json")
    data = (tmp_path / file.path).read_bytes()
    assert file == FileRef(f"w/{digest}.json.gz", digest, len(PACKABLE), "gzip", len(data))
    assert gzip.decompress(data) == PACKABLE
    assert len(data) < len(PACKABLE) / 2


def test_bytes_that_do_not_are_stored_as_they_are(tmp_path: Path) -> None:
    digest = hashlib.sha256(NOISE).hexdigest()
    file = FileStore(tmp_path).put(NOISE, "bin")
    assert file == FileRef(f"w/{digest}.bin", digest, len(NOISE), "", len(NOISE))
    assert (tmp_path / file.path).read_bytes() == NOISE


@pytest.mark.parametrize("data", [PACKABLE, NOISE])
def test_files_of_an_earlier_site_are_linked(tmp_path: Path, data: bytes) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    file = FileStore(old).put(data, "bin")
    again = FileStore(new, old)
    assert again.put(data, "bin") == again.put(data, "bin") == file
    assert (new / file.path).samefile(old / file.path)


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"no gzip",
        gzip.compress(PACKABLE)[:-1],
        gzip.compress(PACKABLE[:-1] + b"x"),
        gzip.compress(PACKABLE, 9, mtime=77),
    ],
    ids=["empty", "other", "cut", "changed", "made by another gzip"],
)
def test_other_files_of_an_earlier_site_are_not_linked(tmp_path: Path, damaged: bytes) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    file = FileStore(old).put(PACKABLE, "bin")
    (old / file.path).write_bytes(damaged)
    assert FileStore(new, old).put(PACKABLE, "bin") == file
    assert gzip.decompress((new / file.path).read_bytes()) == PACKABLE
    assert (old / file.path).read_bytes() == damaged


def test_plain_files_of_an_earlier_site_are_checked_too(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    file = FileStore(old).put(NOISE, "bin")
    (old / file.path).write_bytes(NOISE[:-1] + b"y")
    FileStore(new, old).put(NOISE, "bin")
    assert (new / file.path).read_bytes() == NOISE
    assert (old / file.path).read_bytes() == NOISE[:-1] + b"y"


def test_a_plain_file_that_compresses_is_not_taken_over(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    digest = hashlib.sha256(PACKABLE).hexdigest()
    (old / "w").mkdir(parents=True)
    (old / "w" / f"{digest}.bin").write_bytes(PACKABLE)
    assert FileStore(new, old).put(PACKABLE, "bin").encoding == "gzip"
    assert [path.suffix for path in (new / "w").iterdir()] == [".gz"]


def test_links_of_an_earlier_site_are_not_followed(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    file = FileStore(old).put(PACKABLE, "bin")
    path = old / file.path
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    FileStore(new, old).put(PACKABLE, "bin")
    assert not (new / file.path).is_symlink()
    assert not (new / file.path).samefile(tmp_path / "elsewhere")
