"""The shapes that both engines are measured at: those of FLUX.2 Klein 4B, or tiny ones that a CPU can run.

The models are the ones that the page's own benchmark makes up (src_js/bench).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from kleinbild.config import ModelConfig, TransformerConfig, config_from_json

PIXELS_PER_TOKEN = 16
_MODELS = Path(__file__).resolve().parents[2] / "src_js" / "bench"


@dataclass(frozen=True)
class Shapes:
    """What is measured: `rows` of matrix products and attention, `pictures` in pixels for a whole step."""

    model: ModelConfig
    rows: tuple[int, ...]
    pictures: tuple[int, ...]

    @property
    def transformer(self) -> TransformerConfig:
        """The transformer whose shapes these are."""
        return self.model.transformer


def full_shapes() -> Shapes:
    """The 4B model at the token counts of 256, 512 and 1024 pixels."""
    return Shapes(_model("klein4b.json"), rows=(768, 1536, 4608), pictures=(512, 1024))


def quick_shapes() -> Shapes:
    """A model and sizes for a software adapter."""
    return Shapes(_model("small.json"), rows=(40, 96), pictures=(64,))


def _model(name: str) -> ModelConfig:
    return config_from_json(json.loads((_MODELS / name).read_text(encoding="utf-8")), name)
