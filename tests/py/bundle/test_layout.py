"""Moves in normal form, and elements followed through them exactly as numpy moves them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import numpy as np
import pytest

from kleinbild.bundle import layout
from kleinbild.bundle.expression import Expressions, UnsupportedError, Value

Move = Callable[[Expressions, Value], Value]


def followed(x: Value, source: Value, array: np.ndarray) -> np.ndarray:
    """`array` moved as `x` moves `source`, by numpy."""
    chain: list[Value] = []
    while x is not source:
        chain.append(x)
        x = x.inputs[0]
    for step in reversed(chain):
        if step.op == "reshape":
            array = array.reshape(step.sizes)
        elif step.op == "transpose":
            array = array.transpose(step.attributes)
        elif step.op == "expand":
            array = np.broadcast_to(array, step.sizes)
        elif step.op == "take":
            array = np.take(array, step.attributes[1:], step.attributes[0])
        else:
            axis, start, stop = step.attributes
            array = np.take(array, range(start, stop), axis)
    return array


def random_move(e: Expressions, x: Value, rng: Random) -> Value:
    shape = x.sizes
    kind = rng.choice(["reshape", "transpose", "slice", "expand", "take"])
    if kind == "transpose":
        return layout.transpose(e, x, rng.sample(range(len(shape)), len(shape)))
    if kind == "slice":
        axis = rng.randrange(len(shape))
        start = rng.randrange(shape[axis])
        return layout.slice_(e, x, axis, start, rng.randint(start + 1, shape[axis]))
    if kind == "take":
        axis = rng.randrange(len(shape))
        indices = [rng.randrange(shape[axis]) for _ in range(shape[axis])]
        return layout.take(e, x, axis, np.array(indices, np.int64))
    if kind == "expand":
        return layout.expand(e, x, tuple(size if size > 1 else rng.choice([1, 2]) for size in shape))
    factors = [n for size in shape for n in ((2, size // 2) if size % 2 == 0 else (size,))][:6]
    total = int(np.prod(shape))
    rest = total // int(np.prod(factors)) if total % int(np.prod(factors)) == 0 else 0
    return layout.reshape(e, x, (*factors, rest)) if rest else x


@pytest.mark.parametrize("seed", range(60))
def test_elements_are_followed_as_numpy_moves_them(seed: int) -> None:
    rng, e = Random(seed), Expressions()
    source = e.input("x", (1, 4, 12))
    x = source
    for _ in range(rng.randint(1, 8)):
        moved = random_move(e, x, rng)
        x = moved if len(moved.sizes) <= 7 and np.prod(moved.sizes) <= 4096 else x
    numbers = np.arange(4 * 12).reshape(1, 4, 12)
    every = followed(x, source, numbers).reshape(-1).tolist()
    assert layout.order(x, source, [1, 2]) == every
    second = [number % 12 for number in every if number // 12 == 1]
    assert layout.order(x, source, [2], at=[0, 1]) == second


def transposed_twice(e: Expressions, x: Value) -> Value:
    return layout.transpose(e, layout.transpose(e, x, [1, 0, 2]), [1, 0, 2])


def sliced_twice(e: Expressions, x: Value) -> Value:
    return layout.slice_(e, layout.slice_(e, x, 2, 2, 10), 2, 1, 4)


def taken_in_a_row(e: Expressions, x: Value) -> Value:
    return layout.take(e, x, -1, np.array([3, 4, 5], np.int64))


def sliced_from_joined(e: Expressions, x: Value) -> Value:
    other = e.input("other", (1, 4, 5))
    return layout.slice_(e, layout.concat(e, [other, x], 2), 2, 8, 11)


SAME: dict[str, tuple[Move, Move]] = {
    "transposes cancel": (transposed_twice, lambda e, x: x),
    "slices join": (sliced_twice, lambda e, x: layout.slice_(e, x, 2, 3, 6)),
    "rows in a row are a slice": (taken_in_a_row, lambda e, x: layout.slice_(e, x, 2, 3, 6)),
    "a part of joined ones": (sliced_from_joined, lambda e, x: layout.slice_(e, x, 2, 3, 6)),
    "reshapes join": (
        lambda e, x: layout.reshape(e, layout.reshape(e, x, (48,)), (4, 12)),
        lambda e, x: layout.reshape(e, x, (4, 12)),
    ),
    "expanding to the same": (lambda e, x: layout.expand(e, x, (1, 4, 12)), lambda e, x: x),
}


@pytest.mark.parametrize("case", SAME)
def test_spellings_of_one_move_are_one_value(case: str) -> None:
    e = Expressions()
    x = e.input("x", (1, 4, 12))
    one, other = SAME[case]
    assert one(e, x) is other(e, x)


@pytest.mark.parametrize(
    "move",
    [
        lambda e, x: layout.reshape(e, x, (5, 5)),
        lambda e, x: layout.transpose(e, x, [0, 1, 1]),
        lambda e, x: layout.slice_(e, x, 3, 0, 1),
        lambda e, x: layout.take(e, x, 2, np.array([12], np.int64)),
        lambda e, x: layout.concat(e, [x, layout.reshape(e, x, (4, 12))], 0),
        lambda e, x: layout.expand(e, x, (2, 5, 12)),
    ],
)
def test_impossible_moves_are_not_understood(move: Move) -> None:
    e = Expressions()
    with pytest.raises(UnsupportedError):
        move(e, e.input("x", (1, 4, 12)))


def test_a_computation_on_the_way_is_not_followed() -> None:
    e = Expressions()
    x = e.input("x", (2, 3))
    y = e.make("cos", [x], (2, 3))
    with pytest.raises(UnsupportedError, match="cos between"):
        layout.order(layout.reshape(e, y, (6,)), x, [0, 1])


def test_constants_are_moved_at_once() -> None:
    e = Expressions()
    x = e.constant(np.arange(6).reshape(2, 3))
    moves: Sequence[tuple[Value, list[int]]] = [
        (layout.transpose(e, x, [1, 0]), [0, 3, 1, 4, 2, 5]),
        (layout.slice_(e, x, 1, 1, 2), [1, 4]),
        (layout.take(e, x, 0, np.array([1, 1], np.int64)), [3, 4, 5, 3, 4, 5]),
        (layout.concat(e, [x, x], 0), [0, 1, 2, 3, 4, 5] * 2),
    ]
    for moved, expected in moves:
        assert moved.array is not None
        assert moved.array.reshape(-1).tolist() == expected
