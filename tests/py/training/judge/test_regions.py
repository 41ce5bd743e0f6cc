"""Regions against flood filling."""

from __future__ import annotations

import numpy as np
import pytest

from training.judge.regions import Mask, filled, grown, label


def flooded(mask: Mask) -> list[set[tuple[int, int]]]:
    """The regions of a mask, by the simplest means."""
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(mask), strict=True)}
    regions = []
    while left:
        todo = [left.pop()]
        region = set(todo)
        while todo:
            y, x = todo.pop()
            for other in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if other in left:
                    left.remove(other)
                    region.add(other)
                    todo.append(other)
        regions.append(region)
    return regions


@pytest.mark.parametrize("density", [0.0, 0.2, 0.5, 0.6, 0.9, 1.0])
def test_regions_are_those_of_flood_filling(density: float) -> None:
    mask = np.random.default_rng(int(density * 10)).random((23, 31)) < density
    labels, number = label(mask)
    found = [
        {(int(y), int(x)) for y, x in zip(*np.nonzero(labels == n), strict=True)}
        for n in range(1, number + 1)
    ]
    assert sorted(found, key=min) == sorted(flooded(mask), key=min)
    assert [len(region) for region in found] == sorted((len(region) for region in found), reverse=True)
    np.testing.assert_array_equal(labels > 0, mask)


def test_holes_are_filled_and_bays_are_not() -> None:
    mask = np.zeros((9, 9), bool)
    mask[1:8, 1:8] = True
    mask[3:5, 3:5] = False
    mask[6, 4:9] = False
    expected = mask.copy()
    expected[3:5, 3:5] = True
    np.testing.assert_array_equal(filled(mask), expected)


def test_growing_and_shrinking() -> None:
    mask = np.zeros((7, 7), bool)
    mask[3, 3] = True
    assert grown(mask, 1).sum() == 5
    assert grown(mask, 2).sum() == 13
    np.testing.assert_array_equal(grown(grown(mask, 2), -2), mask)
    assert not grown(mask, -1).any()
