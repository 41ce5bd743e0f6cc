"""How often what occurs in the samples: the one table of knobs.

Every field is a table of weights (they need not add up to one) or a probability.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


def _weights(**weights: float) -> Mapping[str, float]:
    return {name.replace("_", " "): weight for name, weight in weights.items()}


@dataclass(frozen=True)
class Mix:
    """What scenes are drawn: kinds, then what the kinds are made of."""

    kinds: Mapping[str, float] = field(
        default_factory=lambda: _weights(single=48, pair=24, count=7, row=4, empty=3, composed=14)
    )
    backgrounds: Mapping[str, float] = field(
        default_factory=lambda: _weights(plain=76, gradient=7, stripes=5, dots=3, checker=2, landscape=7)
    )
    textures: Mapping[str, float] = field(default_factory=lambda: _weights(plain=92, striped=5, dotted=3))
    sizes: Mapping[str, float] = field(default_factory=lambda: _weights(medium=56, small=22, large=22))
    relations: Mapping[str, float] = field(
        default_factory=lambda: {"left of": 21, "right of": 21, "above": 21, "below": 21, "inside": 16}
    )
    centred: float = 0.45
    """Of single objects; the others are spread over the eight other places, and their captions tell it."""
    centre_told: float = 0.2
    background_told: float = 0.92
    colour_told: float = 0.97
    relation_told: float = 0.93


TRAINING = Mix()
EVALUATION = Mix(
    kinds=_weights(single=60, pair=40),
    centred=0.3,
    centre_told=0.5,
    background_told=1,
    colour_told=1,
    relation_told=1,
)
"""Objects only, and nothing left open, so that every attribute of every picture can be judged."""
