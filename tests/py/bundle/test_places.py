"""Canonical tensors made of rows of stored ones: joined, cut, and refused where they cannot be one tensor."""

from __future__ import annotations

import numpy as np
import pytest

from kleinbild.bundle import layout, linear
from kleinbild.bundle.expression import Expressions, Value
from kleinbild.bundle.places import Place, Rows, read_place, rows, whole
from kleinbild.errors import KleinbildError
from kleinbild.quantise import quantise
from kleinbild.weights import Q4, Dense, dequantise

COLUMNS = 40


def values(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, COLUMNS)).astype(np.float32)


def q4(e: Expressions, weight: Q4) -> Value:
    """`weight` as a graph gives it: a MatMulNBits."""
    parts = [weight.codes, weight.scales.reshape(-1)]
    if weight.zero_points is not None:
        parts.append(weight.zero_points.reshape(-1))
    x = e.input("x", (1, 3, COLUMNS))
    numbers = {"N": weight.shape[0], "K": COLUMNS, "block_size": weight.block_size, "bits": 4}
    return linear.matmul_nbits(e, [x, *(e.constant(part) for part in parts)], numbers).inputs[1]


@pytest.mark.parametrize("symmetric", [False, True])
def test_rows_of_quantised_weights(symmetric: bool) -> None:
    """40 columns in blocks of 16 are three, so that a nibble of zero points is left over in each row."""
    e = Expressions()
    first, second = (quantise(values(n, n), 16, symmetric) for n in (12, 7))
    a, b = q4(e, first), q4(e, second)
    place = rows([Rows(a, 8, 12), Rows(b, 2, 4), Rows(b, 4, 7), Rows(a, 0, 3)], "here")
    assert len(place.parts) == 3
    assert place.shape == (12, COLUMNS)
    read = read_place(place, "here")
    assert isinstance(read, Q4)
    assert (read.zero_points is None) == symmetric
    expected = [dequantise(first)[8:], dequantise(second)[2:], dequantise(first)[:3]]
    np.testing.assert_array_equal(dequantise(read), np.concatenate(expected))


def test_rows_of_dense_weights_stored_either_way() -> None:
    e = Expressions()
    upright, turned = values(12, 1).astype(np.float16), values(7, 2).astype(np.float16)
    other = layout.transpose(e, e.constant(np.ascontiguousarray(turned.T)), [1, 0])
    read = read_place(rows([Rows(e.constant(upright), 2, 12), Rows(other, 0, 7)], "here"), "here")
    assert isinstance(read, Dense)
    assert read.array.dtype == np.float16
    np.testing.assert_array_equal(read.array, np.concatenate([upright[2:], turned]))


def test_forms_do_not_mix() -> None:
    e = Expressions()
    dense, weight = e.constant(values(8, 3)), values(8, 4)
    forms = [dense, *(q4(e, quantise(weight, *form)) for form in ((16, False), (16, True), (32, False)))]
    for i, one in enumerate(forms):
        for other in forms[i + 1 :]:
            with pytest.raises(
                KleinbildError, match=r"here: its rows are stored as .* and .*; one tensor has one"
            ):
                rows([Rows(one, 0, 8), Rows(other, 0, 8)], "here")
    narrow = e.constant(np.zeros((8, 3), np.float32))
    with pytest.raises(KleinbildError, match="here: its rows have 3 and 40 columns"):
        rows([Rows(dense, 0, 8), Rows(narrow, 0, 8)], "here")


def test_numbers_computed_in_the_graph_are_float32() -> None:
    e = Expressions()
    read = read_place(whole(e.constant(np.array([[0.1], [0.2]])), (2,)), "here")
    assert isinstance(read, Dense)
    np.testing.assert_array_equal(read.array, np.array([0.1, 0.2], np.float32))


def test_a_weight_that_is_computed_is_refused() -> None:
    e = Expressions()
    large = e.make("cos", [e.constant(values(8, 5))], (8, COLUMNS))
    place = Place((Rows(large, 0, 8),), (8, COLUMNS))
    with pytest.raises(KleinbildError, match="here: a weight that is computed by cos"):
        read_place(place, "here")
