"""Rows of numbers that the renderer draws: a row is a primitive, later rows lie on earlier ones.

Knows no pixels and no torch, so that worker processes can build batches cheaply. `Canvas` is the only writer
of rows, render.py the only reader.
"""

from __future__ import annotations

import math

from training.scenes.palette import RGB

FIELDS = (
    "outline",  # a code of OUTLINES, 0 for nothing
    "anchor_x",  # of the centre, as fractions of the frame
    "anchor_y",
    "shift_x",  # from the anchor to the centre, in shorter sides
    "shift_y",
    "radius",  # in shorter sides; the outline's own coordinates are in radii
    "a",  # what these mean is told by OUTLINES
    "b",
    "c",
    "cos",  # of the rotation, clockwise
    "sin",
    "red",  # 0..1
    "green",
    "blue",
    "red2",  # the texture's other colour
    "green2",
    "blue2",
    "texture",  # a code of FILLS
    "period",  # of the texture, in shorter sides
    "texture_cos",  # direction across stripes
    "texture_sin",
)
WIDTH = len(FIELDS)
MAX_PRIMITIVES = 12
"""Rows of a scene; unused ones are zero."""

OUTLINES = {
    "plane": 1,  # everything
    "ground": 2,  # everything below the centre
    "ellipse": 3,  # height a
    "star": 4,  # a tips, inner radius b; width c. Regular polygons are stars, too (see `polygon`)
    "box": 5,  # half height a, corners rounded by b
    "heart": 6,
    "ring": 7,  # inner radius a; b = 1: only its lower half
    "cross": 8,  # half width of an arm a
    "crescent": 9,  # a circle of radius b, a to the right, is cut out of it
    "quad": 10,  # trapezium: half width 1 at the bottom, a at the top, half height b, top shifted by c
    "flower": 11,  # a petals, of depth b
}
FILLS = {"plain": 0, "stripes": 1, "dots": 2, "checker": 3, "gradient": 4}


class Canvas:
    """Collects the primitives of one scene."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, ...]] = []

    def add(
        self,
        outline: str,
        rgb: RGB,
        anchor: tuple[float, float],
        radius: float,
        *,
        shift: tuple[float, float] = (0.0, 0.0),
        a: float = 1.0,
        b: float = 0.0,
        c: float = 0.0,
        rotation: float = 0.0,
        fill: str = "plain",
        rgb2: RGB = (0.0, 0.0, 0.0),
        period: float = 1.0,
        angle: float = 0.0,
    ) -> None:
        """Draw an outline on what is there; lengths and angles as in FIELDS, angles in radians."""
        assert len(self.rows) < MAX_PRIMITIVES, "a scene of too many primitives"
        self.rows.append(
            (
                OUTLINES[outline],
                *anchor,
                *shift,
                radius,
                a,
                b,
                c,
                math.cos(rotation),
                math.sin(rotation),
                *rgb,
                *rgb2,
                FILLS[fill],
                period,
                math.cos(angle),
                math.sin(angle),
            )
        )

    def polygon(
        self, corners: int, rgb: RGB, anchor: tuple[float, float], radius: float, width: float, **more: float
    ) -> None:
        """A regular polygon, a corner at the top, squeezed to `width` times its width."""
        self.add("star", rgb, anchor, radius, a=corners, b=math.cos(math.pi / corners), c=width, **more)  # type: ignore[arg-type]
