"""Scenes as arrays of primitives: what worker processes hand to the renderer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from training.scenes.canvas import MAX_PRIMITIVES, WIDTH, Canvas
from training.scenes.palette import RGB
from training.scenes.scene import Background, Item, Scene
from training.scenes.theme_drawing import draw_theme_on

PackedScenes = npt.NDArray[np.float32]

WHITE: RGB = (0.985, 0.985, 0.98)
_PLAIN_DIRECTIONS = {"": 0.0, "vertical": 0.0, "horizontal": math.pi / 2, "diagonal": math.pi / 4}

# outline, radius as a multiple of the item's, a, b, c, own rotation
_OUTLINES: dict[str, tuple[str, float, float, float, float, float]] = {
    "circle": ("ellipse", 1.0, 1.0, 0.0, 0.0, 0.0),
    "square": ("box", 0.89, 1.0, 0.0, 0.0, 0.0),
    "triangle": ("star", 1.22, 3, 0.5, 1.0, 0.0),
    "star": ("star", 1.25, 5, 0.46, 1.0, 0.0),
    "heart": ("heart", 1.06, 1.0, 0.0, 0.0, 0.0),
    "diamond": ("star", 1.25, 4, math.cos(math.pi / 4), 0.68, 0.0),
    "hexagon": ("star", 1.06, 6, math.cos(math.pi / 6), 1.0, 0.0),
    "ring": ("ring", 1.12, 0.58, 0.0, 0.0, 0.0),
    "cross": ("cross", 1.1, 0.34, 0.0, 0.0, 0.0),
    "crescent": ("crescent", 1.16, 0.46, 0.8, 0.0, -0.35),
}
# A triangle's centroid is its centre only if it is moved down a little to look centred.
_DROPS = {"triangle": 0.12, "star": 0.04}


def pack(scenes: Sequence[Scene]) -> PackedScenes:
    """[len(scenes), MAX_PRIMITIVES, WIDTH] float32: the primitives of each scene, bottom first."""
    packed = np.zeros((len(scenes), MAX_PRIMITIVES, WIDTH), np.float32)
    for place, scene in zip(packed, scenes, strict=True):
        canvas = Canvas()
        _draw_background(canvas, scene.background)
        if scene.kind == "composed":
            draw_theme_on(canvas, scene)
        # What lies inside comes first in a pair's words, but on top in its picture.
        items = reversed(scene.items) if scene.relation == "inside" else scene.items
        for item in items:
            _draw_item(canvas, item)
        place[: len(canvas.rows)] = canvas.rows
    return packed


def _draw_background(canvas: Canvas, background: Background) -> None:
    middle = (0.5, 0.5)
    first, second = background.rgbs[0], background.rgbs[-1]
    if background.kind == "landscape":
        canvas.add("plane", first, middle, 1.0)
        canvas.add("ground", second, (0.5, background.period), 1.0)
    elif background.kind == "plain":
        canvas.add("plane", first, middle, 1.0)
    else:
        canvas.add(
            "plane",
            first,
            middle,
            1.0,
            fill=background.kind,
            rgb2=second,
            period=background.period or 1.0,
            angle=_PLAIN_DIRECTIONS[background.direction],
        )


def _draw_item(canvas: Canvas, item: Item) -> None:
    outline, scale, a, b, c, turned = _OUTLINES[item.shape]
    fill = {"plain": "plain", "striped": "stripes", "dotted": "dots"}[item.texture]
    canvas.add(
        outline,
        item.rgb,
        (item.x, item.y),
        item.radius * scale,
        shift=(0.0, _DROPS.get(item.shape, 0.0) * item.radius),
        a=a,
        b=b,
        c=c,
        rotation=item.rotation + turned,
        fill=fill,
        rgb2=WHITE,
        period=item.radius * (0.5 if fill == "stripes" else 0.46),
        angle=math.pi / 4,
    )
