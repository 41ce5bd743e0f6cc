"""What a scene is: everything needed to draw it, to caption it and to judge a picture of it.

Places are fractions of the frame (0, 0 is top left), lengths are in units of the frame's shorter side, so one
scene fits any frame. Nothing here draws, samples or speaks.
"""

from __future__ import annotations

from dataclasses import dataclass

from training.scenes.palette import RGB

SHAPES = ("circle", "square", "triangle", "star", "heart", "diamond", "hexagon", "ring", "cross", "crescent")
SIZES = ("small", "medium", "large")
TEXTURES = ("plain", "striped", "dotted")
RELATIONS = ("left of", "right of", "above", "below", "inside")
PLACES = {
    "top left": (0, 0),
    "top": (1, 0),
    "top right": (2, 0),
    "left": (0, 1),
    "centre": (1, 1),
    "right": (2, 1),
    "bottom left": (0, 2),
    "bottom": (1, 2),
    "bottom right": (2, 2),
}
"""Names of the nine places and their column and row in a grid of three by three."""

LANDSCAPES = {
    "meadow": ("light blue", "green"),
    "sea": ("light blue", "blue"),
    "desert": ("light blue", "yellow"),
    "snow": ("light blue", "white"),
    "night": ("dark blue", "dark green"),
}
"""Landscapes and the colours of their sky and their ground."""


@dataclass(frozen=True, slots=True)
class Item:
    """One object. `radius` is that of a circle of about the same area; `rotation` in radians."""

    shape: str
    colour: str
    rgb: RGB
    size: str
    x: float
    y: float
    radius: float
    rotation: float = 0.0
    texture: str = "plain"


@dataclass(frozen=True, slots=True)
class Background:
    """What fills the frame behind the objects.

    kind      plain, gradient (from the first colour at the top to the second at the bottom), stripes, dots
              (of the second colour on the first), checker, or landscape (sky above, ground below the horizon)
    colours   one name for plain, two for every other kind
    rgbs      the shades of `colours`
    name      of a landscape, else empty
    direction of stripes: "vertical", "horizontal" or "diagonal", else empty
    period    of a pattern; the horizon of a landscape as a fraction of the height; else 0
    """

    kind: str
    colours: tuple[str, ...]
    rgbs: tuple[RGB, ...]
    name: str = ""
    direction: str = ""
    period: float = 0.0


@dataclass(frozen=True, slots=True)
class Part:
    """A coloured part of a composed scene ("roof", "red"), with its shade."""

    name: str
    colour: str
    rgb: RGB


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture's content.

    kind      single, pair, count, row, empty, or composed
    items     the objects; of a pair the subject first; of a row from left to right
    relation  of a pair's first object to its second; empty when free
    told      what a caption says beyond shapes: any of background, place, colour, size, relation. What is not
              told was free, and no judge may ask for it
    theme     of a composed scene ("house"), whose `parts` have colours and whose `options` are plain words
              ("sun", "two"); `jitter` are numbers from -1 to 1 that vary how it is drawn
    """

    kind: str
    background: Background
    items: tuple[Item, ...] = ()
    relation: str = ""
    told: frozenset[str] = frozenset()
    theme: str = ""
    parts: tuple[Part, ...] = ()
    options: tuple[str, ...] = ()
    jitter: tuple[float, ...] = ()

    def part(self, name: str) -> Part:
        """The part of this name; KeyError when the scene has none."""
        for part in self.parts:
            if part.name == name:
                return part
        raise KeyError(name)


def place_of(x: float, y: float) -> str:
    """The name of the place at a point, by thirds widened for the middle."""
    column, row = ((value > 0.385) + (value > 0.615) for value in (x, y))
    for name, where in PLACES.items():
        if where == (column, row):
            return name
    raise AssertionError("every cell has a name")
