"""Connected regions of a mask, in numpy: runs of each row, joined where they touch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int32]


def label(mask: Mask) -> tuple[Labels, int]:
    """(labels, number): 0 outside the mask, 1..number in its regions (touching by edges), largest first."""
    height, width = mask.shape
    padded = np.zeros((height, width + 2), np.int8)
    padded[:, 1:-1] = mask
    step = np.diff(padded, axis=1)
    row_of, start = np.nonzero(step == 1)
    end = np.nonzero(step == -1)[1]
    parent = list(range(len(start)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

    first_of_row = np.searchsorted(row_of, np.arange(height + 1)).tolist()
    starts, ends = start.tolist(), end.tolist()
    for row in range(1, height):
        above, above_end = first_of_row[row - 1], first_of_row[row]
        here, here_end = first_of_row[row], first_of_row[row + 1]
        while above < above_end and here < here_end:
            if starts[above] < ends[here] and starts[here] < ends[above]:
                one, other = root(above), root(here)
                parent[max(one, other)] = min(one, other)
            if ends[above] < ends[here]:
                above += 1
            else:
                here += 1
    roots = np.array([root(run) for run in range(len(start))], np.int64)
    names, region = np.unique(roots, return_inverse=True)
    areas = np.bincount(region, weights=end - start, minlength=len(names))
    rank = np.empty(len(names), np.int32)
    rank[np.argsort(-areas, kind="stable")] = np.arange(1, len(names) + 1)
    # Every pixel of a run gets the run's label by a running sum over the row's steps.
    marks = np.zeros((height, width + 1), np.int32)
    if len(start):
        run_label = rank[region]
        marks[row_of, start] += run_label
        marks[row_of, end] -= run_label
    labels: Labels = np.cumsum(marks, axis=1, dtype=np.int32)[:, :width]
    return labels, len(names)


def filled(mask: Mask) -> Mask:
    """With its holes: everything that is not joined to the frame's edge outside the mask."""
    around = np.pad(~mask, 1, constant_values=True)
    labels, _ = label(around)
    inside: Mask = labels[1:-1, 1:-1] != labels[0, 0]
    return inside


def grown(mask: Mask, by: int) -> Mask:
    """Dilated by so many steps of four neighbours; eroded when negative."""
    out = mask if by > 0 else ~mask
    for _ in range(abs(by)):
        padded = np.pad(out, 1)
        out = padded[1:-1, 1:-1] | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return out if by > 0 else ~out
