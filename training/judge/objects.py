"""The objects of a picture: regions that stand out from what is behind, each with colour, shape and place."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.judge.colours import OBJECT_NAMES, name_of
from training.judge.ground import NEAR
from training.judge.regions import filled, grown, label
from training.judge.shapes import name_shape

Float = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

LEAST_AREA = 0.0035
"""Of the square over the shorter side; smaller regions are dirt."""
EDGE_SHARE = 0.5
"""A pixel belongs to an object when it is at least half as far from the background as the object's colour."""


@dataclass(frozen=True)
class Seen:
    """An object found. x, y: middle of its box as fractions of the frame; area: of the square over the shorter
    side; mask: where it is, holes included when they show the background."""

    colour: str | None
    shape: str | None
    likeness: float
    x: float
    y: float
    area: float
    mask: Mask


def find_objects(lab: Float, away: Float, within: Mask | None = None, whole: bool = False) -> list[Seen]:
    """Objects, largest first.

    lab     the picture, OKLab [H, W, 3]
    away    [H, W], how far each pixel is from what lies behind
    within  where to look; whole: fill what looks like holes
    """
    height, width = away.shape
    least = LEAST_AREA * min(height, width) ** 2
    rough = away > NEAR
    if within is not None:
        rough &= within
    labels, number = label(rough)
    found = []
    for region in range(1, number + 1):
        area = rough & (labels == region)
        if area.sum() < least:
            break
        seen = _seen(lab, away, area, whole)
        if seen is not None:
            found.append(seen)
    return sorted(found, key=lambda seen: -seen.area)


def _seen(lab: Float, away: Float, region: Mask, whole: bool) -> Seen | None:
    height, width = region.shape
    core = grown(region, -1)
    if not core.any():
        return None
    contrast = float(np.median(away[core]))
    soft = np.clip(away / contrast, 0, 1) * grown(region, 1)
    mask = soft > EDGE_SHARE
    if whole:
        mask = filled(mask)
        soft = np.where(grown(mask, -1), 1.0, soft)
    if mask.sum() < LEAST_AREA * min(height, width) ** 2:
        return None
    inner = grown(mask, -2) & region
    colour = name_of(_main_colour(lab[inner if inner.sum() > 20 else core]), OBJECT_NAMES)
    # An edge's mixed pixels are foreground by half on both sides, so the area is that of the hard mask.
    shape, likeness = name_shape(_sharpened(soft))
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    return Seen(
        colour,
        shape,
        likeness,
        float(columns[0] + columns[-1] + 1) / 2 / width,
        float(rows[0] + rows[-1] + 1) / 2 / height,
        float(mask.sum()) / min(height, width) ** 2,
        mask,
    )


def _sharpened(soft: Float) -> Float:
    """Values from a quarter to three quarters spread over 0..1, which takes out noise at both ends."""
    return np.clip((soft - 0.25) * 2, 0, 1)


def _main_colour(colours: Float) -> Float:
    """The colour of most pixels, [N, 3]: the median of those near the fullest cell of a coarse grid."""
    cells = np.floor(colours / 0.08).astype(np.int64)
    keys = (cells[:, 0] * 1000 + cells[:, 1] + 100) * 1000 + cells[:, 2]
    _, index, count = np.unique(keys, return_inverse=True, return_counts=True)
    fullest = np.median(colours[index == count.argmax()], 0)
    near = np.linalg.norm(colours - fullest, axis=1) < 0.08
    middle: Float = np.median(colours[near], 0)
    return middle


def radius_of(seen: Seen) -> float:
    """Of a circle of the same area, in shorter sides."""
    return math.sqrt(seen.area / math.pi)
