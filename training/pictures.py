"""Packed scenes -> pictures as the model sees them, and pictures of the model -> bytes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.scenes.pack import pack
from training.scenes.render import render
from training.scenes.sampling import sample


def draw(packed: Tensor | np.ndarray, size: tuple[int, int], device: torch.device) -> Tensor:
    """Packed scenes -> [B, 3, height, width] f32 in [-1, 1], channels last; `size` is (width, height)."""
    width, height = size
    packed = torch.as_tensor(packed)
    used = int((packed[..., 0] != 0).sum(1).max()) if len(packed) else 0
    on_device = packed[:, : max(used, 1)].to(device, non_blocking=True)
    return (render(on_device, height, width) * 2 - 1).contiguous(memory_format=torch.channels_last)


def held_out_pictures(count: int, size: tuple[int, int], device: torch.device) -> Tensor:
    """The first held-out scenes."""
    packed = torch.as_tensor(pack([sample("held_out", seed) for seed in range(count)]))
    return torch.cat([draw(part, size, device) for part in torch.split(packed, 64)])


def to_bytes(pictures: Tensor) -> np.ndarray:
    """[B, 3, H, W] in about [-1, 1] -> uint8 [B, H, W, 3], rounded as the page rounds."""
    scaled = ((pictures.float() * 0.5 + 0.5).clamp(0, 1) * 255).round()
    found: np.ndarray = scaled.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return found
