"""Synthetic captioned scenes: sampled, described, packed and drawn, all deterministic by seed.

What draws, render.py, is not imported here, so that worker processes and the judge start without torch.
"""

from training.scenes.captions import describe
from training.scenes.mix import EVALUATION, TRAINING, Mix
from training.scenes.pack import PackedScenes, pack
from training.scenes.sampling import sample
from training.scenes.scene import Background, Item, Part, Scene

__all__ = [
    "EVALUATION",
    "TRAINING",
    "Background",
    "Item",
    "Mix",
    "PackedScenes",
    "Part",
    "Scene",
    "describe",
    "pack",
    "sample",
]
