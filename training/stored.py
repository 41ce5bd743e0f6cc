"""Trained parts read back from what ships: a checkpoint in diffusers layout, or a bundle exported from one.

What is measured with these are the shipped weights, rounded as stored, in float32 arithmetic. The checkpoint
gives all tensors; a bundle has no VAE encoder, and its 4-bit weights are dequantised.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from kleinbild.bundle import Bundle
from kleinbild.checkpoint.checkpoint import STORED_NAMES
from kleinbild.checkpoint.safetensors import SafetensorsFile
from kleinbild.weights import Q4, dequantise
from training.checkpoint import PART_FILES, new_parts
from training.config import Sizes

STAGES = {"text_encoder": "text_encoder", "transformer": "transformer", "vae": "vae_decoder"}


def read_checkpoint(sizes: Sizes, folder: Path) -> dict[str, nn.Module]:
    """Part name -> module of the checkpoint `folder`, f32, for evaluation."""
    parts = new_parts(sizes)
    for part, file in PART_FILES.items():
        stored = SafetensorsFile.open(folder / file)
        state = parts[part].state_dict()
        for name, tensor in state.items():
            if tensor.is_floating_point():
                state[name] = torch.as_tensor(stored.read(name))
        parts[part].load_state_dict(state)
        parts[part].eval().requires_grad_(False)
    return parts


def take_bundle(parts: dict[str, nn.Module], folder: Path) -> None:
    """Replaces the weights of `parts` by those that the bundle `folder` stores."""
    bundle = Bundle.open(folder)
    for part, stage in STAGES.items():
        state = parts[part].state_dict()
        for name in bundle.expected[stage]:
            weight = bundle.tensor(stage, name)
            values = dequantise(weight) if isinstance(weight, Q4) else weight.array.astype(np.float32)
            if name == "bn.scale":
                values = values**2 - np.float32(bundle.config.vae_decoder.batch_norm_eps)
            stored_name = STORED_NAMES.get(name, name)
            assert state[stored_name].shape == values.shape, name
            state[stored_name] = torch.as_tensor(values)
        parts[part].load_state_dict(state)
