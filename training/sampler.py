"""From prompts to pictures with the scheduler's own steps: the loop of the page, in torch and in batches."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from training.model.schedule import shift_mu, shifted, sigmas
from training.model.text_encoder import TextEncoder
from training.model.transformer import Table, Transformer
from training.model.vae import Vae
from training.prompts import Prompts


class Velocity:
    """The velocity of one text and size as a function of tokens and sigma; guidance makes it two passes.

    embeds [B, S, joint]; `empty` are the embeddings of the empty prompt [1, S, joint], needed when guidance
    is not 1.
    """

    def __init__(
        self,
        transformer: Transformer,
        embeds: Tensor,
        table: Table,
        guidance: float = 1.0,
        empty: Tensor | None = None,
    ) -> None:
        self.transformer, self.table, self.guidance = transformer, table, guidance
        self.guided = guidance != 1.0 and empty is not None
        self.embeds = (
            torch.cat([embeds, empty.expand_as(embeds)]) if self.guided and empty is not None else embeds
        )

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """x [B, N, C] f32, sigma [B] -> f32."""
        if not self.guided:
            return self.transformer(x, self.embeds, sigma, self.table).float()  # type: ignore[no-any-return]
        both = self.transformer(torch.cat([x, x]), self.embeds, torch.cat([sigma, sigma]), self.table).float()
        told, free = both.chunk(2)
        return free + self.guidance * (told - free)  # type: ignore[no-any-return]


def fine_sigmas(tokens: int, per_step: int, steps: int = 4) -> list[float]:
    """A grid with `per_step` parts in each of the scheduler's `steps`, through whose ends it passes."""
    times = np.linspace(1.0, 0.0, steps * per_step + 1)
    fine = [float(s) for s in shifted(np.maximum(times, 1e-9), shift_mu(tokens, steps))]
    for place, sigma in enumerate(sigmas(tokens, steps)):
        fine[place * per_step] = sigma
    return fine


@torch.no_grad()
def midpoint(velocity: Velocity, x: Tensor, grid: Sequence[float]) -> Tensor:
    """Integrates from the grid's first sigma to its last by the midpoint rule, f32."""
    for now, then in pairwise(grid):
        half = (now + then) / 2
        middle = x + (half - now) * velocity(x, x.new_full((len(x),), now))
        x = x + (then - now) * velocity(middle, x.new_full((len(x),), half))
    return x


@torch.no_grad()
def euler(velocity: Velocity, x: Tensor, grid: Sequence[float]) -> Tensor:
    """The scheduler's steps along `grid`, f32."""
    for now, then in pairwise(grid):
        x = x + (then - now) * velocity(x, x.new_full((len(x),), now))
    return x


def noise_of(seeds: Sequence[int], packed: int, rows: int, columns: int) -> Tensor:
    """The pipeline's noise [B, rows * columns, packed] of each seed, f32, on the CPU."""
    found = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        found.append(torch.randn((packed, rows * columns), generator=generator).T)
    return torch.stack(found)


@torch.no_grad()
def generate(
    text_encoder: TextEncoder,
    transformer: Transformer,
    vae: Vae,
    prompts: Prompts,
    texts: Sequence[str],
    *,
    seeds: Sequence[int],
    size: tuple[int, int],
    device: torch.device,
    guidance: float = 1.0,
    per_step: int = 0,
    batch: int = 64,
) -> Tensor:
    """Pictures [B, 3, height, width] in about [-1, 1]: 4 steps as the page takes them, or `per_step` midpoint
    steps in each of them with guidance. `size` is (width, height)."""
    rows, columns = size[1] // 16, size[0] // 16
    table = tuple(t.to(device) for t in transformer.table(prompts.text_seq_len, rows, columns))
    grid = fine_sigmas(rows * columns, per_step) if per_step else sigmas(rows * columns, 4)
    empty = encode(text_encoder, prompts, [""], device)
    pictures = []
    for start in range(0, len(texts), batch):
        part = slice(start, start + batch)
        embeds = encode(text_encoder, prompts, texts[part], device)
        x = noise_of(seeds[part], transformer.sizes.in_channels, rows, columns).to(device)
        velocity = Velocity(transformer, embeds, (table[0], table[1]), guidance, empty)
        x = midpoint(velocity, x, grid) if per_step else euler(velocity, x, grid)
        pictures.append(vae.decode_tokens(x, rows, columns).float().cpu())
    return torch.cat(pictures)


def encode(text_encoder: TextEncoder, prompts: Prompts, texts: Sequence[str], device: torch.device) -> Tensor:
    """Prompt embeddings [B, S, joint]."""
    ids, lengths, _ = prompts.encode(texts)
    return text_encoder(  # type: ignore[no-any-return]
        torch.as_tensor(ids).to(device).long(), torch.as_tensor(lengths).to(device).long()
    )
