"""Random draws that mean the same on every Python: only `Random.random` is used, whose stream is fixed.

Not for noise or weights: those come from torch.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """A stream of draws, the same for the same words."""

    def __init__(self, *words: str | int) -> None:
        self._random = random.Random("/".join(map(str, words))).random

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._random() < probability

    def uniform(self, low: float, high: float) -> float:
        """A number from low to high."""
        return low + (high - low) * self._random()

    def around(self, middle: float, spread: float) -> float:
        """A number within `spread` of the middle."""
        return middle + spread * (2 * self._random() - 1)

    def pick(self, values: Sequence[T]) -> T:
        """One of the values, each as likely."""
        return values[int(self._random() * len(values))]

    def weighted(self, weights: Mapping[T, float]) -> T:
        """One of the keys, as likely as its weight says."""
        at = self._random() * sum(weights.values())
        for key, weight in weights.items():
            at -= weight
            if at < 0:
                return key
        return list(weights)[-1]

    def shuffled(self, values: Sequence[T]) -> list[T]:
        """The values in another order."""
        left = list(values)
        return [left.pop(int(self._random() * len(left))) for _ in range(len(left))]
