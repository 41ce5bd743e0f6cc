"""The classes are the library's: its own split of probe characters must agree with the ranges."""

from __future__ import annotations

from itertools import pairwise

import pytest
from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

from kleinbild.package.character_classes import CLASSES, character_classes

PROBES = "aZß東é٣Ⅷ½ \t\n\x0b\x1c\x85\xa0\u1680\u180e\u200b\u2028\u3000\ufeff_$😀\u0301\ud7ff\ue000\U0010ffff"


def contains(ranges: tuple[int, ...], point: int) -> bool:
    return any(first <= point <= last for first, last in zip(ranges[::2], ranges[1::2], strict=True))


@pytest.mark.parametrize("name", CLASSES)
def test_ranges_agree_with_the_library(name: str) -> None:
    ranges = character_classes()[name]
    edges = {chr(point + d) for point in ranges[:200] for d in (-1, 0, 1)}
    splitter = Split(Regex(CLASSES[name]), behavior="removed")
    for character in {*PROBES, *edges} - {"\ud7ff"}:
        matches = not splitter.pre_tokenize_str(character)
        assert contains(ranges, ord(character)) == matches, ascii(character)


def test_ranges_are_in_order_and_apart() -> None:
    for ranges in character_classes().values():
        assert len(ranges) % 2 == 0
        assert all(a <= b for a, b in zip(ranges[::2], ranges[1::2], strict=True))
        assert all(b + 1 < a for b, a in pairwise(ranges) if ranges.index(b) % 2)


def test_white_space_is_not_that_of_javascript() -> None:
    ranges = character_classes()["s"]
    assert contains(ranges, 0x85)
    assert not contains(ranges, 0xFEFF)
