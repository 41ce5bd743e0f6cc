"""Which combinations are held out, so that no model is ever trained on them: a rule, not a list.

A scene's combinations are short strings; one is held out when the first byte of its BLAKE2b digest is below
HELD_OUT_BYTES. A scene is held out when any of its combinations is. Combinations are

    every object      shape, colour, background                     "object/star/red/plain:white"
    a pair            shape and colour of both, and how they lie    "pair/red star/left of/blue ring"
                      (right of and below are turned round, so that one arrangement has one string)
    a count           number, shape, colour                         "count/3/star/red"
    a row             each two neighbours                           "row/red star/blue ring"
    a composed scene  theme, options, colours of its two main parts "house/sun/red/brown"
    an empty one      kind and colours of the background            "empty/stripes:blue,white"

Only what is plain to see counts: textures, sizes and places do not make a new combination.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from itertools import pairwise

from training.scenes.scene import Background, Item, Scene

HELD_OUT_BYTES = 26
"""Of 256: about a tenth of all combinations."""

_TURNED = {"right of": "left of", "below": "above"}


@lru_cache(maxsize=1 << 16)
def combination_is_held_out(combination: str) -> bool:
    """Whether this combination is kept from training."""
    return hashlib.blake2b(combination.encode(), digest_size=1).digest()[0] < HELD_OUT_BYTES


def is_held_out(scene: Scene) -> bool:
    """Whether any combination of the scene is kept from training."""
    return any(map(combination_is_held_out, combinations(scene)))


def combinations(scene: Scene) -> list[str]:
    """The combinations that the scene consists of."""
    behind = _background(scene.background)
    if scene.kind == "empty":
        return [f"empty/{behind}"]
    if scene.kind == "composed":
        return ["/".join((scene.theme, *scene.options, *(part.colour for part in scene.parts[:2])))]
    found = [f"object/{item.shape}/{item.colour}/{behind}" for item in scene.items]
    if scene.kind == "pair":
        first, second = map(_short, scene.items)
        relation = scene.relation or laid(scene.items[0], scene.items[1])
        if relation in _TURNED:
            first, relation, second = second, _TURNED[relation], first
        found.append(f"pair/{first}/{relation}/{second}")
    elif scene.kind == "count":
        item = scene.items[0]
        found.append(f"count/{len(scene.items)}/{item.shape}/{item.colour}")
    elif scene.kind == "row":
        names = list(map(_short, scene.items))
        found += [f"row/{left}/{right}" for left, right in pairwise(names)]
    return found


def laid(first: Item, second: Item) -> str:
    """How the first of two objects that lie apart lies to the second."""
    across, down = second.x - first.x, second.y - first.y
    if abs(across) >= abs(down):
        return "left of" if across > 0 else "right of"
    return "above" if down > 0 else "below"


def _short(item: Item) -> str:
    return f"{item.colour} {item.shape}"


def _background(background: Background) -> str:
    return f"{background.kind}:{background.name or ','.join(background.colours)}"
