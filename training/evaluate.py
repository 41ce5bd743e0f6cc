"""Stage 7: figures on held-out prompts: `python -m training.evaluate --checkpoint DIR --out FILE`.

Every picture is judged by training/judge, which knows no model. The same pictures judged by other prompts'
scenes tell what chance gives; pictures of one prompt and many seeds tell how much they differ.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from training.config import MODELS
from training.contact_sheet import contact_sheet
from training.files import write_json
from training.model.text_encoder import TextEncoder
from training.model.transformer import Transformer
from training.model.vae import Vae
from training.pictures import to_bytes
from training.prompts import Prompts
from training.sampler import generate
from training.scenes import EVALUATION, Scene, describe, sample
from training.scores import score
from training.stored import read_checkpoint, take_bundle
from training.vae import held_out_psnr

Generate = Callable[[list[str], list[int], tuple[int, int]], Tensor]
FIRST_SEED = 10_000  # of the judged scenes, apart from those of the sheets
DIVERSITY_PROMPTS, DIVERSITY_SEEDS = 8, 8
SIZES = ((256, 256), (128, 128))


def test_set(count: int, first: int = FIRST_SEED) -> tuple[list[Scene], list[str]]:
    """Held-out scenes that can be judged, and their captions."""
    seeds = range(first, first + count)
    scenes = [sample("held_out", seed, EVALUATION) for seed in seeds]
    return scenes, [describe(scene, seed) for scene, seed in zip(scenes, seeds, strict=True)]


def evaluate(draw: Generate, count: int) -> dict[str, object]:
    """Shares of right answers by size, by chance, and the diversity over seeds."""
    scenes, texts = test_set(count)
    found: dict[str, object] = {}
    for size in SIZES:
        pictures = to_bytes(draw(texts, list(range(count)), size))
        name = f"{size[0]}x{size[1]}"
        found[name] = score(list(pictures), scenes)
        if size == SIZES[0]:
            found["shuffled"] = score(list(pictures), scenes[1:] + scenes[:1])
    found["diversity"] = diversity(draw, texts[:DIVERSITY_PROMPTS])
    return found


def diversity(draw: Generate, texts: list[str]) -> float:
    """Root mean square difference of pictures of one prompt and two seeds, in levels of 255."""
    many = [text for text in texts for _ in range(DIVERSITY_SEEDS)]
    pictures = torch.as_tensor(to_bytes(draw(many, list(range(len(many))), SIZES[1]))).float()
    groups = torch.unflatten(pictures, 0, (len(texts), DIVERSITY_SEEDS)).flatten(2)
    squares = ((groups[:, :, None] - groups[:, None]) ** 2).mean(-1)
    pairs = DIVERSITY_SEEDS * (DIVERSITY_SEEDS - 1)
    return float((squares.sum((1, 2)) / pairs).mean().sqrt())


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True, help="e.g. models/mini")
    parser.add_argument("--bundle", type=Path, help="one exported from it, whose weights to take instead")
    parser.add_argument("--out", type=Path, required=True, help="JSON file; a sheet is written beside it")
    parser.add_argument("--model", choices=MODELS, default="mini")
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    sizes, device = MODELS[arguments.model], torch.device(arguments.device)
    torch.backends.cudnn.allow_tf32 = False  # in float32 throughout
    parts = read_checkpoint(sizes, arguments.checkpoint)
    if arguments.bundle is not None:
        take_bundle(parts, arguments.bundle)
    parts = {name: part.to(device) for name, part in parts.items()}
    text_encoder, transformer, vae = parts["text_encoder"], parts["transformer"], parts["vae"]
    assert isinstance(text_encoder, TextEncoder)
    assert isinstance(transformer, Transformer)
    assert isinstance(vae, Vae)
    prompts = Prompts(arguments.checkpoint / "tokenizer", sizes.text_seq_len)

    def draw(texts: list[str], seeds: list[int], size: tuple[int, int]) -> Tensor:
        return generate(text_encoder, transformer, vae, prompts, texts, seeds=seeds, size=size, device=device)

    found = evaluate(draw, arguments.prompts) | {"vae_psnr": held_out_psnr(vae, device, 64)}
    write_json(arguments.out, found)
    texts = test_set(64)[1]
    pictures = to_bytes(draw(texts, list(range(64)), SIZES[0]))
    contact_sheet(list(pictures), texts, arguments.out.with_suffix(".png"))
    print(found)


if __name__ == "__main__":
    main()
