"""`python -m training.scenes --sheet out.png`: a sheet of rendered scenes with their captions."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from training.contact_sheet import contact_sheet
from training.scenes import EVALUATION, TRAINING, describe, pack, sample
from training.scenes.render import render, to_bytes


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.scenes", description=__doc__)
    parser.add_argument("--sheet", type=Path, required=True, help="PNG to write")
    parser.add_argument("--split", choices=("train", "held_out"), default="train")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--number", type=int, default=64)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--height", type=int, default=192)
    parser.add_argument(
        "--evaluation", action="store_true", help="the mix of kinds that a model is judged by"
    )
    arguments = parser.parse_args()
    mix = EVALUATION if arguments.evaluation else TRAINING
    seeds = range(arguments.first, arguments.first + arguments.number)
    scenes = [sample(arguments.split, seed, mix) for seed in seeds]
    captions = [describe(scene, seed) for scene, seed in zip(scenes, seeds, strict=True)]
    pictures = to_bytes(render(torch.from_numpy(pack(scenes)), arguments.height, arguments.width))
    contact_sheet(list(pictures.permute(0, 2, 3, 1).numpy()), captions, arguments.sheet)


if __name__ == "__main__":
    main()
