"""Composed scenes: what each theme consists of; theme_drawing.py draws them, theme_captions.py has the words.

A theme has parts in named colours, the two that matter most first, and options, of which one of each group is
drawn; everything else about it varies by `jitter`.
"""

from __future__ import annotations

from dataclasses import dataclass

from training.scenes.dice import Dice
from training.scenes.palette import clear_of, shade
from training.scenes.scene import Background, Part, Scene

JITTERS = 8
BRIGHT = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "turquoise")


@dataclass(frozen=True)
class Theme:
    """parts: name -> colours it may have. sky: colours of the sky. apart: parts that must stand out from each
    other. options: groups of words, one of each group is drawn. weight: how often."""

    parts: dict[str, tuple[str, ...]]
    sky: tuple[str, ...]
    apart: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, ...], ...] = ()
    weight: float = 1.0


DAY = ("light blue",)
SKIES = ("light blue", "dark blue", "pink", "orange")

THEMES: dict[str, Theme] = {
    "house": Theme(
        {
            "wall": ("white", "red", "yellow", "orange", "pink", "blue", "purple", "grey", "turquoise"),
            "roof": ("red", "brown", "black", "orange", "purple", "blue", "grey"),
            "meadow": ("green", "light green"),
        },
        SKIES,
        (("wall", "roof"), ("wall", "sky"), ("roof", "sky"), ("wall", "meadow")),
        (("sun", "moon", "clear"),),
        1.5,
    ),
    "boat": Theme(
        {
            "sail": ("white", "red", "yellow", "orange", "pink", "green", "purple"),
            "hull": ("brown", "red", "black", "white", "orange", "yellow", "purple"),
            "sea": ("blue", "dark blue", "turquoise"),
        },
        SKIES,
        (("sail", "sky"), ("hull", "sea"), ("sea", "sky"), ("hull", "sky")),
        (("sun", "clear"),),
        1.5,
    ),
    "night": Theme(
        {"moon": ("yellow", "white", "orange"), "ground": ("black", "dark green", "purple", "brown")},
        ("dark blue", "black"),
        (("moon", "sky"),),
        (("crescent", "full"), ("hill", "plain")),
    ),
    "trees": Theme(
        {
            "crown": ("green", "dark green", "orange", "red", "yellow", "pink"),
            "hill": ("light green", "green", "yellow", "brown"),
            "trunk": ("brown",),
        },
        ("light blue", "pink", "orange"),
        (("crown", "sky"), ("crown", "hill"), ("trunk", "hill")),
        (("one", "two", "three"), ("round", "fir"), ("sun", "clear")),
        1.5,
    ),
    "mountains": Theme(
        {
            "mountain": ("grey", "brown", "purple", "blue", "dark blue"),
            "ground": ("green", "light green", "dark green"),
        },
        ("light blue", "pink", "orange"),
        (("mountain", "sky"), ("mountain", "ground")),
        (("snow", "bare"), ("sun", "clear")),
    ),
    "face": Theme(
        {"face": ("yellow", "orange", "green", "pink", "turquoise", "blue", "purple", "red")},
        ("white", "light blue", "pink", "dark blue", "turquoise", "purple", "light green", "red", "grey"),
        (("face", "sky"),),
        (("happy", "sad"),),
    ),
    "flower": Theme(
        {
            "petals": ("red", "pink", "purple", "yellow", "white", "orange", "blue"),
            "middle": ("yellow", "orange", "brown", "white"),
            "stem": ("green",),
            "meadow": ("green",),
        },
        ("light blue", "white", "pink", "light green"),
        (("petals", "middle"), ("petals", "sky"), ("stem", "sky")),
        (("meadow", "plain"),),
    ),
    "car": Theme(
        {"body": BRIGHT, "road": ("grey", "black")},
        ("light blue", "pink", "orange", "white"),
        (("body", "sky"), ("body", "road")),
        (("sun", "clear"),),
    ),
    "balloon": Theme(
        {"balloon": BRIGHT, "basket": ("brown",)},
        ("light blue", "white", "dark blue", "pink"),
        (("balloon", "sky"),),
        (("clouds", "clear"),),
    ),
    "snowman": Theme(
        {"hat": ("black", "red", "blue", "green", "purple", "brown"), "snow": ("white",)},
        ("light blue", "dark blue", "blue", "turquoise", "pink"),
        (("hat", "sky"), ("snow", "sky")),
        (("sun", "clear"),),
    ),
    "fish": Theme(
        {"fish": ("red", "orange", "yellow", "pink", "purple", "green", "white")},
        ("blue", "turquoise", "dark blue", "light blue"),
        (("fish", "sky"),),
        (("left", "right"),),
    ),
}


def draw_theme(dice: Dice) -> Scene | None:
    """A composed scene; None when the colours drawn do not stand out from each other."""
    name = dice.weighted({name: theme.weight for name, theme in THEMES.items()})
    theme = THEMES[name]
    sky = dice.pick(theme.sky)
    colours = {part: dice.pick(choices) for part, choices in theme.parts.items()}
    known = {**colours, "sky": sky}
    if not all(clear_of(known[first], (known[second],)) for first, second in theme.apart):
        return None
    parts = tuple(Part(part, colour, shade(colour, dice)) for part, colour in colours.items())
    options = tuple(dice.pick(group) for group in theme.options)
    if sky == "dark blue":
        options = tuple("moon" if option == "sun" else option for option in options)
    elif "moon" in options:
        options = tuple("sun" if option == "moon" else option for option in options)
    jitter = tuple(dice.around(0, 1) for _ in range(JITTERS))
    background = Background("plain", (sky,), (shade(sky, dice),))
    return Scene("composed", background, (), "", frozenset({"background"}), name, parts, options, jitter)
