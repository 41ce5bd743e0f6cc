"""Weights on their way into a graph: large ones by rows, linears transposed, read ahead within bounds."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from bundle_numpy import make_small_checkpoint

from kleinbild.canonical import EMBEDDING
from kleinbild.checkpoint.checkpoint import Checkpoint
from kleinbild.errors import KleinbildError
from kleinbild.export import conversion, export_bundle, read_ahead
from kleinbild.export.conversion import ConvertedWeights
from kleinbild.export.losses import Losses
from kleinbild.export.read_ahead import ReadAhead
from kleinbild.export.tensor_store import Blocks

Float32 = npt.NDArray[np.float32]
STAGE = "text_encoder"
HALF = np.dtype(np.float16)
LINEAR = "model.layers.0.mlp.up_proj.weight"  # [72, 40]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return Checkpoint.open(make_small_checkpoint(tmp_path_factory.mktemp("small")))


def test_a_linear_is_transposed_block_by_block(small: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "BLOCK_BYTES", 7 * 4 * 40)
    exact = small.tensor(STAGE, LINEAR)
    for dtype in (HALF, np.dtype(np.float32)):
        array = ConvertedWeights(small, STAGE, dtype, Losses()).transposed(LINEAR)
        assert array.flags["C_CONTIGUOUS"]
        np.testing.assert_array_equal(array, exact.T.astype(dtype))


def test_a_large_tensor_comes_in_rows(small: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = ConvertedWeights(small, STAGE, HALF, Losses())
    whole = weights.stored(EMBEDDING)
    assert isinstance(whole, np.ndarray)
    monkeypatch.setattr(conversion, "LARGE_BYTES", 100_000)
    monkeypatch.setattr(conversion, "BLOCK_BYTES", 100 * 4 * 40)
    blocked = weights.stored(EMBEDDING)
    assert isinstance(blocked, Blocks)
    assert (blocked.shape, blocked.nbytes) == (whole.shape, whole.nbytes)
    blocks = list(blocked.blocks)
    assert {len(block) for block in blocks} == {100, 2048 % 100}
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_a_bundle_of_blocks_is_the_same_bundle(
    small: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = export_bundle(small, tmp_path / "whole", weights="f16")
    monkeypatch.setattr(conversion, "LARGE_BYTES", 100_000)
    monkeypatch.setattr(conversion, "BLOCK_BYTES", 10_000)
    monkeypatch.setattr("kleinbild.export.tensor_store.WAITING_BYTES", 5_000)
    blocked_losses = export_bundle(small, tmp_path / "blocks", weights="f16")
    assert {group: loss.bytes for group, loss in blocked_losses.groups.items()} == {
        group: loss.bytes for group, loss in losses.groups.items()
    }
    whole, blocks = tmp_path / "whole", tmp_path / "blocks"
    for path in whole.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (blocks / path.relative_to(whole)).read_bytes(), path.name


@pytest.mark.parametrize("large_bytes", [1 << 30, 1000])
def test_what_float16_cannot_hold_is_named(
    small: Checkpoint, monkeypatch: pytest.MonkeyPatch, large_bytes: int
) -> None:
    class Grown:
        config = small.config

        def tensor(self, stage: str, name: str) -> Float32:
            return small.tensor(stage, name) * np.float32(1e5)

        def rows(self, stage: str, name: str, first: int, count: int) -> Float32:
            return small.rows(stage, name, first, count) * np.float32(1e5)

    monkeypatch.setattr(conversion, "LARGE_BYTES", large_bytes)
    weights = ConvertedWeights(Grown(), STAGE, HALF, Losses())
    with pytest.raises(KleinbildError, match=r"text_encoder: tensor 'model\.embed_tokens\.weight' holds "):
        stored = weights.stored(EMBEDDING)
        assert isinstance(stored, Blocks)
        list(stored.blocks)


class Counting:
    """A checkpoint that says which tensors were read and not yet taken."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self.config, self.name, self.notice = checkpoint.config, checkpoint.name, checkpoint.notice
        self.suggestions = checkpoint.suggestions
        self.tokenizer_folder = checkpoint.tokenizer_folder
        self.check, self.rows = checkpoint.check, checkpoint.rows
        self.stored_bytes, self.identity = checkpoint.stored_bytes, checkpoint.identity
        self.read: list[str] = []
        self.threads: set[str] = set()

    def tensor(self, stage: str, name: str) -> Float32:
        self.read.append(name)
        self.threads.add(threading.current_thread().name)
        return self._checkpoint.tensor(stage, name)


def test_tensors_are_read_once_and_ahead_within_bounds(
    small: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_ahead, "READ_AHEAD_BYTES", 30_000)
    monkeypatch.setattr(conversion, "LARGE_BYTES", 100_000)
    source, told = Counting(small), list[tuple[int, str]]()
    names = [name for name in small.expected[STAGE] if name != EMBEDDING]
    order = [*names[5:9], *reversed(names[:5]), *names[9:]]
    with ReadAhead(source, STAGE, lambda count, name: told.append((count, name))) as ahead:
        for i, name in enumerate(order):
            np.testing.assert_array_equal(ahead.tensor(STAGE, name), small.tensor(STAGE, name))
            waiting = set(source.read) - set(order[: i + 1])
            assert sum(small.tensor(STAGE, other).nbytes for other in waiting) <= 30_000
        ahead.rows(STAGE, EMBEDDING, 0, 3)
        ahead.rows(STAGE, EMBEDDING, 3, 3)
    assert sorted(source.read) == sorted(names)
    assert len(source.threads) == 2  # the reader's, and this one's for what it had not guessed
    assert [name for _, name in told] == [*order[1:], EMBEDDING, ""]
    assert sum(count for count, _ in told) == sum(small.stored_bytes(STAGE, n) for n in (*names, EMBEDDING))


def test_an_error_of_the_reader_is_the_users(small: Checkpoint) -> None:
    source, told = Counting(small), list[int]()

    def fail(stage: str, name: str) -> Float32:
        raise KleinbildError(f"{name} is damaged")

    source.tensor = fail  # type: ignore[method-assign]
    with (
        pytest.raises(KleinbildError, match=r"up_proj\.weight is damaged"),
        ReadAhead(source, STAGE, lambda count, _: told.append(count)) as ahead,
    ):
        ahead.tensor(STAGE, LINEAR)
    assert told == []
