"""Compares a picture with the scene that it should show, attribute by attribute.

Independent of the model and of the renderer: it shares with them only what a scene is. What a caption does
not tell is not judged.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise, permutations

import numpy as np

from training.judge.colours import Bytes, share_of
from training.judge.ground import Ground
from training.judge.objects import Seen, find_objects, radius_of
from training.judge.regions import filled, grown
from training.judge.themes import BELOW, PARTS
from training.scenes.scene import PLACES, Item, Scene
from training.scenes.scene import place_of as scene_place

SMALL_BELOW, LARGE_ABOVE = 0.14, 0.185
"""Radius of the circle of the same area, in shorter sides."""
THIRDS = 0.41, 0.59
NOT_BESIDE = 0.08
"""Two objects closer than this along an axis are neither left nor right, neither above nor below."""
LIKE_AREA = 0.3
"""Of counted objects, each has at least this share of the largest one's area."""


@dataclass(frozen=True)
class Verdict:
    """Whether each attribute is as told; None where the scene's caption leaves it open or it has none.

    colour and shape are those of the main object, or of every object when there are several.
    """

    colour: bool | None = None
    shape: bool | None = None
    place: bool | None = None
    size: bool | None = None
    background: bool | None = None
    relation: bool | None = None
    count: bool | None = None

    @property
    def right(self) -> bool:
        """Whether nothing that was told is wrong."""
        return all(getattr(self, field.name) is not False for field in fields(self))


def judge(picture: Bytes, scene: Scene) -> Verdict:
    """The verdict on a picture, uint8 [H, W, 3] with sides of at least 64."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or min(picture.shape[:2]) < 64:
        raise ValueError(f"a picture to judge is uint8 [H, W, 3] of 64 pixels or more, not {picture.shape}")
    if scene.kind == "composed":
        return _composed(picture, scene)
    ground = Ground(picture, scene.background.kind)
    background = _background(ground, scene) if "background" in scene.told else None
    if scene.kind == "empty":
        return Verdict(background=background, count=not find_objects(ground.lab, ground.away))
    if scene.relation == "inside":
        return _nested(ground, scene, background)
    seen = find_objects(ground.lab, ground.away)
    if scene.kind == "single":
        return _single(seen, scene, background)
    if scene.kind == "count":
        return _count(seen, scene, background)
    return _several(seen, scene, background)


def _background(ground: Ground, scene: Scene) -> bool:
    background = scene.background
    if background.kind == "plain":
        return ground.is_plain(background.colours[0])
    if background.kind == "gradient":
        return ground.is_gradient(background.colours[0], background.colours[1])
    if background.kind == "landscape":
        return ground.is_landscape(background.colours[0], background.colours[1])
    return ground.is_pattern(background.kind, background.colours, background.direction)


def _single(seen: list[Seen], scene: Scene, background: bool | None) -> Verdict:
    item = scene.items[0]
    main = seen[0] if seen else None
    alone = len(seen) == 1 or (len(seen) > 1 and seen[1].area < LIKE_AREA * seen[0].area)
    return Verdict(
        colour=(main is not None and has_colour(main, item)) if "colour" in scene.told else None,
        shape=main is not None and main.shape == item.shape,
        place=(main is not None and place_of(main) == scene_place(item.x, item.y))
        if "place" in scene.told
        else None,
        size=None if item.size == "medium" else main is not None and _size(main) == item.size,
        background=background,
        count=alone,
    )


def _several(seen: list[Seen], scene: Scene, background: bool | None) -> Verdict:
    """Pairs apart and rows: objects are matched to the words by what they are, then their places compared."""
    number = len(scene.items)
    count = len(seen) == number
    if len(seen) < number:
        relation = False if "relation" in scene.told else None
        return Verdict(colour=False, shape=False, background=background, relation=relation, count=False)
    matched = max(permutations(seen[:number]), key=lambda order: _match(order, scene.items, scene.relation))
    colour = all(has_colour(one, item) for one, item in zip(matched, scene.items, strict=True))
    shape = all(one.shape == item.shape for one, item in zip(matched, scene.items, strict=True))
    relation = None
    if "relation" in scene.told:
        relation = count and _lie(matched, scene.relation or "left of")
    return Verdict(colour=colour, shape=shape, background=background, relation=relation, count=count)


def _match(order: tuple[Seen, ...], items: tuple[Item, ...], relation: str) -> tuple[int, bool]:
    alike = sum(
        2 * has_colour(one, item) + (one.shape == item.shape) for one, item in zip(order, items, strict=True)
    )
    return alike, _lie(order, relation or "left of")


def _lie(objects: tuple[Seen, ...], relation: str) -> bool:
    """Whether each lies so to the next."""
    for first, second in pairwise(objects):
        right, down = second.x - first.x, second.y - first.y
        along, across = (right, down) if relation in {"left of", "right of"} else (down, right)
        if relation in {"right of", "below"}:
            along = -along
        if along < NOT_BESIDE or along < abs(across):
            return False
    return True


def _nested(ground: Ground, scene: Scene, background: bool | None) -> Verdict:
    inner, outer = scene.items
    around = find_objects(ground.lab, ground.away, whole=True)
    if not around:
        return Verdict(colour=False, shape=False, background=background, relation=False, count=False)
    host = around[0]
    region = grown(filled(host.mask), -3)
    if not region.any():
        return Verdict(colour=False, shape=False, background=background, relation=False, count=False)
    median = np.median(ground.lab[region], 0)
    away = np.linalg.norm(ground.lab - median, axis=-1)
    inside = find_objects(ground.lab, away, within=region)
    guest = inside[0] if inside else None
    return Verdict(
        colour=has_colour(host, outer) and guest is not None and has_colour(guest, inner),
        shape=host.shape == outer.shape and guest is not None and guest.shape == inner.shape,
        background=background,
        relation=guest is not None and guest.area < 0.5 * host.area,
        count=len(inside) == 1 and all(_covers(host, other) for other in around[1:]),
    )


def _covers(host: Seen, other: Seen) -> bool:
    """Whether one object lies within another, as the middle of a ring does that shows its host's colour."""
    return bool((host.mask & other.mask).sum() > 0.9 * other.mask.sum())


def _count(seen: list[Seen], scene: Scene, background: bool | None) -> Verdict:
    item = scene.items[0]
    alike = [one for one in seen if one.area >= LIKE_AREA * seen[0].area]
    return Verdict(
        colour=bool(alike) and all(has_colour(one, item) for one in alike),
        shape=bool(alike) and all(one.shape == item.shape for one in alike),
        background=background,
        count=len(alike) == len(scene.items),
    )


def _composed(picture: Bytes, scene: Scene) -> Verdict:
    """Sky and ground by the frame's edges; the main parts by how much of the picture has their colour."""
    ground = Ground(picture, "landscape")
    sky, land = ground.top_and_bottom()
    below = BELOW.get(scene.theme)
    background = sky == scene.background.colours[0]
    if below is not None and any(part.name == below for part in scene.parts):
        background = background and land == scene.part(below).colour
    colour = all(
        share_of(ground.lab, scene.part(part).colour) >= least for part, least in PARTS[scene.theme].items()
    )
    return Verdict(colour=colour, background=background)


def has_colour(seen: Seen, item: Item) -> bool:
    """Whether an object has the colour told, beside the white of its texture if it has one."""
    return item.colour == (seen.colour if item.texture == "plain" else seen.beside_white)


def place_of(seen: Seen) -> str:
    """The name of the place where an object lies."""
    cell = tuple((value > THIRDS[0]) + (value > THIRDS[1]) for value in (seen.x, seen.y))
    return next(name for name, where in PLACES.items() if where == cell)


def _size(seen: Seen) -> str:
    radius = radius_of(seen)
    return "small" if radius < SMALL_BELOW else "large" if radius > LARGE_ABOVE else "medium"
