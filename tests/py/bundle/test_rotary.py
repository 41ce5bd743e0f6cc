"""theta is read back from frequencies, exact ones and such as an exporter has rounded to float16."""

from __future__ import annotations

import numpy as np
import pytest

from kleinbild.bundle.match import Role
from kleinbild.bundle.rotary import rope_theta
from kleinbild.errors import KleinbildError

ROLE = Role("transformer", "the rotary embedding")


def frequencies(theta: float, size: int) -> np.ndarray:
    return np.asarray(theta ** -(np.arange(0, size, 2) / size))


@pytest.mark.parametrize("theta", [100.0, 2000.0, 10000.0, 12345.0, 500000.0, 1e6, 5e6])
@pytest.mark.parametrize("size", [4, 8, 32, 128])
def test_theta_of_float32_frequencies(theta: float, size: int) -> None:
    stored = frequencies(theta, size).astype(np.float32).astype(np.float64)
    assert rope_theta([stored], ROLE) == theta


@pytest.mark.parametrize(("theta", "size"), [(1e6, 128), (1e6, 32), (2000.0, 32), (10000.0, 64)])
def test_theta_of_frequencies_in_float16(theta: float, size: int) -> None:
    stored = frequencies(theta, size).astype(np.float16).astype(np.float64)
    assert rope_theta([stored], ROLE) == theta


def test_axes_of_several_sizes_have_one_theta() -> None:
    axes = [frequencies(2000.0, size) for size in (2, 16, 24, 8)]
    assert rope_theta(axes, ROLE) == 2000.0
    axes[1] = frequencies(3000.0, 16)
    with pytest.raises(KleinbildError, match="transformer: cannot find the rotary embedding"):
        rope_theta(axes, ROLE)


def test_any_theta_does_for_single_frequencies() -> None:
    assert rope_theta([np.ones(1), np.ones(1)], ROLE) == 1.0


@pytest.mark.parametrize(
    "axis", [[1.0, 0.5, 0.3], [1.0, 1.0], [0.5, 0.25], [1.0, -0.1], [1.0, np.nan], [1.0, 0.0]]
)
def test_other_frequencies_are_refused(axis: list[float]) -> None:
    with pytest.raises(KleinbildError, match=r"expected frequencies theta\^\(-2i/d\)"):
        rope_theta([np.array(axis)], ROLE)
