"""The bundle of another exporter that the tests read, tests/golden/seedlike.zip."""

from __future__ import annotations

import zipfile
from pathlib import Path

GOLDEN = Path(__file__).parents[1] / "golden"


def unpack_seedlike(folder: Path) -> Path:
    """Unpacks the bundle into `folder` and returns it."""
    with zipfile.ZipFile(GOLDEN / "seedlike.zip") as file:
        file.extractall(folder)
    return folder
