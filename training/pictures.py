"""Packed scenes -> pictures as the model sees them, and pictures -> one sheet to look at."""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.files import write_bytes
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
    return torch.cat([draw(part, size, device) for part in packed.split(64)])


def to_bytes(pictures: Tensor) -> np.ndarray:
    """[B, 3, H, W] in about [-1, 1] -> uint8 [B, H, W, 3], rounded as the page rounds."""
    scaled = ((pictures.float() * 0.5 + 0.5).clamp(0, 1) * 255).round()
    found: np.ndarray = scaled.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return found


def write_sheet(path: Path, pictures: Tensor, columns: int = 0) -> None:
    """Writes pictures of one size side by side as a PNG, with lines of one grey pixel between them."""
    tiles = to_bytes(pictures)
    columns = columns or math.ceil(len(tiles) ** 0.5)
    rows = math.ceil(len(tiles) / columns)
    height, width = tiles.shape[1] + 1, tiles.shape[2] + 1
    sheet = np.full((rows * height, columns * width, 3), 128, np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet[row * height : (row + 1) * height - 1, column * width : (column + 1) * width - 1] = tile
    write_bytes(path, png(sheet))


def png(pixels: np.ndarray) -> bytes:
    """uint8 [H, W, 3] -> a PNG file; every line is stored as its difference from the line above."""
    height, width, _ = pixels.shape
    lines = pixels.reshape(height, -1)
    lines = np.concatenate([lines[:1], lines[1:] - lines[:-1]])  # bytes wrap, as the format has it
    data = np.concatenate([np.full((height, 1), 2, np.uint8), lines], 1).tobytes()

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data, 6)) + chunk(b"IEND", b"")
