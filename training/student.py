"""A copy of a transformer that learns from it, with optimiser and average: what distillation and QAT share.

Its state file lets a stage that was stopped go on; the stage's result takes its place.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from training.config import Sizes
from training.files import load_state, save_state
from training.model.text_encoder import TextEncoder
from training.model.transformer import Transformer
from training.optimiser import Optimiser
from training.run import Average, Budget, compile_blocks, rate_at


class Student:
    """Of `teacher`, for the stage `name` of the folder `run`, whose budget it holds."""

    def __init__(
        self,
        name: str,
        run: Path,
        sizes: Sizes,
        teacher: Transformer,
        budget: Budget,
        *,
        device: torch.device,
        compiled: bool,
        rates: tuple[float, float],
        decay: float,
    ) -> None:
        """Begins as the teacher, or where the stage was stopped.

        `rates` are Muon's and Adam's, `decay` is the average's.
        """
        self.result, self.state_file = run / f"{name}.pt", run / f"{name}_state.pt"
        self.transformer = Transformer(sizes.transformer).to(device)
        self.transformer.load_state_dict(teacher.state_dict())
        for blocks in (self.transformer.transformer_blocks, self.transformer.single_transformer_blocks):
            compile_blocks(blocks, compiled)
        named: dict[str, nn.Module] = {"transformer": self.transformer}
        self.optimiser, self.average = Optimiser(named, *rates), Average(named, decay)
        self.budget, self.resumed, self._saved = budget, self.state_file.exists(), 0.0
        if self.resumed:
            state = load_state(self.state_file, device)
            self.transformer.load_state_dict(state["student"])
            self.optimiser.load(state["optimiser"])
            self.average.mean, self.average.count = state["average"], state["step"]
            self.budget = Budget(budget.seconds / 60, budget.steps, state["spent"], state["step"])
            self._saved = state["spent"]

    def step(self) -> None:
        """Applies the gradients that are there."""
        self.optimiser.step(rate_at(self.budget.fraction()))
        self.average.update()
        self.budget.step += 1

    def save_now_and_then(self, seconds: float) -> None:
        """Writes the state when the last time was more than `seconds` ago."""
        if self.budget.spent - self._saved <= seconds:
            return
        self._saved = self.budget.spent
        progress = {"spent": self._saved, "step": self.budget.step, "average": self.average.mean}
        states = {"student": self.transformer.state_dict(), "optimiser": self.optimiser.state()}
        save_state(self.state_file, states | progress)

    def finish(self, text_encoder: TextEncoder) -> Transformer:
        """Writes the stage's result, beside the text encoder as it was; returns the averaged transformer."""
        self.average.swap()
        states = {"text_encoder": text_encoder.state_dict(), "transformer": self.transformer.state_dict()}
        save_state(self.result, {"ema": states})
        self.state_file.unlink(missing_ok=True)
        return self.transformer
