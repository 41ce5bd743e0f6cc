"""What a model suggests to the people in front of it: prompts that suit it, and sizes it was trained for.

It travels from model_index.json through the bundle into the manifest, beside the model's name and notice; no
picture depends on it. A model that suggests nothing is as good as one that does.
"""

from __future__ import annotations

from dataclasses import dataclass

from kleinbild.errors import KleinbildError

MAX_EXAMPLES = 24
MAX_EXAMPLE_CHARACTERS = 300
MAX_SIZES = 12
SIDE_MULTIPLE = 16
MAX_SIDE = 2048


@dataclass(frozen=True)
class Suggestions:
    """`examples`: prompts; `sizes`: (width, height) in pixels, the first being the usual one."""

    examples: tuple[str, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()


def read_suggestions(examples: object, sizes: object, where: str) -> Suggestions:
    """The suggestions in JSON values; `where` names their place in the KleinbildError raised otherwise."""
    if not isinstance(examples, list | tuple) or len(examples) > MAX_EXAMPLES:
        raise KleinbildError(f"{where}: the examples are no list of at most {MAX_EXAMPLES} prompts")
    for example in examples:
        if not isinstance(example, str) or not 1 <= len(example) <= MAX_EXAMPLE_CHARACTERS:
            raise KleinbildError(
                f"{where}: an example is no text of 1 to {MAX_EXAMPLE_CHARACTERS} characters"
            )
        if not example.isprintable() or not example.strip():
            raise KleinbildError(f"{where}: an example is empty or not printable")
    if not isinstance(sizes, list | tuple) or len(sizes) > MAX_SIZES:
        raise KleinbildError(f"{where}: the sizes are no list of at most {MAX_SIZES} sizes")
    pairs: list[tuple[int, int]] = []
    for size in sizes:
        if not isinstance(size, list | tuple) or len(size) != 2 or not all(_is_side(side) for side in size):
            raise KleinbildError(
                f"{where}: the size {str(size)[:40]} is not [width, height] in multiples of {SIDE_MULTIPLE} "
                f"up to {MAX_SIDE} pixels"
            )
        pairs.append((size[0], size[1]))
    return Suggestions(tuple(examples), tuple(pairs))


def _is_side(value: object) -> bool:
    return type(value) is int and 0 < value <= MAX_SIDE and value % SIDE_MULTIPLE == 0
