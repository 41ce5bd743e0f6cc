"""The project's own small model: the same bytes everywhere, and the very weights of the golden pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from kleinbild.checkpoint import tiny
from kleinbild.checkpoint.checkpoint import Checkpoint
from kleinbild.checkpoint.random_weights import fnv1a64, uniform
from kleinbild.checkpoint.tiny import TINY_FOLDER, write_tiny_checkpoint
from kleinbild.errors import KleinbildError

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "tiny-hd32"
WEIGHTS = (
    "text_encoder/model.safetensors",
    "transformer/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
)


def test_it_is_a_whole_checkpoint_with_the_golden_weights(tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path / "tiny")
    checkpoint = Checkpoint.open(tmp_path / "tiny")
    checkpoint.check()
    assert checkpoint.name == "Tiny"
    assert checkpoint.config == Checkpoint.open(GOLDEN).config
    for path in WEIGHTS:
        assert (tmp_path / "tiny" / path).read_bytes() == (GOLDEN / path).read_bytes(), path
    assert (TINY_FOLDER / "tokenizer/tokenizer.json").read_bytes() == (
        GOLDEN / "tokenizer/tokenizer.json"
    ).read_bytes()


def test_writing_again_changes_nothing(tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path)
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    write_tiny_checkpoint(tmp_path)
    after = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    assert after == before


def test_the_card_says_what_it_is() -> None:
    card = (TINY_FOLDER / "README.md").read_text()
    assert "Its weights are random." in card
    assert "Qwen3's (Qwen team, Alibaba Cloud; Apache-2.0)" in card


def test_without_its_config_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny, "TINY_FOLDER", tmp_path / "gone")
    with pytest.raises(KleinbildError, match="use a whole source tree"):
        write_tiny_checkpoint(tmp_path / "out")


def test_the_generator() -> None:
    assert fnv1a64("") == 0xCBF29CE484222325
    assert fnv1a64("a") == 0xAF63DC4C8601EC8C  # published FNV-1a test value
    values = uniform("a", 100_000)
    assert values.min() >= -1
    assert values.max() < 1
    assert abs(float(values.mean())) < 0.01
    assert uniform("a", 3).tolist() == values[:3].tolist()
    assert uniform("b", 3).tolist() != values[:3].tolist()
