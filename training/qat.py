"""Stage 5: makes the distilled model indifferent to 4-bit weights: `python -m training.qat --run DIR`.

Quantisation-aware training with the straight-through estimator (Bengio et al. 2013, arXiv 1308.3432): the
student computes with its weights as an export in 4 bits stores them, and their gradients go to the weights as
they are. It learns the velocities of the distilled model, in states that it runs into itself, so no picture
and no guidance is needed, captions are enough. A share of the batches is computed with the weights as they
are, which ship too. The text encoder stays as it is; the student hears it in 4 bits.
"""

from __future__ import annotations

import copy
import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kleinbild.quantise import quantise
from training.config import Sizes
from training.data import Scenes
from training.flow import batch_of, load_models, tables
from training.latents import Bucket, make_buckets, shares
from training.model.schedule import sigmas
from training.model.text_encoder import TextEncoder
from training.model.transformer import Transformer
from training.optimiser import BLOCKS
from training.run import Budget, Log, autocast, parser, prepare, sizes_of
from training.student import Student

STEPS = 4
BLOCK_SIZE = 32
MUON_RATE = 0.0002
ADAM_RATE = 5e-5
AVERAGE_DECAY = 0.99
BATCH = 256  # pictures of 256x256
PLAIN_SHARE = 0.25  # of the batches that compute with the weights as they are
GRID_STEPS = 10  # of training, after which the grids are searched again
SAVE_SECONDS = 150.0


class FourBit:
    """The matrices of a part that an export stores in 4 bits: those inside its blocks."""

    def __init__(self, part: nn.Module, block_size: int) -> None:
        self.block_size = block_size
        self.weights = {
            name: parameter
            for name, parameter in part.named_parameters()
            if parameter.ndim == 2 and any(block in name for block in BLOCKS)
        }
        self.grids: dict[str, tuple[Tensor, Tensor]] = {}
        self.search()

    def search(self) -> None:
        """Finds the grid of every block as the exporter does: scale and zero point [rows, blocks, 1]."""
        for name, weight in self.weights.items():
            stored = quantise(weight.detach().float().cpu().numpy(), self.block_size, symmetric=False)
            assert stored.zero_points is not None
            blocks = stored.scales.shape[1]
            packed = stored.zero_points
            zeros = np.stack([packed & 15, packed >> 4], -1).reshape(len(packed), -1)[:, :blocks]
            scale, zero = (
                torch.as_tensor(values.astype(np.float32)).to(weight.device)[..., None]
                for values in (stored.scales, zeros)
            )
            self.grids[name] = scale, zero

    @torch.no_grad()
    def rounded(self) -> dict[str, Tensor]:
        """The weights as stored in the grids last found, leaves that collect gradients."""
        return {name: self._round(weight, *self.grids[name]) for name, weight in self.weights.items()}

    def _round(self, weight: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
        rows, columns = weight.shape
        blocks = F.pad(weight, (0, -columns % self.block_size)).view(rows, -1, self.block_size)
        steps = torch.round(blocks / scale.clamp_min(torch.finfo(torch.float32).tiny))
        steps = torch.minimum(torch.maximum(steps, -zero), 15 - zero)
        return (steps * scale).view(rows, -1)[:, :columns].contiguous().requires_grad_()

    def pass_gradients(self, rounded: dict[str, Tensor]) -> None:
        """Adds the gradients of `rounded` to those of the weights: the straight-through estimator."""
        for name, weight in self.weights.items():
            found = rounded[name].grad
            assert found is not None, name
            weight.grad = found if weight.grad is None else weight.grad + found


class Tuning:
    """The distilled model, its student, and their text encoders."""

    def __init__(
        self,
        sizes: Sizes,
        parts: tuple[TextEncoder, Transformer],
        student: Transformer,
        buckets: list[Bucket],
        *,
        device: torch.device,
        batch: int,
    ) -> None:
        self.sizes, self.buckets, self.device, self.batch = sizes, buckets, device, batch
        self.text_encoder, self.teacher = parts
        self.student = student
        self.rotary = tables(self.student, buckets, sizes.text_seq_len, device)
        self.hearing = copy.deepcopy(self.text_encoder)
        self.hearing.load_state_dict(FourBit(self.hearing, BLOCK_SIZE).rounded(), strict=False)
        self.hearing.requires_grad_(False)

    def learn(self, number: int, four_bit: FourBit | None) -> Tensor:
        """One batch of bucket `number`: gradients of all four steps' mean squared error, which is returned.

        `four_bit`: of the student, or None to compute with its weights as they are.
        """
        bucket = self.buckets[number]
        rows, columns = bucket.grid
        count = batch_of(bucket, self.batch, self.sizes.text_seq_len)
        captions = bucket.captions(torch.randint(len(bucket.ids), (count,), device=self.device))
        x = torch.randn(count, rows * columns, self.sizes.transformer.in_channels, device=self.device)
        grid = sigmas(rows * columns, STEPS)
        weights = {} if four_bit is None else four_bit.rounded()
        total = x.new_zeros(())
        with autocast(self.device), torch.no_grad():
            told = self.text_encoder(*captions)
            heard = told if four_bit is None else self.hearing(*captions)
        for step in range(STEPS):
            sigma = x.new_full((count,), grid[step])
            with autocast(self.device):
                with torch.no_grad():
                    wanted = self.teacher(x, told, sigma, self.rotary[number]).float()
                given = (x, heard, sigma, self.rotary[number])
                velocity = torch.func.functional_call(self.student, weights, given).float()
            loss = ((velocity - wanted) ** 2).mean()
            loss.backward()
            total = total + loss.detach()
            x = x + (grid[step + 1] - grid[step]) * velocity.detach()
        if four_bit is not None:
            four_bit.pass_gradients(weights)
        return total / STEPS


def train_qat(
    sizes: Sizes,
    parts: tuple[TextEncoder, Transformer],
    buckets: list[Bucket],
    *,
    run: Path,
    device: torch.device,
    budget: Budget,
    log: Log,
    batch: int = 0,
    seed: int = 0,
) -> Transformer:
    """Tunes the distilled `parts`, or goes on, and leaves qat.pt in `run`; returns the averaged student."""
    for part in parts:
        part.requires_grad_(False)
    student = Student(
        "qat",
        run,
        sizes,
        parts[1],
        budget,
        device=device,
        compiled=False,  # with other weights at every call it would take longer than the training
        rates=(MUON_RATE, ADAM_RATE),
        decay=AVERAGE_DECAY,
    )
    budget = student.budget
    work = Tuning(sizes, parts, student.transformer, buckets, device=device, batch=batch or BATCH)
    four_bit = FourBit(student.transformer, BLOCK_SIZE)
    choices = random.Random(seed + budget.step)
    torch.manual_seed(seed + 3 + budget.step)
    weights = shares(buckets)
    samples = 0
    log.restart_rate()
    while budget.fraction() < 1:
        if budget.step % GRID_STEPS == 0:
            four_bit.search()
        number = choices.choices(range(len(buckets)), weights)[0]
        plain = choices.random() < PLAIN_SHARE
        loss = work.learn(number, None if plain else four_bit)
        student.step()
        samples += batch_of(buckets[number], work.batch, sizes.text_seq_len)
        if log.due() and not plain:
            log.progress("qat", budget, samples, {"loss": loss})
        student.save_now_and_then(SAVE_SECONDS)
    log.line(f"qat: {budget.step} steps, {samples:,} pictures")
    return student.finish(parts[0])


def main() -> None:
    """The command."""
    arguments = parser(__doc__.splitlines()[0], 2.0).parse_args()
    device, sizes = prepare(arguments.device, arguments.seed), sizes_of(arguments.model)
    log = Log(arguments.run / "log.txt")
    scenes = Scenes(arguments.run / "tokenizer", sizes.text_seq_len, arguments.scenes, arguments.workers)
    buckets = make_buckets(scenes, None, device, log)
    scenes.close()
    train_qat(
        sizes,
        load_models(sizes, arguments.run / "distil.pt", device, compiled=False),
        buckets,
        run=arguments.run,
        device=device,
        budget=Budget(arguments.minutes, arguments.steps),
        log=log,
        batch=arguments.batch,
        seed=arguments.seed,
    )


if __name__ == "__main__":
    main()
