"""A sheet holds every picture, pixel by pixel, in rows, and room for captions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from training.contact_sheet import GAP, contact_sheet


def test_pictures_lie_in_rows(tmp_path: Path) -> None:
    pictures = [np.full((40, 60, 3), 20 * number, np.uint8) for number in range(5)]
    contact_sheet(pictures, ["a red circle " * 9] * 5, tmp_path / "sheet.png", columns=2)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape[1] == 2 * 60 + 3 * GAP
    step = (sheet.shape[0] - GAP) // 3
    for number, picture in enumerate(pictures):
        y, x = number // 2 * step + GAP, number % 2 * (60 + GAP) + GAP
        np.testing.assert_array_equal(sheet[y : y + 40, x : x + 60], picture)
