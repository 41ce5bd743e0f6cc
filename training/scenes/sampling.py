"""Draws scenes of objects; composed ones come from themes.py.

The kind is drawn first and kept; then scenes of that kind are drawn until one is on the right side of the
rule of held_out.py, so that both splits have the same mix.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

from training.scenes.dice import Dice
from training.scenes.held_out import is_held_out
from training.scenes.mix import TRAINING, Mix
from training.scenes.palette import BACKGROUND_COLOURS, OBJECT_COLOURS, clear_of, shade
from training.scenes.scene import LANDSCAPES, PLACES, SHAPES, Background, Item, Scene, place_of
from training.scenes.themes import draw_theme

Split = Literal["train", "held_out"]

SOLID_SHAPES = ("circle", "square", "hexagon", "heart", "diamond", "star")
"""Shapes with room for another inside."""
ELSEWHERE = tuple(name for name in PLACES if name != "centre")
REACH = 1.25
"""The farthest point of any shape from its centre, in radii."""
ATTEMPTS = 2000
_THIRDS = (0.23, 0.5, 0.77)
_BACKGROUND_WITHOUT_OBJECT = {"plain": 3.0, "gradient": 3.0, "stripes": 3.0, "dots": 2.0, "checker": 2.0}


def sample(split: Split, seed: int, mix: Mix = TRAINING) -> Scene:
    """The scene of a seed; the same for the same split, seed and mix."""
    dice = Dice(split, seed)
    kind = dice.weighted(mix.kinds)
    for _ in range(ATTEMPTS):
        scene = _DRAW[kind](dice, mix)
        if scene is not None and is_held_out(scene) == (split == "held_out"):
            return scene
    raise RuntimeError(f"no {split} scene of kind {kind} in {ATTEMPTS} attempts: too few combinations")


def _single(dice: Dice, mix: Mix) -> Scene | None:
    background = draw_background(dice, dice.weighted(mix.backgrounds))
    size = dice.weighted(mix.sizes)
    place = "centre" if dice.chance(mix.centred) else dice.pick(ELSEWHERE)
    low, high = {"small": (0.09, 0.115), "medium": (0.15, 0.195), "large": (0.25, 0.3)}[size]
    radius = dice.uniform(low, high if place == "centre" else min(high, 0.27))
    column, row = PLACES[place]
    x, y = (_inside_frame(dice.around(_THIRDS[at], 0.025), radius) for at in (column, row))
    item = _item(dice, mix, background, (x, y), radius, size=size)
    if item is None:
        return None
    told = _told(dice, mix)
    if dice.chance(mix.colour_told):
        told.add("colour")
    if place_of(x, y) != "centre" or dice.chance(mix.centre_told):
        told.add("place")
    return Scene("single", background, (item,), told=frozenset(told))


def _pair(dice: Dice, mix: Mix) -> Scene | None:
    background = draw_background(dice, dice.weighted(mix.backgrounds))
    relation = dice.weighted(mix.relations)
    told = _told(dice, mix) | {"colour", "relation"}
    if relation == "inside":
        return _nested(dice, mix, background, told)
    gap, slant = dice.around(0.23, 0.02), dice.around(0, 0.035)
    middle = dice.around(0.5, 0.02)
    sign = -1 if relation in {"left of", "above"} else 1
    upright = relation in {"above", "below"}
    items = []
    for side in (sign, -sign):
        along, across = middle + side * gap, 0.5 + side * slant
        x, y = (across, along) if upright else (along, across)
        size = dice.weighted(mix.sizes)
        low, high = {"small": (0.085, 0.1), "medium": (0.125, 0.15), "large": (0.165, 0.18)}[size]
        item = _item(dice, mix, background, (x, y), dice.uniform(low, high), size=size)
        if item is None:
            return None
        items.append(item)
    first, second = items
    if (first.shape, first.colour) == (second.shape, second.colour):
        return None
    if not dice.chance(mix.relation_told):
        told.remove("relation")
        relation = ""
    return Scene("pair", background, (first, second), relation, frozenset(told))


def _nested(dice: Dice, mix: Mix, background: Background, told: set[str]) -> Scene | None:
    x, y = dice.around(0.5, 0.03), dice.around(0.5, 0.03)
    shape = dice.pick(SOLID_SHAPES)
    outer = _item(
        dice, mix, background, (x, y), dice.uniform(0.31, 0.36), size="large", shape=shape, texture="plain"
    )
    if outer is None:
        return None
    behind = Background("plain", (outer.colour,), (outer.rgb,))
    # A heart is widest a little above its middle.
    drop = -0.02 if shape == "heart" else 0.0
    radius = dice.uniform(0.085, 0.1) if shape in {"star", "diamond"} else dice.uniform(0.095, 0.135)
    inner = _item(dice, mix, behind, (x, y + drop), radius, size="small", texture="plain")
    if inner is None:
        return None
    return Scene("pair", background, (inner, outer), "inside", frozenset(told))


def _count(dice: Dice, mix: Mix) -> Scene | None:
    background = draw_background(dice, dice.weighted(mix.backgrounds))
    number = dice.weighted({2: 3.0, 3: 4.0, 4: 3.0, 5: 2.0})
    small = dice.chance(0.3)
    spots, radius = dice.pick(_ARRANGED[number])
    radius *= dice.uniform(0.62, 0.72) if small else dice.uniform(0.9, 1.0)
    first = _item(dice, mix, background, (0.5, 0.5), radius, size="small" if small else "medium")
    if first is None:
        return None
    items = tuple(
        Item(
            first.shape,
            first.colour,
            shade(first.colour, dice) if dice.chance(0.3) else first.rgb,
            first.size,
            dice.around(x, 0.018),
            dice.around(y, 0.018),
            radius * dice.around(1, 0.05),
            _tilt(dice),
            first.texture,
        )
        for x, y in spots
    )
    return Scene("count", background, items, told=frozenset(_told(dice, mix) | {"colour"}))


def _row(dice: Dice, mix: Mix) -> Scene | None:
    background = draw_background(dice, dice.weighted(mix.backgrounds))
    radius = dice.uniform(0.105, 0.125)
    items = []
    for x in (0.19, 0.5, 0.81):
        at = dice.around(x, 0.012), dice.around(0.5, 0.02)
        item = _item(dice, mix, background, at, radius, size="medium", texture="plain")
        if item is None:
            return None
        items.append(item)
    if len({(item.shape, item.colour) for item in items}) < len(items):
        return None
    return Scene("row", background, tuple(items), told=frozenset(_told(dice, mix) | {"colour", "relation"}))


def _empty(dice: Dice, mix: Mix) -> Scene | None:
    kinds = {kind: weight for kind, weight in _BACKGROUND_WITHOUT_OBJECT.items() if mix.backgrounds.get(kind)}
    background = draw_background(dice, dice.weighted(kinds or {"plain": 1.0}))
    return Scene("empty", background, told=frozenset({"background"}))


def _composed(dice: Dice, _mix: Mix) -> Scene | None:
    return draw_theme(dice)


_DRAW = {
    "single": _single,
    "pair": _pair,
    "count": _count,
    "row": _row,
    "empty": _empty,
    "composed": _composed,
}

_Spots = tuple[tuple[float, float], ...]
_ARRANGED: dict[int, tuple[tuple[_Spots, float], ...]] = {
    2: ((((0.29, 0.5), (0.71, 0.5)), 0.15), (((0.32, 0.34), (0.68, 0.66)), 0.15)),
    3: (
        (((0.19, 0.5), (0.5, 0.5), (0.81, 0.5)), 0.115),
        (((0.5, 0.29), (0.27, 0.7), (0.73, 0.7)), 0.145),
        (((0.27, 0.3), (0.73, 0.3), (0.5, 0.7)), 0.145),
    ),
    4: (
        (((0.29, 0.29), (0.71, 0.29), (0.29, 0.71), (0.71, 0.71)), 0.14),
        (((0.5, 0.2), (0.22, 0.5), (0.78, 0.5), (0.5, 0.8)), 0.125),
    ),
    5: (
        (((0.23, 0.23), (0.77, 0.23), (0.5, 0.5), (0.23, 0.77), (0.77, 0.77)), 0.125),
        (((0.2, 0.33), (0.5, 0.33), (0.8, 0.33), (0.35, 0.68), (0.65, 0.68)), 0.11),
    ),
}
"""For each number, places that so many objects may take, and the radius that suits them."""


def draw_background(dice: Dice, kind: str) -> Background:
    """A background of this kind in colours that suit each other."""
    if kind == "plain":
        # White is what people ask for most.
        colour = "white" if dice.chance(0.18) else dice.pick(BACKGROUND_COLOURS)
        return Background(kind, (colour,), (shade(colour, dice),))
    if kind == "landscape":
        name = dice.pick(tuple(LANDSCAPES))
        colours = LANDSCAPES[name]
        horizon = dice.uniform(0.56, 0.72)
        return Background(kind, colours, _shades(colours, dice), name, period=horizon)
    first = dice.pick(BACKGROUND_COLOURS)
    second = dice.pick(_clear_colours((first,), BACKGROUND_COLOURS))
    if kind != "gradient" and dice.chance(0.4) and clear_of("white", (first,)):
        second = "white"
    pair = first, second
    direction = dice.pick(("vertical", "horizontal", "diagonal")) if kind == "stripes" else ""
    period = {"gradient": 0.0, "stripes": dice.uniform(0.12, 0.2), "dots": dice.uniform(0.11, 0.15)}.get(
        kind, dice.uniform(0.2, 0.28)
    )
    return Background(kind, pair, _shades(pair, dice), "", direction, period)


def _shades(colours: tuple[str, ...], dice: Dice) -> tuple[tuple[float, float, float], ...]:
    return tuple(shade(colour, dice) for colour in colours)


@cache
def _clear_colours(behind: tuple[str, ...], colours: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(colour for colour in colours if clear_of(colour, behind))


def _item(
    dice: Dice,
    mix: Mix,
    background: Background,
    at: tuple[float, float],
    radius: float,
    *,
    size: str,
    shape: str | None = None,
    texture: str | None = None,
) -> Item | None:
    """An object that stands out from the background; None when no colour does."""
    colours = _clear_colours(background.colours, OBJECT_COLOURS)
    if not colours:
        return None
    colour = dice.pick(colours)
    texture = texture or dice.weighted(mix.textures)
    # Textures are white on the object's colour, so white must neither be that colour nor lie behind.
    if texture != "plain" and not (
        clear_of("white", background.colours) and clear_of("white", (colour, colour))
    ):
        texture = "plain"
    if background.kind not in {"plain", "gradient"}:
        texture = "plain"
    return Item(
        shape or dice.pick(SHAPES), colour, shade(colour, dice), size, *at, radius, _tilt(dice), texture
    )


def _tilt(dice: Dice) -> float:
    """Upright, or a little off it."""
    return dice.around(0, 0.12) if dice.chance(0.5) else 0.0


def _inside_frame(value: float, radius: float) -> float:
    margin = REACH * radius + 0.015
    return min(max(value, margin), 1 - margin)


def _told(dice: Dice, mix: Mix) -> set[str]:
    return {"background"} if dice.chance(mix.background_told) else set()
