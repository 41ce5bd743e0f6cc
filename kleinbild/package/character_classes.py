r"""The code points of \p{L}, \p{N} and \s, as the `tokenizers` library's regular expressions see them.

The page's own RegExp knows another Unicode version and another \s (it has U+FEFF, and lacks U+0085), so the
vocabulary carries the library's classes as ranges. They are asked of the library itself, which takes seconds.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

CLASSES = {"L": r"\p{L}", "N": r"\p{N}", "s": r"\s"}
_SURROGATES = range(0xD800, 0xE000)
_CODE_POINTS = 0x110000


@cache
def character_classes() -> dict[str, tuple[int, ...]]:
    """Class name -> inclusive ranges of code points, flattened: first, last, first, last, ... in order."""
    scalars = [point for point in range(_CODE_POINTS) if point not in _SURROGATES]
    text = "".join(map(chr, scalars))
    return {name: _ranges(pattern, scalars, text) for name, pattern in CLASSES.items()}


def _ranges(pattern: str, scalars: list[int], text: str) -> tuple[int, ...]:
    """Runs of `text` (every code point once, in order) that match `pattern`: what its complement leaves."""
    splitter = Split(Regex(f"[^{pattern}]+"), behavior="removed")
    bounds: list[int] = []
    for _, (start, end) in splitter.pre_tokenize_str(text):
        bounds += [scalars[start], scalars[end - 1]]
    if any(b <= a for a, b in pairwise(bounds[1::2])):
        raise AssertionError("runs out of order")
    return tuple(bounds)
