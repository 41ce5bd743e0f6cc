"""Words for single things: colours, shapes, places, numbers, backgrounds, and the grammar between them."""

from __future__ import annotations

from training.scenes.dice import Dice
from training.scenes.palette import TONES
from training.scenes.scene import Background, place_of

# The usual word several times, so that rarer ones stay rare.
NOUNS = {
    "circle": ("circle", "circle", "circle", "circle", "disc"),
    "square": ("square",),
    "triangle": ("triangle",),
    "star": ("star", "star", "star", "five-pointed star"),
    "heart": ("heart",),
    "diamond": ("diamond", "diamond", "diamond", "rhombus"),
    "hexagon": ("hexagon",),
    "ring": ("ring", "ring", "ring", "hoop"),
    "cross": ("cross", "cross", "plus sign"),
    "crescent": ("crescent", "crescent", "crescent moon"),
}
_PLURALS = {"cross": "crosses", "rhombus": "rhombuses", "fish": "fish"}
_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}

_PLACES = {
    "top left": ("in the top left corner", "at the top left", "in the upper left", "top left"),
    "top": ("at the top", "at the top centre", "near the top", "in the upper middle"),
    "top right": ("in the top right corner", "at the top right", "in the upper right", "top right"),
    "left": ("on the left", "at the left", "on the left side", "in the middle of the left side"),
    "centre": ("in the centre", "in the middle", "in the center", "centred", "at the center"),
    "right": ("on the right", "at the right", "on the right side", "in the middle of the right side"),
    "bottom left": ("in the bottom left corner", "at the bottom left", "in the lower left", "bottom left"),
    "bottom": ("at the bottom", "at the bottom centre", "near the bottom", "in the lower middle"),
    "bottom right": (
        "in the bottom right corner",
        "at the bottom right",
        "in the lower right",
        "bottom right",
    ),
}
_LANDSCAPES = {
    "meadow": (
        ("over a green meadow", "above a meadow", "over a meadow under a blue sky"),
        ("a green meadow under a light blue sky", "a meadow and blue sky", "a green meadow"),
    ),
    "sea": (
        ("over the sea", "above the blue sea", "over the sea under a light blue sky"),
        ("the blue sea under a light blue sky", "the sea and the sky", "the sea"),
    ),
    "desert": (
        ("over a desert", "above a yellow desert", "over a sandy desert under a blue sky"),
        ("a yellow desert under a light blue sky", "a sandy desert", "a desert"),
    ),
    "snow": (
        ("over a snowy field", "above white snow", "over snow under a blue sky"),
        ("a snowy field under a light blue sky", "a field of white snow", "a snowy landscape"),
    ),
    "night": (
        (
            "over a dark meadow at night",
            "above a dark green field at night",
            "in the night sky over a dark green field",
        ),
        ("a dark green meadow at night", "a dark green field under a night sky", "a meadow at night"),
    ),
}


def article(phrase: str) -> str:
    """With its indefinite article."""
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def plural(name: str) -> str:
    """Of a noun of this vocabulary."""
    return _PLURALS.get(name, name + "s")


def noun(shape: str, dice: Dice) -> str:
    """A word for a shape."""
    return dice.pick(NOUNS[shape])


def colour_word(colour: str, dice: Dice) -> str:
    """A word for a named colour."""
    return dice.pick(TONES[colour].words)


def number_word(number: int, dice: Dice) -> str:
    """2 to 5 in words, seldom in figures."""
    return str(number) if dice.chance(0.12) else _NUMBERS[number]


def place_clause(x: float, y: float, dice: Dice) -> str:
    """ "in the top left corner", of a point in the frame."""
    return dice.pick(_PLACES[place_of(x, y)])


def _surface(background: Background, dice: Dice) -> str:
    """ "white background", without article."""
    words = [colour_word(colour, dice) for colour in background.colours]
    if background.kind == "plain":
        plain = dice.pick(("", "", "", "", "plain ", "solid "))
        return f"{plain}{words[0]} {dice.pick(('background', 'background', 'background', 'backdrop'))}"
    if background.kind == "stripes":
        way = background.direction
        return dice.pick(
            (
                f"background with {way} {words[0]} and {words[1]} stripes",
                f"{words[0]} and {words[1]} {way}ly striped background",
                f"background of {way} stripes in {words[0]} and {words[1]}",
            )
        )
    dots = dice.pick(("dots", "polka dots"))
    checkered = dice.pick(("checkered", "checkered", "chequered", "checkerboard"))
    return {
        "gradient": f"background fading from {words[0]} to {words[1]}",
        "dots": f"{words[0]} background with {words[1]} {dots}",
        "checker": f"{words[0]} and {words[1]} {checkered} background",
    }[background.kind]


def background_clause(background: Background, dice: Dice) -> str:
    """ "on a white background"."""
    if background.kind == "landscape":
        return dice.pick(_LANDSCAPES[background.name][0])
    if background.kind == "plain" and dice.chance(0.12):
        return f"on {colour_word(background.colours[0], dice)}"
    on = dice.pick(("on", "on", "on", "on", "against", "in front of"))
    return f"{on} {article(_surface(background, dice))}"


def background_note(background: Background, dice: Dice) -> str:
    """ "white background", as it stands in a list."""
    if background.kind == "landscape":
        return dice.pick(_LANDSCAPES[background.name][1])
    return _surface(background, dice)


def background_whole(background: Background, dice: Dice) -> str:
    """ "a white background", as the subject of a sentence."""
    if background.kind == "landscape":
        return dice.pick(_LANDSCAPES[background.name][1])
    return article(_surface(background, dice))
