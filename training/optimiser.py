"""Muon for the matrices inside blocks, AdamW for everything else.

Muon (Jordan et al. 2024) makes a momentum's singular values about equal before it is applied. Matrices of one
shape are treated as one batch, so a step takes few kernels.
"""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor, nn

BLOCKS = ("transformer_blocks.", "model.layers.")
MOMENTUM = 0.95
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalised(matrices: Tensor, iterations: int = 5) -> Tensor:
    """[n, rows, columns] -> the same with singular values near 1, by Newton-Schulz iterations in bf16."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x: Tensor = matrices.bfloat16()
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(iterations):
        square: Tensor = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if tall else x


class Optimiser:
    """Both optimisers behind one step; `rate` is a factor on their learning rates."""

    def __init__(
        self, parts: dict[str, nn.Module], muon_rate: float, adam_rate: float, decay: float = 0.01
    ) -> None:
        self.muon_rate, self.adam_rate, self.decay = muon_rate, adam_rate, decay
        groups: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
        others: list[nn.Parameter] = []
        for part in parts.values():
            for name, parameter in part.named_parameters():
                if muon_rate and parameter.ndim == 2 and any(block in name for block in BLOCKS):
                    groups[parameter.shape].append(parameter)
                else:
                    others.append(parameter)
        self.groups = list(groups.values())
        self.momenta = [torch.zeros(len(g), *g[0].shape, device=g[0].device) for g in self.groups]
        self.parameters = [p for g in self.groups for p in g] + others
        fused = others[0].device.type == "cuda"
        self.adam = torch.optim.AdamW(others, lr=adam_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=fused)

    @torch.no_grad()
    def step(self, rate: float, max_norm: float = 1.0) -> Tensor:
        """Applies the gradients and clears them; returns their norm before clipping."""
        norm = nn.utils.clip_grad_norm_(self.parameters, max_norm)
        for group, momentum in zip(self.groups, self.momenta, strict=True):
            gradient = torch.stack([p.grad for p in group if p.grad is not None])
            momentum.lerp_(gradient, 1 - MOMENTUM)
            update = orthogonalised(gradient.lerp(momentum, MOMENTUM))
            rows, columns = group[0].shape
            size = self.muon_rate * rate * max(1.0, rows / columns) ** 0.5
            parameters = [p.detach() for p in group]
            torch._foreach_mul_(parameters, 1 - self.decay * self.muon_rate * rate)
            torch._foreach_add_(parameters, list(update.float().unbind()), alpha=-size)
        for options in self.adam.param_groups:
            options["lr"] = self.adam_rate * rate
        self.adam.step()
        for parameter in self.parameters:
            parameter.grad = None
        return norm

    def state(self) -> dict[str, object]:
        """What `load` takes."""
        return {"momenta": self.momenta, "adam": self.adam.state_dict()}

    def load(self, state: dict[str, object]) -> None:
        """Goes on from `state`."""
        momenta = state["momenta"]
        assert isinstance(momenta, list)
        for own, saved in zip(self.momenta, momenta, strict=True):
            own.copy_(saved)
        self.adam.load_state_dict(state["adam"])  # type: ignore[arg-type]
