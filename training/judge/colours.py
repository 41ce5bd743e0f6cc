"""What people call a colour: sRGB bytes -> OKLab -> the nearest of sixteen names.

The names are those of the scenes, the prototypes are this judge's own: typical web and paint colours, not
what the renderer draws with.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

PROTOTYPES = {
    "red": "#dc343b",
    "orange": "#f7912f",
    "yellow": "#fad83c",
    "green": "#3ea550",
    "blue": "#2a6bdc",
    "purple": "#7e49bf",
    "pink": "#f78fbb",
    "brown": "#80512f",
    "black": "#191a1e",
    "white": "#fbfbf8",
    "grey": "#92959b",
    "turquoise": "#38ccc6",
    "light blue": "#a9d9f8",
    "dark blue": "#18316f",
    "light green": "#b0e6a8",
    "dark green": "#1c5a30",
}
OBJECT_NAMES = tuple(PROTOTYPES)[:12]
FARTHEST = 0.17
"""Distance in OKLab beyond which a colour has none of the names."""
DARKEST = 0.2
"""Lightness below which nobody sees a difference, though OKLab has a long way to go yet."""

_FROM_RGB = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_LEVELS = np.arange(256) / 255
_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4)


def to_lab(picture: Bytes) -> Float:
    """sRGB bytes [..., 3] -> OKLab [..., 3]."""
    lab: Float = np.cbrt(_LINEAR[picture] @ _FROM_RGB.T) @ _TO_LAB.T
    return lab


@lru_cache(maxsize=1)
def prototypes() -> dict[str, Float]:
    """The names' typical colours in OKLab."""
    return {
        name: to_lab(np.frombuffer(bytes.fromhex(code[1:]), np.uint8)) for name, code in PROTOTYPES.items()
    }


def name_of(lab: Float, names: Sequence[str] = tuple(PROTOTYPES)) -> str | None:
    """The nearest of the names to an OKLab colour [3], None when all are too far."""
    lab = _seen(lab)
    distances = {name: float(np.linalg.norm(lab - prototypes()[name])) for name in names}
    nearest = min(distances, key=distances.__getitem__)
    return nearest if distances[nearest] <= FARTHEST else None


def _seen(lab: Float) -> Float:
    return np.concatenate([np.maximum(lab[..., :1], DARKEST), lab[..., 1:]], -1)


def share_of(lab: Float, name: str) -> float:
    """Share of a picture's pixels, OKLab [H, W, 3], of which this is the nearest name."""
    names = list(prototypes())
    lab = _seen(lab)
    squared = np.stack([((lab - prototypes()[other]) ** 2).sum(-1) for other in names])
    nearest = (squared.argmin(0) == names.index(name)) & (squared.min(0) <= FARTHEST**2)
    return float(nearest.mean())
