"""How much the API takes of one client and of all, and what a picture is made with."""

from __future__ import annotations

from dataclasses import dataclass

from kleinbild.server.generate.request import MAX_SIZE, MAX_STEPS


@dataclass(frozen=True)
class Limits:
    """pictures of one request; prompt in characters; sides in pixels; memory_budget in bytes, or None.

    streams: jobs that may be watched at once, by all clients together.
    """

    pictures: int = 8
    prompt_chars: int = 10_000
    max_side: int = MAX_SIZE
    max_steps: int = MAX_STEPS
    memory_budget: int | None = None
    streams: int = 64
