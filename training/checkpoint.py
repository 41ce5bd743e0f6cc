"""Stage 6: trained weights -> a bf16 checkpoint: `python -m training.checkpoint --run DIR --out DIR`.

Its layout is diffusers'. The same weights give the same bytes. The text encoder's untapped last layer is
written as zeros: it passes its input on, and transformers finds every tensor that the config promises.
Without it transformers would norm the last tap, and give other prompt embeddings than those of the training.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from kleinbild.checkpoint.safetensors_writer import write_safetensors
from kleinbild.checkpoint.stored import BATCH_COUNT
from training.config import MODELS, Sizes, config_files
from training.files import load_state, write_json
from training.model.text_encoder import TextEncoder
from training.model.transformer import Transformer
from training.model.vae import Vae

MAX_BYTES = 12_000_000
FINAL_FIRST = ("qat.pt", "distil.pt", "flow.pt")
PART_FILES = {
    "text_encoder": "text_encoder/model.safetensors",
    "transformer": "transformer/diffusion_pytorch_model.safetensors",
    "vae": "vae/diffusion_pytorch_model.safetensors",
}


def new_parts(sizes: Sizes) -> dict[str, nn.Module]:
    """Untrained modules by the name of their folder in a checkpoint."""
    return {
        "text_encoder": TextEncoder(sizes.text_encoder, sizes.text_seq_len),
        "transformer": Transformer(sizes.transformer),
        "vae": Vae(sizes.vae),
    }


def load_parts(sizes: Sizes, run: Path) -> dict[str, nn.Module]:
    """The parts as the folder of a run holds them, each from the last stage that trained it."""
    parts = new_parts(sizes)
    parts["vae"].load_state_dict(load_state(run / "vae.pt")["model"])
    for part, state in final_state(run, "cpu").items():
        parts[part].load_state_dict(state)
    return parts


def final_state(run: Path, device: torch.device | str) -> dict[str, dict[str, Tensor]]:
    """State dicts of text encoder and transformer of the last stage whose result lies in `run`.

    Raises FileNotFoundError when there is none.
    """
    for name in FINAL_FIRST:
        if (run / name).exists():
            found: dict[str, dict[str, Tensor]] = load_state(run / name, device)["ema"]
            return found
    raise FileNotFoundError(f"{run} holds none of {', '.join(FINAL_FIRST)}: train a stage first")


def write_checkpoint(sizes: Sizes, parts: dict[str, nn.Module], tokenizer: Path, out: Path) -> int:
    """Writes the checkpoint of `parts` to the folder `out`; returns its bytes.

    `tokenizer` is the folder of training/tokenizer.py.
    """
    for name, value in config_files(sizes).items():
        write_json(out / name, value)
    for part, file in PART_FILES.items():
        tensors = dict(_tensors(parts[part]))
        if part == "text_encoder":
            tensors |= _idle_layer(tensors, sizes.text_encoder.num_layers)
            tensors["model.norm.weight"] = torch.ones(sizes.text_encoder.hidden_size)
        stored = {name: ("BF16", _array(tensor)) for name, tensor in sorted(tensors.items())}
        if part == "vae":
            stored[BATCH_COUNT] = ("I64", np.zeros((), np.int64))
        write_safetensors(out / file, stored)
    if tokenizer.resolve() != (out / "tokenizer").resolve():
        shutil.copytree(tokenizer, out / "tokenizer", dirs_exist_ok=True)
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file())


def parameter_table(parts: dict[str, nn.Module]) -> str:
    """Parameters of every part and its children, a line each."""
    lines = []
    for part, module in parts.items():
        lines.append(f"{part:<14} {sum(p.numel() for p in module.parameters()):>9,}")
        whole = module.model if isinstance(module, TextEncoder) else module
        for name, child in whole.named_children():
            lines.append(f"  {name:<30} {sum(p.numel() for p in child.parameters()):>9,}")
    return "\n".join(lines)


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            yield name, tensor


def _idle_layer(tensors: dict[str, Tensor], number: int) -> dict[str, Tensor]:
    first = "model.layers.0."
    return {
        f"model.layers.{number}.{name.removeprefix(first)}": torch.zeros_like(tensor)
        for name, tensor in tensors.items()
        if name.startswith(first)
    }


def _array(tensor: Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().float().cpu().numpy()
    return array


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of the trained stages")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--model", choices=MODELS, default="mini")
    arguments = parser.parse_args()
    sizes = MODELS[arguments.model]
    parts = load_parts(sizes, arguments.run)
    print(parameter_table(parts))
    size = write_checkpoint(sizes, parts, arguments.run / "tokenizer", arguments.out)
    print(f"{arguments.out}: {size:,} bytes")
    if size > MAX_BYTES:
        raise SystemExit(f"more than {MAX_BYTES:,} bytes")


if __name__ == "__main__":
    main()
