"""What every stage needs around its loop: a budget of time, a log, a moving average, compiled blocks."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from training.config import MODELS, Sizes

LOG_SECONDS = 10.0


class Budget:
    """Time, or steps where they are given, of which a schedule knows the fraction that is spent.

    A stage that goes on from its saved state passes the seconds and steps already spent.
    """

    def __init__(self, minutes: float, steps: int = 0, spent: float = 0.0, done: int = 0) -> None:
        self.seconds, self.steps, self.step = minutes * 60, steps, done
        self.start = time.monotonic() - spent
        self.deadline = float("inf")

    def late(self) -> bool:
        """Whether the process must save its state and end, whatever the budget says."""
        return time.monotonic() > self.deadline

    @property
    def spent(self) -> float:
        return time.monotonic() - self.start

    def fraction(self) -> float:
        """0 at the start, 1 at the end."""
        part = self.step / self.steps if self.steps else self.spent / self.seconds
        return min(1.0, part)

    def restart_clock(self, device: torch.device) -> None:
        """Sets the time spent to none: what a compiler took before the first steps does not count."""
        synchronize(device)
        self.start = time.monotonic()


def rate_at(fraction: float, warm_up: float = 0.02, floor: float = 0.0) -> float:
    """The learning rate's factor: linear up, flat until 40 %, then linear down to `floor`."""
    if fraction < warm_up:
        return fraction / warm_up + 1e-3
    return max(floor, min(1.0, (1.0 - fraction) / 0.6))


class Log:
    """Lines on the terminal and in a file; progress at most every LOG_SECONDS."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.start = self.last = time.monotonic()
        self.last_samples = 0

    def line(self, text: str) -> None:
        """One line with the seconds since the start."""
        text = f"[{time.monotonic() - self.start:6.1f} s] {text}"
        print(text, flush=True)
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(text + "\n")

    def due(self) -> bool:
        """Whether a line about progress is due: reading a loss makes the device wait."""
        return time.monotonic() - self.last >= LOG_SECONDS

    def progress(self, stage: str, budget: Budget, samples: int, values: dict[str, Tensor | float]) -> None:
        """A line with losses and the rate since the last one."""
        now = time.monotonic()
        rate = (samples - self.last_samples) / max(now - self.last, 1e-9)
        self.last, self.last_samples = now, samples
        numbers = " ".join(
            f"{name} {float(torch.as_tensor(value).detach()):.4f}" for name, value in values.items()
        )
        self.line(f"{stage} step {budget.step} ({budget.fraction():.0%}) {numbers}, {rate:,.0f} samples/s")

    def restart_rate(self) -> None:
        """Counts samples from none, for a new stage."""
        self.last, self.last_samples = time.monotonic(), 0


class Average:
    """Exponential moving average of the parameters and buffers of modules."""

    def __init__(self, parts: dict[str, nn.Module], decay: float) -> None:
        self.parts, self.decay, self.count = parts, decay, 0
        self.live = [p for part in parts.values() for p in part.parameters()]
        self.mean = [p.detach().clone() for p in self.live]

    @torch.no_grad()
    def update(self) -> None:
        """Takes the parameters in; the first of them weigh more than the decay alone would have it."""
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        torch._foreach_lerp_(self.mean, [p.detach() for p in self.live], 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchanges parameters and averages; a second call takes it back."""
        for live, mean in zip(self.live, self.mean, strict=True):
            kept = live.detach().clone()
            live.copy_(mean)
            mean.copy_(kept)

    def state(self) -> dict[str, dict[str, Tensor]]:
        """State dicts of the parts with the averages in place."""
        self.swap()
        found = {
            name: {k: v.detach().clone() for k, v in part.state_dict().items()}
            for name, part in self.parts.items()
        }
        self.swap()
        return found


def compile_blocks(modules: Iterable[nn.Module], wanted: bool) -> None:
    """Compiles each module's forward in place: equal blocks share their kernels, so it takes seconds."""
    if not wanted:
        return
    torch._dynamo.config.recompile_limit = 256
    torch._dynamo.config.accumulated_recompile_limit = 4096
    for module in modules:
        module.compile()  # the first shape as it is, all others by one compilation


def autocast(device: torch.device) -> torch.autocast:
    """bf16 on a GPU; on a CPU everything stays f32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def synchronize(device: torch.device) -> None:
    """Waits for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def prepare(device: str, seed: int) -> torch.device:
    """The device, with seeds set."""
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = True
    return torch.device(device)


def parser(description: str, minutes: float) -> argparse.ArgumentParser:
    """The options that all stages share."""
    found = argparse.ArgumentParser(description=description)
    found.add_argument("--run", type=Path, required=True, help="folder of the run's states")
    found.add_argument("--model", choices=MODELS, default="mini")
    found.add_argument("--minutes", type=float, default=minutes, help="time to spend; schedules follow it")
    found.add_argument(
        "--steps", type=int, default=0, help="steps instead of minutes, for the same result everywhere"
    )
    found.add_argument("--scenes", type=int, default=400_000)
    found.add_argument(
        "--batch", type=int, default=0, help="pictures of 256x256 in a batch (0: the stage's own)"
    )
    found.add_argument("--seed", type=int, default=0)
    found.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    found.add_argument("--no-compile", action="store_true")
    found.add_argument("--workers", type=int, default=0)
    return found


def sizes_of(name: str) -> Sizes:
    """The sizes of a model by its name."""
    return MODELS[name]
