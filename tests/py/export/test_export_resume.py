"""An export that is interrupted: what it leaves, what the next run takes over, and what it must not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from bundle_numpy import make_small_checkpoint

from kleinbild.bundle import Bundle
from kleinbild.checkpoint.checkpoint import Checkpoint
from kleinbild.errors import KleinbildError
from kleinbild.export import Variant, export_bundle
from kleinbild.export.export import input_bytes
from kleinbild.part_folder import MARKER, RECORDS, part_folder

Float32 = npt.NDArray[np.float32]

# The last weight of the transformer: the text encoder is finished by then.
LATE = "proj_out.weight"
EARLY = "model.layers.1.mlp.up_proj.weight"


class Source:
    """A checkpoint that records what is read, and at one tensor raises `error`."""

    def __init__(self, checkpoint: Checkpoint, stop_at: str = "", error: BaseException | None = None) -> None:
        self._checkpoint = checkpoint
        self._stop_at = stop_at
        self._error = error
        self.read: list[str] = []
        self.config = checkpoint.config
        self.name = checkpoint.name
        self.notice = checkpoint.notice
        self.suggestions = checkpoint.suggestions
        self.tokenizer_folder = checkpoint.tokenizer_folder

    def check(self) -> None:
        self._checkpoint.check()

    def tensor(self, stage: str, name: str) -> Float32:
        self.read.append(name)
        if name == self._stop_at and self._error is not None:
            raise self._error
        return self._checkpoint.tensor(stage, name)

    def rows(self, stage: str, name: str, first: int, count: int) -> Float32:
        return self._checkpoint.rows(stage, name, first, count)

    def stored_bytes(self, stage: str, name: str) -> int:
        return self._checkpoint.stored_bytes(stage, name)

    def identity(self) -> dict[str, object]:
        return self._checkpoint.identity()


@pytest.fixture
def small(tmp_path: Path) -> Checkpoint:
    return Checkpoint.open(make_small_checkpoint(tmp_path / "checkpoint"))


def contents(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def interrupt(checkpoint: Checkpoint, out: Path, stop_at: str, weights: Variant = "q4") -> None:
    with pytest.raises(KeyboardInterrupt):
        export_bundle(Source(checkpoint, stop_at, KeyboardInterrupt()), out, weights=weights)


def stage_reads(source: Source) -> int:
    return sum(name.startswith("model.layers.") for name in source.read)


def test_every_weight_is_read_once(small: Checkpoint, tmp_path: Path) -> None:
    source, told = Source(small), list[int]()
    export_bundle(source, tmp_path / "bundle", weights="q4", advance=lambda count, _: told.append(count))
    expected = [name for tensors in small.expected.values() for name in tensors]
    assert sorted(source.read) == sorted(expected)
    assert sum(told) == input_bytes(small)


def test_an_interrupt_leaves_finished_stages_for_the_next_run(small: Checkpoint, tmp_path: Path) -> None:
    losses = export_bundle(small, tmp_path / "expected", weights="q4")
    out = tmp_path / "bundle"
    interrupt(small, out, LATE)
    assert not out.exists()
    left = sorted(path.name for path in (tmp_path / "bundle.part").iterdir())
    assert left == [
        RECORDS,
        MARKER,
        "flux2-klein-4b-text-encoder-q4.onnx",
        "text-encoder-q4-00001.onnx_data",
        "text-encoder-q4-manifest.json",
    ]
    inode = (tmp_path / "bundle.part" / "text-encoder-q4-00001.onnx_data").stat().st_ino
    source, told = Source(small), list[int]()
    taken_over = export_bundle(source, out, weights="q4", advance=lambda count, _: told.append(count))
    assert taken_over == losses
    assert stage_reads(source) == 0
    assert sum(told) == input_bytes(small)
    assert contents(out) == contents(tmp_path / "expected")
    assert (out / "text-encoder-q4-00001.onnx_data").stat().st_ino == inode
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle", "checkpoint", "expected"]


def test_an_interrupt_before_anything_is_finished_leaves_nothing(small: Checkpoint, tmp_path: Path) -> None:
    interrupt(small, tmp_path / "bundle", EARLY)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_an_interrupt_leaves_the_old_bundle(small: Checkpoint, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    export_bundle(small, out, weights="f16")
    before = contents(out)
    interrupt(small, out, LATE)
    assert contents(out) == before
    export_bundle(small, out, weights="q4")
    assert Bundle.open(out).weights_kind == "q4"


def test_an_error_after_an_interrupt_leaves_nothing(small: Checkpoint, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    interrupt(small, out, LATE)
    with pytest.raises(KleinbildError, match="spoilt"):
        export_bundle(Source(small, LATE, KleinbildError("spoilt")), out, weights="q4")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_stages_of_other_options_are_not_taken(small: Checkpoint, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    for changed in ({"block_size": 32}, {"symmetric": True}, {"shard_bytes": 1 << 20}):
        interrupt(small, out, LATE)
        source = Source(small)
        export_bundle(source, out, weights="q4", **changed)
        assert stage_reads(source) > 0, changed


def test_stages_of_a_changed_checkpoint_are_not_taken(small: Checkpoint, tmp_path: Path) -> None:
    out, path = tmp_path / "bundle", tmp_path / "checkpoint" / "text_encoder" / "model.safetensors"
    interrupt(small, out, LATE)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    source = Source(Checkpoint.open(tmp_path / "checkpoint"))
    export_bundle(source, out, weights="q4")
    assert stage_reads(source) > 0


@pytest.mark.parametrize("damage", ["cut", "touched", "gone", "record", "record of elsewhere"])
def test_damaged_stages_are_not_taken(small: Checkpoint, tmp_path: Path, damage: str) -> None:
    out, part = tmp_path / "bundle", tmp_path / "bundle.part"
    shard, record = part / "text-encoder-q4-00001.onnx_data", part / RECORDS / "text_encoder.json"
    interrupt(small, out, LATE)
    if damage == "cut":
        os.truncate(shard, 100)
    elif damage == "touched":
        os.utime(shard, ns=(0, 0))
    elif damage == "gone":
        shard.unlink()
    elif damage == "record":
        record.write_bytes(record.read_bytes()[:-9])
    else:
        record.write_text(record.read_text().replace(shard.name, "../checkpoint/model_index.json"))
    source = Source(small)
    export_bundle(source, out, weights="q4")
    assert stage_reads(source) > 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle", "checkpoint"]
    small.check()


def test_what_a_killed_run_left_is_swept(small: Checkpoint, tmp_path: Path) -> None:
    out, part = tmp_path / "bundle", tmp_path / "bundle.part"
    interrupt(small, out, LATE)
    (part / "transformer-q4-00001.onnx_data").write_bytes(b"half")
    (part / "tokenizer").mkdir()
    (part / "tokenizer" / "tokenizer.json").touch()
    (part / "elsewhere").symlink_to(tmp_path / "checkpoint")
    source = Source(small)
    export_bundle(source, out, weights="q4")
    assert stage_reads(source) == 0
    assert not (out / "elsewhere").exists()
    small.check()


def test_one_export_at_a_time(small: Checkpoint, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    with part_folder(out, lambda _: None) as part:
        (part / "half").touch()
        with pytest.raises(KleinbildError, match=r"bundle\.part: another build is writing it"):
            export_bundle(small, out, weights="q4")
        assert (part / "half").exists()
    assert not out.exists()
