"""Latents and captions of all training scenes, held where the model trains.

Every chunk of scenes belongs to one size of picture. Only captions are needed for distillation; then no
latents are made.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from training.data import CHUNK, Scenes
from training.files import load_state, save_state
from training.model.vae import Vae
from training.pictures import draw
from training.run import Log

# Size (width, height) of chunk n: entry n modulo their number.
SIZE_OF_CHUNK = (
    (256, 256),
    (256, 256),
    (128, 128),
    (256, 256),
    (256, 192),
    (256, 256),
    (128, 128),
    (256, 256),
    (192, 256),
    (256, 256),
)
ENCODER_BATCH = 128
SHARES = {(256, 256): 0.62, (128, 128): 0.22, (256, 192): 0.08, (192, 256): 0.08}


@dataclass(frozen=True)
class Bucket:
    """Scenes of one size: tokens [n, rows * columns, packed] bf16 (f32 on a CPU; absent: none), ids
    [n, captions, S] int16, lengths [n, captions] int16."""

    size: tuple[int, int]
    tokens: Tensor | None
    ids: Tensor
    lengths: Tensor

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tokens."""
        return self.size[1] // 16, self.size[0] // 16

    def captions(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """ids [B, S] int64 and lengths [B] int64 of one caption of each scene of `index`."""
        variant = torch.randint(self.ids.shape[1], index.shape, device=index.device)
        return self.ids[index, variant].long(), self.lengths[index, variant].long()


@torch.no_grad()
def make_buckets(
    scenes: Scenes, vae: Vae | None, device: torch.device, log: Log, seconds: float = float("inf")
) -> list[Bucket]:
    """Buckets of all scenes, or of those that can be had in `seconds`; without `vae`, captions alone.

    The seconds count from when every size has been drawn once: the first time may compile.
    """
    parts: dict[tuple[int, int], list[tuple[Tensor | None, Tensor, Tensor]]] = {size: [] for size in SHARES}
    half = device.type == "cuda"
    each = CHUNK if half or vae is None else 4  # on a CPU only tests run
    encoder = None
    if vae is not None:
        encoder = Vae(vae.sizes).on(device)
        encoder.load_state_dict(vae.state_dict())
        encoder.eval()
    count = cut = 0
    start = log_start = time.monotonic()
    end = float("inf")
    for number, chunk in enumerate(scenes):
        size = SIZE_OF_CHUNK[number % len(SIZE_OF_CHUNK)]
        tokens = None
        if encoder is not None:
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                encoded = [
                    encoder.encode_tokens(draw(packed, size, device))
                    for packed in torch.split(torch.as_tensor(chunk.packed[:each]), ENCODER_BATCH)
                ]
            tokens = torch.cat(encoded).to(torch.bfloat16 if half else torch.float32)
        parts[size].append((tokens, torch.as_tensor(chunk.ids[:each]), torch.as_tensor(chunk.lengths[:each])))
        count += len(chunk.ids)
        cut += chunk.cut
        if time.monotonic() - log_start > 10:
            log_start = time.monotonic()
            log.line(f"latents: {count:,} scenes, {count / (time.monotonic() - start):,.0f} a second")
        now = time.monotonic()
        if all(parts.values()):
            end = min(end, now + seconds)
        if now > end:
            break
    log.line(f"latents: {count:,} scenes in {time.monotonic() - start:.0f} s; {cut} captions too long")
    return [
        Bucket(
            size,
            None if found[0][0] is None else torch.cat([t for t, _, _ in found if t is not None]),
            torch.cat([ids for _, ids, _ in found]).to(device),
            torch.cat([lengths for _, _, lengths in found]).to(device),
        )
        for size, found in parts.items()
        if found
    ]


def shares(buckets: list[Bucket]) -> list[float]:
    """How often each bucket is to be drawn."""
    return [SHARES[bucket.size] for bucket in buckets]


def save_buckets(path: Path, buckets: list[Bucket]) -> None:
    """Keeps buckets with latents in a file (some 10 GB)."""
    found = [{"size": b.size, "tokens": b.tokens, "ids": b.ids, "lengths": b.lengths} for b in buckets]
    save_state(path, {"buckets": found})


def load_buckets(path: Path, device: torch.device) -> list[Bucket]:
    """What `save_buckets` kept."""
    return [Bucket(**values) for values in load_state(path, device)["buckets"]]
