"""Shapes drawn by Pillow, at other sizes, places and turns than any template."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from training.judge.shapes import name_shape

Points = list[tuple[float, float]]


def polygon(corners: Points, size: float, degrees: float) -> np.ndarray:
    """A filled polygon (y down) as a soft mask of 160 x 200, drawn four times as large and averaged."""
    turn = math.radians(degrees)
    points = [
        (
            4 * (90 + size * (x * math.cos(turn) - y * math.sin(turn))),
            4 * (70 + size * (y * math.cos(turn) + x * math.sin(turn))),
        )
        for x, y in corners
    ]
    image = Image.new("L", (800, 640))
    ImageDraw.Draw(image).polygon(points, fill=255)
    return averaged(image)


def averaged(image: Image.Image) -> np.ndarray:
    values: np.ndarray = np.asarray(image, float).reshape(160, 4, 200, 4).mean((1, 3)) / 255
    return values


def regular(corners: int, inner: float = 0.0) -> Points:
    """Regular polygon, a corner at the top; with `inner` a star."""
    radii = [1.0, inner] if inner else [1.0]
    number = corners * len(radii)
    return [
        (
            radii[k % len(radii)] * math.sin(2 * math.pi * k / number),
            -radii[k % len(radii)] * math.cos(2 * math.pi * k / number),
        )
        for k in range(number)
    ]


CASES: dict[str, Points] = {
    "square": [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)],
    "triangle": regular(3),
    "hexagon": regular(6),
    "star": regular(5, 0.44),
    "circle": regular(60),
    "diamond": [(0, -1), (0.66, 0), (0, 1), (-0.66, 0)],
    "cross": [
        (sx * x, sy * y)
        for sx, sy, corners in (
            (1, -1, [(0.33, 1), (0.33, 0.33), (1, 0.33)]),
            (1, 1, [(1, 0.33), (0.33, 0.33), (0.33, 1)]),
            (-1, 1, [(0.33, 1), (0.33, 0.33), (1, 0.33)]),
            (-1, -1, [(1, 0.33), (0.33, 0.33), (0.33, 1)]),
        )
        for x, y in corners
    ],
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("size", "degrees"), [(14, 3), (31, -7), (60, 10)])
def test_polygons_have_their_names(name: str, size: float, degrees: float) -> None:
    found, likeness = name_shape(polygon(CASES[name], size, degrees))
    assert found == name
    assert likeness > 0.87


@pytest.mark.parametrize("size", [14, 30, 55])
def test_rounded_shapes_have_their_names(size: float) -> None:
    def disc(pen: ImageDraw.ImageDraw, x: float, y: float, radius: float, fill: int) -> None:
        x, y, radius = 4 * (90 + size * x), 4 * (70 + size * y), 4 * size * radius
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill)

    for name, x, y, radius in (("ring", 0.0, 0.0, 0.6), ("crescent", 0.45, -0.18, 0.8)):
        image = Image.new("L", (800, 640))
        pen = ImageDraw.Draw(image)
        disc(pen, 0, 0, 1, 255)
        disc(pen, x, y, radius, 0)
        assert name_shape(averaged(image))[0] == name
    image = Image.new("L", (800, 640))
    pen = ImageDraw.Draw(image)
    for x in (-0.42, 0.42):
        disc(pen, x, -0.35, 0.58, 255)
    pen.polygon(
        [(4 * (90 + size * x), 4 * (70 + size * y)) for x, y in ((-0.86, 0.03), (0.86, 0.03), (0, 0.95))], 255
    )
    disc(pen, 0, -0.02, 0.4, 255)
    assert name_shape(averaged(image))[0] == "heart"


def test_other_shapes_have_no_name() -> None:
    bar = polygon([(-1, -0.12), (1, -0.12), (1, 0.12), (-1, 0.12)], 60, 0)
    assert name_shape(bar)[0] is None
    spots = (np.random.default_rng(0).random((80, 80)) < 0.3).astype(float)
    assert name_shape(spots)[0] is None
