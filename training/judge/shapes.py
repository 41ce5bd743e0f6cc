"""Names a shape by comparing a mask with masks of its own, whatever their size and place.

A mask is laid on a grid around its centroid, scaled by the root of its area, so that neither matters; the
templates, drawn here from their geometry, are turned a little each way. The measure is intersection over
union of soft masks.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

GRID = 44
REACH = 1.75
"""Half width of the grid, in radii of the circle of the same area."""
TURNS = tuple(math.radians(degrees) for degrees in range(-16, 17, 4))
LEAST_LIKENESS = 0.8
_FINE = 480


def name_shape(soft: Float) -> tuple[str | None, float]:
    """(shape, likeness 0..1) of a mask [H, W] of values 0..1; None when it is like none of the shapes."""
    names, templates = _templates()
    sample = _normalised(soft).ravel()
    smaller = np.minimum(templates, sample).sum(1)
    likeness = smaller / (templates.sum(1) + sample.sum() - smaller)
    best = int(likeness.argmax())
    return (names[best] if likeness[best] >= LEAST_LIKENESS else None), float(likeness[best])


def _normalised(soft: Float) -> Float:
    """The mask on the grid, [GRID, GRID]."""
    area = soft.sum()
    y, x = np.arange(soft.shape[0]), np.arange(soft.shape[1])
    middle_y, middle_x = (soft.sum(1) @ y) / area, (soft.sum(0) @ x) / area
    unit = math.sqrt(area / math.pi)
    offsets = (np.arange(GRID) + 0.5) / GRID * 2 * REACH - REACH
    return _bilinear(soft, middle_y + offsets * unit, middle_x + offsets * unit)


def _bilinear(soft: Float, rows: Float, columns: Float) -> Float:
    padded = np.pad(soft, 1)
    rows = np.clip(rows + 1, 0, padded.shape[0] - 1.001)
    columns = np.clip(columns + 1, 0, padded.shape[1] - 1.001)
    top, left = rows.astype(int), columns.astype(int)
    down, right = (rows - top)[:, None], (columns - left)[None, :]
    upper = padded[np.ix_(top, left)] * (1 - right) + padded[np.ix_(top, left + 1)] * right
    lower = padded[np.ix_(top + 1, left)] * (1 - right) + padded[np.ix_(top + 1, left + 1)] * right
    mixed: Float = upper * (1 - down) + lower * down
    return mixed


@lru_cache(maxsize=1)
def _templates() -> tuple[list[str], Float]:
    """(names, masks [N, GRID * GRID]), each shape in each turn."""
    names, masks = [], []
    axis = (np.arange(_FINE) + 0.5) / _FINE * 3 - 1.5
    x, y = np.meshgrid(axis, axis)
    for turn in TURNS:
        turned_x = math.cos(turn) * x + math.sin(turn) * y
        turned_y = math.cos(turn) * y - math.sin(turn) * x
        for name, inside in _outlines(turned_x, turned_y).items():
            names.append(name)
            # Averaged to pixels as large as a small object's, so that edges are as soft as a picture's.
            coarse = inside.reshape(_FINE // 4, 4, _FINE // 4, 4).mean((1, 3))
            masks.append(_normalised(coarse).ravel())
    return names, np.array(masks)


def _outlines(x: Float, y: Float) -> dict[str, Bools]:
    """Whether points (y down) lie inside each shape, of about unit radius."""
    distance = np.hypot(x, y)
    ring_hole = 0.58
    arm = 0.34
    crescent_left = 0.2
    return {
        "circle": distance < 1,
        "square": np.maximum(abs(x), abs(y)) < 1,
        "triangle": _polygon(x, y, [(0, -1), (0.866, 0.5), (-0.866, 0.5)]),
        "star": _polygon(x, y, _star_corners()),
        "heart": _heart(x, y),
        "diamond": abs(x) / 0.68 + abs(y) < 1.25,
        "hexagon": _polygon(
            x, y, [(math.sin(k * math.pi / 3), -math.cos(k * math.pi / 3)) for k in range(6)]
        ),
        "ring": (distance < 1) & (distance > ring_hole),
        "cross": np.minimum(abs(x), abs(y)) < np.where(np.maximum(abs(x), abs(y)) < 1, arm, -1),
        "crescent": _crescent(x - crescent_left, y, math.radians(20)),
    }


def _star_corners() -> list[tuple[float, float]]:
    return [
        (radius * math.sin(k * math.pi / 5), -radius * math.cos(k * math.pi / 5))
        for k, radius in enumerate([1.25, 0.575] * 5)
    ]


def _heart(x: Float, y: Float) -> Bools:
    """A square on its corner with half a disc on each upper side."""
    side = 0.83
    up = 0.45 - y
    square = abs(x) + abs(up - side) < side
    lobes = np.hypot(abs(x) - side / 2, up - 1.5 * side) < side / math.sqrt(2)
    return square | lobes


def _crescent(x: Float, y: Float, raised: float) -> Bools:
    """A disc less another one that lies to the right and, by an angle, above it."""
    away_x, away_y = 0.46 * math.cos(raised), -0.46 * math.sin(raised)
    return (np.hypot(x, y) < 1) & (np.hypot(x - away_x, y - away_y) > 0.8)


def _polygon(x: Float, y: Float, corners: list[tuple[float, float]]) -> Bools:
    """Even-odd rule."""
    inside = np.zeros(x.shape, bool)
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        if y0 != y1:
            crosses = ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
            inside ^= crosses
    return inside
