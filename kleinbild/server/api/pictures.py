"""What all faces do: turn checked values into jobs, stand in the queue for a client, hand it its picture."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from kleinbild.server.api.errors import ApiError, from_failure
from kleinbild.server.api.fields import Field
from kleinbild.server.api.limits import Limits
from kleinbild.server.generate.request import MAX_SEED, MIN_SIZE, MIN_STEPS, SIZE_STEP, Job
from kleinbild.server.generate.session import Picture, Preview
from kleinbild.server.queue.queue import Queue, Refused
from kleinbild.server.queue.ticket import State, Ticket
from kleinbild.server.site import ModelShape

RANDOM_SEEDS = 1 << 32  # as many as other tools draw from: such a seed can be typed


@dataclass(frozen=True)
class Studio:
    """What a face needs: the queue, the model's name and shape, the limits."""

    queue: Queue
    model_id: str
    model: ModelShape
    limits: Limits

    def prompt(self, *, required: bool = True) -> Field:
        """The prompt's field."""
        about = "What the picture shows."
        length = self.limits.prompt_chars
        return Field("prompt", "string", about, "", required=required, max_length=length)

    def steps(self, name: str = "steps") -> Field:
        """The field of the denoising steps."""
        return Field(
            name,
            "integer",
            "Denoising steps; by default the model's own number.",
            self.model.default_steps,
            nullable=True,
            minimum=MIN_STEPS,
            maximum=self.limits.max_steps,
        )

    def side(self, name: str, *, exact: bool = True) -> Field:
        """The field of width or height; not `exact`: floored to a multiple of 16."""
        return Field(
            name,
            "integer",
            f"Pixels, {'a multiple of' if exact else 'floored to a multiple of'} {SIZE_STEP}.",
            getattr(self.model, f"default_{name}"),
            nullable=True,
            minimum=MIN_SIZE,
            maximum=self.limits.max_side,
            multiple_of=SIZE_STEP if exact else None,
        )

    def count(self, name: str) -> Field:
        """The field of how many pictures."""
        about = "How many pictures; their seeds follow each other."
        return Field(name, "integer", about, 1, nullable=True, minimum=1, maximum=self.limits.pictures)

    def jobs(
        self,
        *,
        prompt: str,
        width: int,
        height: int,
        seed: int | None,
        steps: int,
        count: int = 1,
        preview: bool = False,
    ) -> list[Job]:
        """`count` jobs with the seeds seed, seed + 1, ...; None: a random first one."""
        first = secrets.randbelow(RANDOM_SEEDS) if seed is None else seed
        return [
            Job(
                prompt=prompt,
                width=width // SIZE_STEP * SIZE_STEP,
                height=height // SIZE_STEP * SIZE_STEP,
                seed=(first + i) % (MAX_SEED + 1),
                steps=steps,
                latents=None,
                memory_budget=self.limits.memory_budget,
                trace=False,
                preview=preview,
            )
            for i in range(count)
        ]

    def submit(self, jobs: Sequence[Job], *, keep: bool) -> list[Ticket]:
        """Places in the queue. Raises ApiError: 429, 503."""
        try:
            return self.queue.submit(jobs, keep=keep)
        except Refused as refused:
            raise from_failure(refused.failure, refused.retry_after) from None

    async def wait(self, tickets: Sequence[Ticket]) -> None:
        """Return when all have their picture. Raises ApiError for the first that has none.

        Whatever ends the wait, a client that went away included, ends the tickets that are left.
        """
        try:
            for ticket in tickets:
                await ticket.over()
                raise_failure(ticket)
        finally:
            for ticket in tickets:
                if not ticket.is_over:
                    self.queue.abandon(ticket)


def raise_failure(ticket: Ticket) -> None:
    """Raise ApiError when `ticket` ended without a picture."""
    if ticket.failure is not None:
        raise from_failure(ticket.failure)
    if ticket.state is State.CANCELLED:
        raise ApiError(410, "cancelled", "This picture was cancelled.")


def base64_png(shown: Picture | Preview | None) -> str:
    """The PNG of a picture that is there, or of a preview."""
    assert shown is not None
    return base64.b64encode(shown.png).decode()
