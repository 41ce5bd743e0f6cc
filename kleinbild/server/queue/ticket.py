"""One picture that somebody asked for, from its place in the queue to its end, which comes exactly once."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from enum import StrEnum

from kleinbild.server.generate.messages import ProgressMessage
from kleinbild.server.generate.request import Job
from kleinbild.server.generate.session import Picture, Preview

ID_BYTES = 16


class State(StrEnum):
    """Where a ticket is; the last three are ends."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Failure:
    """Why there is no picture: a code (of src_js/errors.js or queue.py) and a sentence fit for strangers."""

    code: str
    message: str


class Ticket:
    """`job` on its way. Times are seconds since the epoch; `version` counts what a watcher may want to see.

    `stop` is set to end it: the queue's, and nobody else's, to set.
    """

    def __init__(self, job: Job) -> None:
        self.id = secrets.token_urlsafe(ID_BYTES)
        self.job = job
        self.state = State.QUEUED
        self.progress: ProgressMessage | None = None
        self.preview: Preview | None = None  # the latest, while it runs
        self.picture: Picture | None = None
        self.failure: Failure | None = None
        self.attempts = 0
        self.created = time.time()
        self.started: float | None = None
        self.finished: float | None = None
        self.version = 0
        self.stop = asyncio.Event()
        self._over = asyncio.Event()
        self._news = asyncio.Event()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, one way or another."""
        return self._over.is_set()

    async def over(self) -> None:
        """Return when it has ended."""
        await self._over.wait()

    async def changed(self, seen: int) -> int:
        """The version, once it is another than `seen`: what happened between is not told twice."""
        while self.version == seen:
            await self._news.wait()
        return self.version

    def begin(self) -> None:
        """The engine takes it (again)."""
        self.attempts += 1
        self.started = self.started or time.time()
        self._become(State.RUNNING)

    def wait_again(self) -> None:
        """Back into the queue: the engine was lost."""
        self.progress = self.preview = None
        self._become(State.QUEUED)

    def tell(self, progress: ProgressMessage) -> None:
        """The engine is at `progress`."""
        if not self.is_over:
            self.progress = progress
            self._tell_watchers()

    def show(self, preview: Preview) -> None:
        """The picture looks like `preview` so far."""
        if not self.is_over:
            self.preview = preview
            self._tell_watchers()

    def end(self, state: State, *, picture: Picture | None = None, failure: Failure | None = None) -> None:
        """The one end of it."""
        assert not self.is_over
        self.picture, self.failure = picture, failure
        self.preview = None
        self.finished = time.time()
        self._over.set()
        self._become(state)

    def _become(self, state: State) -> None:
        self.state = state
        self._tell_watchers()

    def _tell_watchers(self) -> None:
        self.version += 1
        self._news.set()
        self._news = asyncio.Event()
