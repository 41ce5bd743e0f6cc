"""What an export loses, by groups of layers: relative RMS error, bits a weight; and the bytes of each stage.

The sums are gathered while weights are converted, so nothing is read twice. An error here is one of weights;
what it does to pictures differs between groups (the few layers outside the blocks are the sensitive ones).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kleinbild.canonical import EMBEDDING, Kind
from kleinbild.quantise import Quantised

CHUNK_ELEMENTS = 1 << 18

# Stage -> (part of a tensor's name, group), the first that fits counts; vectors are NORMS.
GROUPS = {
    "text_encoder": (
        (EMBEDDING, "text embedding"),
        (".self_attn.", "text attention"),
        (".mlp.", "text mlp"),
    ),
    "transformer": (
        ("single_transformer_blocks.", "single out"),
        (".attn.", "double attention"),
        (".ff", "double mlp"),
        ("embedder.", "embedders"),
        ("proj_out.", "embedders"),
        ("", "modulation"),
    ),
    "vae_decoder": (("", "VAE decoder"),),
}
SINGLE_IN = "to_qkv_mlp_proj."
NORMS = "norms"


def layer_group(stage: str, name: str, kind: Kind) -> str:
    """The group of the canonical tensor `name`, for people."""
    if kind == "vector" and stage != "vae_decoder":
        return NORMS
    if SINGLE_IN in name:
        return "single in"
    if "time_guidance_embed." in name:
        return "timestep"
    return next(group for part, group in GROUPS[stage] if part in name)


@dataclass
class Loss:
    """Sums over the tensors of a group; `bytes` are those of codes, scales and zero points."""

    weights: int = 0
    bytes: int = 0
    squared_error: float = 0.0
    squared_norm: float = 0.0

    @property
    def relative_error(self) -> float:
        """Root mean square error over root mean square weight."""
        return (self.squared_error / self.squared_norm) ** 0.5 if self.squared_norm else 0.0

    @property
    def bits(self) -> float:
        """Bits a weight."""
        return 8 * self.bytes / self.weights


@dataclass
class Losses:
    """The loss of each group, in the order met, and the bytes of each part of the bundle."""

    groups: dict[str, Loss] = field(default_factory=dict)
    stage_bytes: dict[str, int] = field(default_factory=dict)

    def add_q4(self, group: str, quantised: Quantised) -> None:
        """Counts a weight in 4 bits."""
        q4 = quantised.weight
        size = q4.codes.nbytes + q4.scales.nbytes
        if q4.zero_points is not None:
            size += q4.zero_points.nbytes
        rows, columns = q4.shape
        self._add(group, rows * columns, size, quantised.squared_error, quantised.squared_norm)

    def add_dense(self, group: str, exact: npt.NDArray[np.float32], stored: npt.NDArray[Any]) -> None:
        """Counts a weight, or some rows of one, that is stored in float16 or float32."""
        error = norm = 0.0
        if stored.dtype != exact.dtype:
            flat, rounded = exact.reshape(-1), stored.reshape(-1)
            for start in range(0, flat.size, CHUNK_ELEMENTS):
                part = flat[start : start + CHUNK_ELEMENTS]
                difference = part - rounded[start : start + CHUNK_ELEMENTS]
                error += float(difference @ difference)
                norm += float(part @ part)
        self._add(group, exact.size, stored.nbytes, error, norm)

    def merge(self, other: Losses) -> None:
        """Adds the groups of `other`."""
        for group, loss in other.groups.items():
            self._add(group, loss.weights, loss.bytes, loss.squared_error, loss.squared_norm)

    def write(self, path: Path) -> None:
        """Writes the groups to `path`, for a run that takes them over; makes its folder."""
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({group: asdict(loss) for group, loss in self.groups.items()}))

    @staticmethod
    def read(path: Path) -> Losses:
        """What `write` wrote to `path`."""
        return Losses({group: Loss(**sums) for group, sums in json.loads(path.read_text()).items()})

    def measure(self, folder: Path, stages: tuple[str, ...]) -> None:
        """Takes the sizes of the files in the bundle `folder`: each of `stages`, and the rest."""
        self.stage_bytes = dict.fromkeys((*stages, "tokenizer and config"), 0)
        for path in folder.rglob("*"):
            if path.is_file():
                part = next((s for s in stages if s.replace("_", "-") in path.name), "tokenizer and config")
                self.stage_bytes[part] += path.stat().st_size

    def lines(self) -> Iterator[str]:
        """The two tables, for a terminal."""
        yield f"{'layers':18}{'weights':>15}{'bits each':>11}{'error':>10}"
        for group, loss in self.groups.items():
            yield f"{group:18}{loss.weights:>15,}{loss.bits:>11.3f}{loss.relative_error:>10.3%}"
        for part, size in self.stage_bytes.items():
            yield f"{part.replace('_', ' '):33}{size:>21,} bytes"
        yield f"{'together':33}{sum(self.stage_bytes.values()):>21,} bytes"

    def _add(self, group: str, weights: int, size: int, error: float, norm: float) -> None:
        loss = self.groups.setdefault(group, Loss())
        loss.weights += weights
        loss.bytes += size
        loss.squared_error += error
        loss.squared_norm += norm
