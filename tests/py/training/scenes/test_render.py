"""The renderer against geometry: areas, edges of one pixel, order, fills, any frame."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training.scenes import Background, Item, Scene, pack, sample  # noqa: E402
from training.scenes.canvas import MAX_PRIMITIVES, WIDTH, Canvas  # noqa: E402
from training.scenes.render import render, to_bytes  # noqa: E402
from training.scenes.scene import SHAPES  # noqa: E402

BLACK, GREY = (0.0, 0.0, 0.0), (0.5, 0.5, 0.5)
ONE = (1.0, 1.0, 1.0)
DARK = Background("plain", ("black",), (BLACK,))

# Of radius 1, by the usual formulas.
AREAS = {
    "circle": math.pi,
    "square": 4 * 0.89**2,
    "triangle": 1.22**2 * 3 * math.sqrt(3) / 4,
    "star": 1.25**2 * 5 * 0.46 * math.sin(math.pi / 5),
    "diamond": 2 * 1.25**2 * 0.68,
    "hexagon": 1.06**2 * 1.5 * math.sqrt(3),
    "ring": 1.12**2 * math.pi * (1 - 0.58**2),
    "cross": 1.1**2 * 4 * (2 * 0.34 - 0.34**2),
}


def shape(name: str, height: int, width: int, **more: float) -> np.ndarray:
    """A white shape of radius 0.2 on black: coverage [H, W]."""
    item = Item(
        name, "white", ONE, "medium", more.get("x", 0.5), more.get("y", 0.5), 0.2, more.get("turn", 0.0)
    )
    cover: np.ndarray = rendered([Scene("single", DARK, (item,))], height, width)[0, 0]
    return cover


def rendered(scenes: list[Scene], height: int, width: int) -> np.ndarray:
    return np.asarray(render(torch.from_numpy(pack(scenes)), height, width).numpy())


@pytest.mark.parametrize("name", SHAPES)
def test_areas_are_those_of_geometry_at_any_size_and_turn(name: str) -> None:
    upright = shape(name, 128, 128).sum() / 128**2 / 0.2**2
    if name in AREAS:
        assert upright == pytest.approx(AREAS[name], rel=0.01)
    else:
        assert 0.45 * math.pi < upright < 1.1 * math.pi
    assert shape(name, 64, 64).sum() / 64**2 / 0.2**2 == pytest.approx(upright, rel=0.02)
    assert shape(name, 128, 128, turn=0.7).sum() / 128**2 / 0.2**2 == pytest.approx(upright, rel=0.015)


@pytest.mark.parametrize("name", SHAPES)
def test_edges_are_one_pixel_wide(name: str) -> None:
    """Pixels that are neither in nor out are about as many as an outline is long."""
    partly = ((c := shape(name, 128, 128)) > 0.01) & (c < 0.99)
    inside = c > 0.5
    steps = (
        np.abs(np.diff(inside.astype(int), axis=0)).sum() + np.abs(np.diff(inside.astype(int), axis=1)).sum()
    )
    assert partly.sum() < 1.15 * steps


@pytest.mark.parametrize(("height", "width"), [(64, 112), (112, 64)])
def test_shapes_keep_their_proportions_in_any_frame(height: int, width: int) -> None:
    square = shape("circle", 64, 64)
    other = shape("circle", height, width)
    top, left = (height - 64) // 2, (width - 64) // 2
    np.testing.assert_allclose(other[top : top + 64, left : left + 64], square, atol=1e-5)
    corner = shape("circle", height, width, x=0.25, y=0.25)
    rows, columns = np.nonzero(corner > 0.5)
    assert (rows.mean() + 0.5) / height == pytest.approx(0.25, abs=0.01)
    assert (columns.mean() + 0.5) / width == pytest.approx(0.25, abs=0.01)


def test_later_primitives_lie_on_earlier_ones_and_empty_rows_draw_nothing() -> None:
    low = Item("circle", "grey", GREY, "large", 0.5, 0.5, 0.3)
    high = Item("circle", "white", ONE, "small", 0.5, 0.5, 0.1)
    apart = rendered([Scene("pair", DARK, (low, high)), Scene("empty", DARK)], 64, 64)
    assert apart[0, :, 32, 32] == pytest.approx(1)
    assert apart[0, :, 32, 46] == pytest.approx(0.5)
    assert not apart[1].any()
    inside = rendered([Scene("pair", DARK, (high, low), "inside")], 64, 64)
    np.testing.assert_array_equal(inside[0], apart[0])


@pytest.mark.parametrize(
    ("kind", "share"), [("stripes", 0.5), ("dots", math.pi * 0.27**2), ("checker", 0.5), ("gradient", 0.5)]
)
def test_fills_show_so_much_of_the_second_colour(kind: str, share: float) -> None:
    background = Background(kind, ("black", "white"), (BLACK, ONE), direction="", period=0.125)
    picture = rendered([Scene("empty", background)], 128, 128)[0, 0]
    assert picture.mean() == pytest.approx(share, abs=0.01)
    if kind == "gradient":
        assert picture[0].max() < 0.01
        assert picture[-1].min() > 0.99


def test_a_picture_does_not_depend_on_its_batch() -> None:
    scenes = [sample("train", seed) for seed in range(6)]
    together = rendered(scenes, 48, 48)
    for number, scene in enumerate(scenes):
        np.testing.assert_allclose(rendered([scene], 48, 48)[0], together[number], atol=1e-6)
    assert together.min() >= 0
    assert together.max() <= 1


def test_packed_scenes_have_a_fixed_size() -> None:
    """Every theme at its fullest fits, too."""
    scenes = [sample("train", seed) for seed in range(300)]
    packed = pack(scenes)
    assert packed.shape == (300, MAX_PRIMITIVES, WIDTH)
    assert packed.dtype == np.float32
    assert np.isfinite(packed).all()
    canvas = Canvas()
    for _ in range(MAX_PRIMITIVES):
        canvas.add("plane", ONE, (0.5, 0.5), 1.0)
    with pytest.raises(AssertionError):
        canvas.add("plane", ONE, (0.5, 0.5), 1.0)


def test_bytes_are_rounded() -> None:
    values = torch.tensor([0.0, 0.4 / 255, 0.6 / 255, 0.5, 1.0])
    assert to_bytes(values).tolist() == [0, 0, 1, 128, 255]
