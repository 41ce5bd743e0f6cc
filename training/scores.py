"""Shares of right answers over many pictures, judged by several processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields

import numpy as np

from training.judge import Verdict, judge
from training.scenes.scene import Scene

FEW = 32  # pictures that are judged sooner than processes start


def score(pictures: Sequence[np.ndarray], scenes: Sequence[Scene]) -> dict[str, object]:
    """Attribute -> share of the pictures, uint8 [H, W, 3], that have it, of those whose scene tells it.

    "right" is the share with nothing wrong; "pairs" that of two-object scenes right in both colours and the
    relation.
    """
    if len(pictures) <= FEW:
        verdicts = list(map(judge, pictures, scenes))
    else:
        workers = max(1, (os.cpu_count() or 2) - 1)
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            verdicts = list(pool.map(judge, pictures, scenes, chunksize=8))
    found: dict[str, object] = {}
    for name in (field.name for field in fields(Verdict)):
        told = [getattr(verdict, name) for verdict in verdicts if getattr(verdict, name) is not None]
        if told:
            found[name] = round(sum(told) / len(told), 4)
    pairs = [
        v
        for v, scene in zip(verdicts, scenes, strict=True)
        if scene.kind == "pair" and v.relation is not None
    ]
    if pairs:
        found["pairs"] = round(sum(bool(v.colour and v.relation) for v in pairs) / len(pairs), 4)
    found["right"] = round(sum(verdict.right for verdict in verdicts) / len(verdicts), 4)
    return found
