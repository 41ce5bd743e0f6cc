"""The background of a picture, as the frame's edge shows it: which one it is, and what stands out from it.

Each kind of background has its own estimate of the colours behind every pixel; what is far from them is
foreground. Objects are assumed not to cover the frame's edge.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.judge.colours import Bytes, name_of, to_lab
from training.judge.regions import label

Float = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

NEAR = 0.06
"""OKLab: closer is the background's colour."""
UNIFORM_SHARE = 0.85
"""Of a plain background's pixels along the edge, so many must be near their median."""
CONSTANT_SHARE = 0.86
FEW_SHARE = 0.36
PURE_SHARE = 0.6
SPECK_AREA = 0.006
"""Of the square over the shorter side."""
SPECKLED_SHARE = 0.04
_MIXES = 9


class Ground:
    """The background of a picture. `lab` is the picture in OKLab, `away` [H, W] how far every pixel is from
    what lies behind it."""

    def __init__(self, picture: Bytes, kind: str) -> None:
        self.lab = to_lab(picture)
        height, width = picture.shape[:2]
        self.margin = max(2, min(height, width) // 40)
        self._picture = picture.astype(np.float64)
        if kind == "plain":
            self.away = np.linalg.norm(self.lab - np.median(self._edge(self.lab), 0), axis=-1)
        elif kind in {"gradient", "landscape"}:
            self.away = np.linalg.norm(self.lab - self._rows()[:, None], axis=-1)
        else:
            self.away, self.second = self._two_colours()

    def _edge(self, values: Float) -> Float:
        """The pixels along the frame's edge, [N, 3]."""
        return self._ring(values, self.margin)

    def _ring(self, values: Float, m: int) -> Float:
        sides = values[:, :m], values[:, -m:], values[:m, m:-m], values[-m:, m:-m]
        return np.concatenate([side.reshape(-1, values.shape[-1]) for side in sides])

    def _rows(self) -> Float:
        """The colour of every row's ends, OKLab [H, 3]."""
        m = self.margin
        rows: Float = np.median(np.concatenate([self.lab[:, :m], self.lab[:, -m:]], 1), 1)
        return rows

    def _two_colours(self) -> tuple[Float, Mask]:
        """Distance to the nearest mix of the two commonest colours, and what is nearer to the second of them.

        Both are sought in a rim wide enough for a row of dots. Edges between them are mixes in sRGB, so those
        are no foreground either.
        """
        wide = min(self.lab.shape[:2]) // 9
        rim_lab, rim = self._ring(self.lab, wide), self._ring(self._picture, wide)
        first = commonest(rim_lab)
        far = np.linalg.norm(rim_lab - first, axis=1) > 2 * NEAR
        second = commonest(rim_lab[far]) if far.mean() > 0.02 else first
        ends = [
            np.median(rim[np.linalg.norm(rim_lab - centre, axis=1) < NEAR], 0) for centre in (first, second)
        ]
        mixes = np.linspace(ends[0], ends[1], _MIXES)
        mixes_lab = to_lab(np.rint(mixes).astype(np.uint8))
        away = np.full(self.lab.shape[:2], np.inf)
        for mix in mixes_lab:
            away = np.minimum(away, ((self.lab - mix) ** 2).sum(-1))
        self._ends = mixes_lab[0], mixes_lab[-1]
        to_second = ((self.lab - mixes_lab[-1]) ** 2).sum(-1) < ((self.lab - mixes_lab[0]) ** 2).sum(-1)
        return np.sqrt(away), to_second

    def is_plain(self, colour: str) -> bool:
        """Whether it is one colour of this name."""
        edge = self._edge(self.lab)
        median = np.median(edge, 0)
        near = np.linalg.norm(edge - median, axis=1) < NEAR
        return name_of(median) == colour and bool(near.mean() >= UNIFORM_SHARE) and not self._speckled()

    def _speckled(self) -> bool:
        """Whether regions too small for objects cover a part of the frame, as dots do."""
        labels, _ = label(self.away > NEAR)
        areas = np.bincount(labels.ravel())[1:]
        specks = areas[areas < SPECK_AREA * min(labels.shape) ** 2].sum()
        return bool(specks > SPECKLED_SHARE * labels.size)

    def top_and_bottom(self) -> tuple[str | None, str | None]:
        """Names of the colours along the upper and the lower edge."""
        m = self.margin
        upper, lower = (np.median(strip.reshape(-1, 3), 0) for strip in (self.lab[:m], self.lab[-m:]))
        return name_of(upper), name_of(lower)

    def is_gradient(self, top: str, bottom: str) -> bool:
        """Whether it changes by and by from one colour at the top to another at the bottom."""
        return self.top_and_bottom() == (top, bottom) and self._share_of_pure_rows() < 0.8

    def is_landscape(self, sky: str, land: str) -> bool:
        """Whether it is of two colours, one above the other."""
        return self.top_and_bottom() == (sky, land) and self._share_of_pure_rows() >= 0.8

    def _share_of_pure_rows(self) -> float:
        """Share of the rows whose ends have about the colour of the first or the last row."""
        rows = self._rows()
        m = self.margin
        ends = np.median(rows[:m], 0), np.median(rows[-m:], 0)
        away = np.minimum(*(np.linalg.norm(rows - end, axis=1) for end in ends))
        return float((away < max(NEAR / 3, np.linalg.norm(ends[1] - ends[0]) / 4)).mean())

    def is_pattern(self, kind: str, colours: tuple[str, ...], direction: str) -> bool:
        """Whether it is of stripes, dots (of the second colour) or checks in two colours."""
        names = [name_of(end) for end in self._ends]
        second = self.second
        background = self.away < NEAR
        if not background.any() or self._share_of_pure_pixels(background) < PURE_SHARE:
            return False
        share = float(second[background].mean())
        if share > 0.5:
            names, second, share = names[::-1], ~second, 1 - share
        if kind == "dots":
            return names == list(colours) and 0.08 < share < FEW_SHARE
        if sorted(map(str, names)) != sorted(colours) or share < FEW_SHARE:
            return False
        steps = {"vertical": (1, 0), "horizontal": (0, 1), "diagonal": (1, -1)}
        constant = [
            name
            for name, (down, right) in steps.items()
            if _constancy(second, background, down, right) > CONSTANT_SHARE
        ]
        return constant == ([direction] if kind == "stripes" else [])

    def _share_of_pure_pixels(self, background: Mask) -> float:
        """Share of the background's pixels that have one of a pattern's colours, and are no mix of them."""
        pixels = self.lab[background]
        away = np.minimum(*(np.linalg.norm(pixels - end, axis=1) for end in self._ends))
        return float((away < NEAR).mean())


def commonest(colours: Float) -> Float:
    """[N, 3] OKLab -> [3]: the middle of the fullest cell of a coarse grid and of what is near it."""
    cells = np.floor(colours / 0.06).astype(np.int64)
    keys = (cells[:, 0] * 1000 + cells[:, 1] + 100) * 1000 + cells[:, 2]
    _, index, count = np.unique(keys, return_inverse=True, return_counts=True)
    fullest = np.median(colours[index == count.argmax()], 0)
    middle: Float = np.median(colours[np.linalg.norm(colours - fullest, axis=1) < NEAR], 0)
    return middle


def _constancy(second: Mask, background: Mask, down: int, right: int) -> float:
    """Share of background pixels that look the same some way further, at the worst of three distances."""
    height, width = second.shape
    worst = 1.0
    for part in (0.1, 0.145, 0.19):
        step = round(part * min(height, width))
        y, x = down * step, right * step
        here = np.s_[: height - y, max(0, -x) : width - max(0, x)]
        there = np.s_[y:, max(0, x) : width - max(0, -x)]
        both = background[here] & background[there]
        if both.any():
            worst = min(worst, float((second[here] == second[there])[both].mean()))
    return worst
