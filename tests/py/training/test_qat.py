"""Quantisation-aware training: rounds as the exporter does, passes gradients straight through, and gains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from few_scenes import FewScenes
from torch import Tensor, nn

from kleinbild.quantise import quantise
from kleinbild.weights import dequantise
from training.config import SMOKE
from training.files import load_state, save_state
from training.flow import load_models, new_models
from training.latents import Bucket, make_buckets
from training.model.text_encoder import TextEncoder
from training.model.transformer import Transformer
from training.qat import BLOCK_SIZE, FourBit, Tuning, train_qat
from training.run import Budget, Log
from training.tokenizer import write_tokenizer

CPU = torch.device("cpu")
Parts = tuple[TextEncoder, Transformer]


class OneBlock(nn.Module):
    """A part with one matrix inside a block and one outside."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.transformer_blocks = nn.Sequential(nn.Linear(columns, rows))
        self.proj_out = nn.Linear(rows, 3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.proj_out(self.transformer_blocks(x))
        return found


@pytest.fixture(scope="module")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> list[Bucket]:
    folder = tmp_path_factory.mktemp("captions")
    write_tokenizer(SMOKE.text_encoder, folder / "tokenizer", captions=300)
    with pytest.MonkeyPatch.context() as monkeypatch:
        scenes = FewScenes(folder / "tokenizer", SMOKE.text_seq_len, 3, monkeypatch)
    return make_buckets(scenes, None, CPU, Log(None))


@pytest.fixture(scope="module")
def distilled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose gates are open: at zero, as they start, no weight inside a block would matter."""
    torch.manual_seed(11)
    parts = new_models(SMOKE, CPU, compiled=False)
    with torch.no_grad():
        for parameter in parts[1].parameters():
            if parameter.ndim == 2:
                parameter.add_(torch.randn_like(parameter), alpha=parameter.shape[1] ** -0.5)
    file = tmp_path_factory.mktemp("run") / "distil.pt"
    save_state(file, {"ema": {"text_encoder": parts[0].state_dict(), "transformer": parts[1].state_dict()}})
    return file


def train(file: Path, buckets: list[Bucket], folder: Path, steps: int, seed: int = 0) -> dict[str, Tensor]:
    """The transformer that qat.pt holds after `steps`."""
    parts = load_models(SMOKE, file, CPU, compiled=False)
    budget, log = Budget(0, steps), Log(None)
    train_qat(
        SMOKE,
        parts,
        buckets,
        run=folder,
        device=CPU,
        budget=budget,
        log=log,
        batch=2,
        seed=seed,
    )
    found = load_state(folder / "qat.pt")["ema"]
    for name, tensor in load_state(file)["ema"]["text_encoder"].items():
        assert torch.equal(tensor, found["text_encoder"][name]), name
    transformer: dict[str, Tensor] = found["transformer"]
    return transformer


def four_bit_loss(parts: Parts, student: dict[str, Tensor], buckets: list[Bucket]) -> float:
    """How far the student in 4 bits is from the distilled model, over batches that are always the same."""
    copied = Transformer(SMOKE.transformer)
    copied.load_state_dict(student)
    torch.manual_seed(21)
    work = Tuning(SMOKE, parts, copied, buckets, device=CPU, batch=8)
    four_bit = FourBit(work.student, BLOCK_SIZE)
    return float(sum(work.learn(number % len(buckets), four_bit) for number in range(4)))


@pytest.mark.parametrize("columns", [64, 40, 7])
def test_rounds_what_an_export_stores_and_nothing_else(columns: int) -> None:
    part = OneBlock(5, columns)
    four_bit = FourBit(part, 32)
    found = four_bit.rounded()
    assert list(found) == ["transformer_blocks.0.weight"]
    weight = part.get_parameter("transformer_blocks.0.weight").detach().numpy()
    np.testing.assert_array_equal(
        found["transformer_blocks.0.weight"].detach().numpy(), dequantise(quantise(weight, 32, False))
    )


def test_gradients_at_the_rounded_weights_go_to_the_weights() -> None:
    part = OneBlock(6, 48)
    four_bit = FourBit(part, 16)
    rounded = four_bit.rounded()
    x = torch.randn(9, 48)
    torch.func.functional_call(part, rounded, (x,)).square().sum().backward()
    four_bit.pass_gradients(rounded)
    with torch.no_grad():
        other = OneBlock(6, 48)
        other.load_state_dict(part.state_dict() | rounded)
    other(x).square().sum().backward()
    for name, parameter in part.named_parameters():
        torch.testing.assert_close(parameter.grad, dict(other.named_parameters())[name].grad)


def test_four_bits_cost_less_after_it(distilled: Path, buckets: list[Bucket], tmp_path: Path) -> None:
    parts = load_models(SMOKE, distilled, CPU, compiled=False)
    for part in parts:
        part.requires_grad_(False)
    before = four_bit_loss(parts, parts[1].state_dict(), buckets)
    after = four_bit_loss(parts, train(distilled, buckets, tmp_path, 60), buckets)
    assert after < 0.9 * before


def test_gives_the_same_again_and_goes_on_where_it_stopped(
    distilled: Path, buckets: list[Bucket], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once, again, other = (
        train(distilled, buckets, tmp_path / name, 3, seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert all(torch.equal(once[name], again[name]) for name in once)
    assert not all(torch.equal(once[name], other[name]) for name in once)
    monkeypatch.setattr("training.qat.SAVE_SECONDS", 0.0)
    monkeypatch.setattr("training.student.save_state", stopping_at(tmp_path / "d" / "qat.pt"))
    with pytest.raises(KeyboardInterrupt):
        train(distilled, buckets, tmp_path / "d", 2)
    assert load_state(tmp_path / "d" / "qat_state.pt")["step"] == 2
    monkeypatch.undo()
    train(distilled, buckets, tmp_path / "d", 3)
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == ["qat.pt"]


def stopping_at(file: Path) -> Callable[[Path, dict[str, object]], None]:
    """A save_state that is interrupted before it writes `file`."""

    def save(path: Path, state: dict[str, object]) -> None:
        if path == file:
            raise KeyboardInterrupt
        save_state(path, state)

    return save
