"""The background of a picture, as the frame's edge shows it: which one it is, and what stands out from it.

Each kind of background has its own estimate of the colours behind every pixel; what is far from them is
foreground. Objects are assumed not to cover the frame's edge.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.judge.colours import Bytes, name_of, to_lab

Float = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

NEAR = 0.06
"""OKLab: closer is the background's colour."""
UNIFORM_SHARE = 0.85
"""Of a plain background's pixels along the edge, so many must be near their median."""
CONSTANT_SHARE = 0.86
FEW_SHARE = 0.36
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
        m = self.margin
        sides = values[:, :m], values[:, -m:], values[:m, m:-m], values[-m:, m:-m]
        return np.concatenate([side.reshape(-1, values.shape[-1]) for side in sides])

    def _rows(self) -> Float:
        """The colour of every row's ends, OKLab [H, 3]."""
        m = self.margin
        rows: Float = np.median(np.concatenate([self.lab[:, :m], self.lab[:, -m:]], 1), 1)
        return rows

    def _two_colours(self) -> tuple[Float, Mask]:
        """Distance to the nearest mix of the edge's two colours, and which pixels are nearer to the second.

        Edges between the two are mixes in sRGB, so those are no foreground either.
        """
        edge_lab, edge = self._edge(self.lab), self._edge(self._picture)
        middle = np.median(edge_lab, 0)
        first = middle
        second = edge_lab[np.linalg.norm(edge_lab - middle, axis=1).argmax()]
        nearer = np.zeros(len(edge_lab), bool)
        for _ in range(8):
            nearer = ((edge_lab - second) ** 2).sum(1) < ((edge_lab - first) ** 2).sum(1)
            if not nearer.any() or nearer.all():
                break
            first, second = np.median(edge_lab[~nearer], 0), np.median(edge_lab[nearer], 0)
        ends = [np.median(edge[side], 0) if side.any() else np.median(edge, 0) for side in (~nearer, nearer)]
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
        return bool(near.mean() >= UNIFORM_SHARE) and name_of(median) == colour

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
        """Share of the rows whose ends have the colour of the first or the last row."""
        rows = self._rows()
        m = self.margin
        ends = np.median(rows[:m], 0), np.median(rows[-m:], 0)
        away = np.minimum(*(np.linalg.norm(rows - end, axis=1) for end in ends))
        return float((away < NEAR).mean())

    def is_pattern(self, kind: str, colours: tuple[str, ...], direction: str) -> bool:
        """Whether it is of stripes, dots (of the second colour) or checks in two colours."""
        names = [name_of(end) for end in self._ends]
        second = self.second
        background = self.away < NEAR
        share = float(second[background].mean()) if background.any() else 0.0
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
