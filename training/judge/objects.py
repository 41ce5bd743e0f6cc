"""The objects of a picture: regions that stand out from what is behind, each with colour, shape and place."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.judge.colours import OBJECT_NAMES, name_of, prototypes
from training.judge.ground import NEAR, commonest
from training.judge.regions import filled, grown, label
from training.judge.shapes import name_shape

Float = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

LEAST_AREA = 0.0035
"""Of the square over the shorter side; smaller regions are dirt."""
MOST_AREA = 0.75
"""Of the frame; what covers more is no object on a background."""
EDGE_SHARE = 0.5
"""A pixel is an object's when it is at least so much of the object's distance away from what lies behind."""


@dataclass(frozen=True)
class Seen:
    """An object found.

    beside_white  its colour where it is not white: that of an object with white stripes or dots
    likeness  of its mask to that of its shape, 0..1
    x, y      the middle of its bounding box, as fractions of the frame
    area      as a part of the square over the frame's shorter side
    mask      [H, W], where it is
    """

    colour: str | None
    beside_white: str | None
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
    # Where a texture's two colours meet, their mix may be that of the background: such lines are bridged.
    rough = grown(grown(away > NEAR, 1), -1)
    if within is not None:
        rough &= within
    labels, number = label(rough)
    found = []
    for region in range(1, number + 1):
        area = rough & (labels == region)
        if area.sum() < least:
            break
        if area.mean() > MOST_AREA:
            continue
        seen = _seen(lab, away, area, whole)
        if seen is not None:
            found.append(seen)
    return sorted(found, key=lambda seen: -seen.area)


def _seen(lab: Float, away: Float, region: Mask, whole: bool) -> Seen | None:
    height, width = region.shape
    core = grown(region, -1)
    if not core.any():
        return None
    # A texture's lighter or darker part may be nearer to the background than the rest: the fainter counts.
    heart = grown(region, -3)
    contrast = float(np.quantile(away[heart if heart.sum() > 60 else core], 0.15))
    soft = np.clip(away / contrast, 0, 1) * grown(region, 1)
    mask = soft > EDGE_SHARE
    bridged = grown(grown(mask, 1), -1)
    mask, soft = bridged, np.where(bridged & ~mask, 1.0, soft)
    if whole:
        mask = filled(mask)
        soft = np.where(grown(mask, -1), 1.0, soft)
    if mask.sum() < LEAST_AREA * min(height, width) ** 2:
        return None
    inner = grown(mask, -2) & region
    pixels = lab[inner if inner.sum() > 20 else core]
    # An edge's mixed pixels are foreground by half on both sides, so the area is that of the hard mask.
    shape, likeness = name_shape(_sharpened(soft))
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    return Seen(
        _colour(pixels),
        _colour(pixels[np.linalg.norm(pixels - prototypes()["white"], axis=1) > 2 * NEAR]),
        shape,
        likeness,
        float(columns[0] + columns[-1] + 1) / 2 / width,
        float(rows[0] + rows[-1] + 1) / 2 / height,
        float(mask.sum()) / min(height, width) ** 2,
        mask,
    )


def _colour(pixels: Float) -> str | None:
    """The name of the colour that most of the pixels, OKLab [N, 3], have; None when no colour prevails."""
    if not len(pixels):
        return None
    colour = commonest(pixels)
    prevails = (np.linalg.norm(pixels - colour, axis=1) < 2 * NEAR).mean() > 0.5
    return name_of(colour, OBJECT_NAMES) if prevails else None


def _sharpened(soft: Float) -> Float:
    """Values from a quarter to three quarters spread over 0..1, which takes out noise at both ends."""
    return np.clip((soft - 0.25) * 2, 0, 1)


def radius_of(seen: Seen) -> float:
    """Of a circle of the same area, in shorter sides."""
    return math.sqrt(seen.area / math.pi)
