"""Puts pictures and their captions on one sheet, to be looked at."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

GAP = 8
LINES = 3
FONT_SIZE = 12


def contact_sheet(
    pictures: Sequence[npt.NDArray[np.uint8]], captions: Sequence[str], path: Path, columns: int = 8
) -> None:
    """Write a PNG of pictures [H, W, 3], all of one size, row by row, each over its caption."""
    height, width = pictures[0].shape[:2]
    font = ImageFont.load_default(FONT_SIZE)
    line_height = FONT_SIZE + 3
    cell = width + GAP, height + LINES * line_height + GAP
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * cell[0] + GAP, rows * cell[1] + GAP), (236, 236, 232))
    pen = ImageDraw.Draw(sheet)
    letters = max(8, int(width / (FONT_SIZE * 0.52)))
    for place, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        x, y = place % columns * cell[0] + GAP, place // columns * cell[1] + GAP
        sheet.paste(Image.fromarray(picture), (x, y))
        for number, line in enumerate(textwrap.wrap(caption, letters)[:LINES]):
            pen.text((x, y + height + 1 + number * line_height), line, fill=(40, 40, 44), font=font)
    sheet.save(path, optimize=True)
