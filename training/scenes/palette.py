"""The named colours of the scenes: where each lies in OKLCH, how far it may stray, what it is called.

The judge has bounds of its own for the same names and does not read these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from training.scenes.dice import Dice

RGB = tuple[float, float, float]


@dataclass(frozen=True)
class Tone:
    """A colour in OKLCH (lightness 0..1, chroma, hue in degrees) and the words for it, usual ones first."""

    lightness: float
    chroma: float
    hue: float
    words: tuple[str, ...]


TONES = {
    "red": Tone(0.60, 0.205, 26, ("red",)),
    "orange": Tone(0.745, 0.165, 60, ("orange",)),
    "yellow": Tone(0.885, 0.165, 94, ("yellow",)),
    "green": Tone(0.625, 0.160, 146, ("green",)),
    "blue": Tone(0.545, 0.185, 259, ("blue",)),
    "purple": Tone(0.515, 0.185, 301, ("purple", "purple", "violet")),
    "pink": Tone(0.775, 0.130, 354, ("pink",)),
    "brown": Tone(0.475, 0.085, 55, ("brown",)),
    "black": Tone(0.215, 0.006, 270, ("black",)),
    "white": Tone(0.985, 0.004, 95, ("white",)),
    "grey": Tone(0.660, 0.008, 260, ("grey", "gray")),
    "turquoise": Tone(0.775, 0.120, 192, ("turquoise", "turquoise", "aqua")),
    "light blue": Tone(0.865, 0.065, 235, ("light blue", "pale blue", "sky blue")),
    "dark blue": Tone(0.330, 0.110, 265, ("dark blue", "navy blue", "navy")),
    "light green": Tone(0.880, 0.095, 140, ("light green", "pale green")),
    "dark green": Tone(0.400, 0.090, 150, ("dark green", "deep green")),
}
# What an object may be; the modified tones are for backgrounds only.
OBJECT_COLOURS = tuple(TONES)[:12]
BACKGROUND_COLOURS = tuple(TONES)

# Least distance in OKLab between an object and what lies behind it.
CLEAR_DISTANCE = 0.155


def lab_to_rgb(lightness: float, a: float, b: float) -> RGB:
    """OKLab -> sRGB, each channel 0..1, clipped."""
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    red, green, blue = (_encoded(min(max(value, 0.0), 1.0)) for value in linear)
    return red, green, blue


def _encoded(value: float) -> float:
    return 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055


def lab(name: str) -> tuple[float, float, float]:
    """The middle of a named colour in OKLab."""
    tone = TONES[name]
    angle = math.radians(tone.hue)
    return tone.lightness, tone.chroma * math.cos(angle), tone.chroma * math.sin(angle)


def shade(name: str, dice: Dice) -> RGB:
    """A colour of this name as sRGB, a little off its middle."""
    tone = TONES[name]
    lightness = min(dice.around(tone.lightness, 0.02), 0.995)
    chroma = tone.chroma * dice.around(1, 0.08)
    angle = math.radians(dice.around(tone.hue, 4))
    return lab_to_rgb(lightness, chroma * math.cos(angle), chroma * math.sin(angle))


@cache
def clear_of(name: str, behind: tuple[str, ...]) -> bool:
    """Whether an object of this colour stands out from one colour, or from two and every mix of the two."""
    point = lab(name)
    ends = [lab(other) for other in behind]
    start, end = ends[0], ends[-1]
    along = [b - a for a, b in zip(start, end, strict=True)]
    length = sum(step * step for step in along)
    offset = [p - a for p, a in zip(point, start, strict=True)]
    share = sum(o * s for o, s in zip(offset, along, strict=True)) / length if length else 0.0
    share = min(max(share, 0.0), 1.0)
    nearest = [a + share * step for a, step in zip(start, along, strict=True)]
    return math.dist(point, nearest) >= CLEAR_DISTANCE
