"""Names of colours, against known values and everyday examples."""

from __future__ import annotations

import numpy as np
import pytest

from training.judge.colours import PROTOTYPES, name_of, share_of, to_lab


def lab(code: str) -> np.ndarray:
    return to_lab(np.frombuffer(bytes.fromhex(code), np.uint8))


def test_oklab_of_known_colours() -> None:
    """Published values of the sRGB corners."""
    np.testing.assert_allclose(lab("ffffff"), [1, 0, 0], atol=1e-4)
    np.testing.assert_allclose(lab("ff0000"), [0.62796, 0.22486, 0.12585], atol=1e-4)
    np.testing.assert_allclose(lab("0000ff"), [0.45201, -0.03246, -0.31153], atol=1e-4)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("ff2020", "red"),
        ("ff8c00", "orange"),
        ("ffd700", "yellow"),
        ("228b22", "green"),
        ("4169e1", "blue"),
        ("6a3fb0", "purple"),
        ("ff8fb4", "pink"),
        ("7b4a2a", "brown"),
        ("101010", "black"),
        ("f4f4f4", "white"),
        ("808080", "grey"),
        ("40d0d0", "turquoise"),
        ("add8e6", "light blue"),
        ("00206b", "dark blue"),
        ("aee8a0", "light green"),
        ("0b5a2a", "dark green"),
    ],
)
def test_everyday_colours_have_their_names(code: str, name: str) -> None:
    assert name_of(lab(code)) == name


def test_a_colour_far_from_all_has_no_name() -> None:
    assert name_of(lab("00ff00")) is None
    assert name_of(lab("18316f"), ("red", "white")) is None


def test_prototypes_are_far_enough_apart_to_be_told_from_each_other() -> None:
    points = {name: lab(code[1:]) for name, code in PROTOTYPES.items()}
    names = list(points)
    nearest = min(np.linalg.norm(points[a] - points[b]) for n, a in enumerate(names) for b in names[n + 1 :])
    assert nearest > 0.1


def test_shares_of_a_picture() -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:2] = 255
    assert share_of(to_lab(picture), "white") == 0.25
    assert share_of(to_lab(picture), "black") == 0.75
    assert share_of(to_lab(picture), "red") == 0
