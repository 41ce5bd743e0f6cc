"""An engine without a browser, for tests of what stands before it: the prompt says how a picture goes.

"hold" waits until `release` is set or it is stopped; "lose" loses the engine; any other word that is a code
of src_js/errors.js is that error; the rest is a picture.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from server.fake_site import png

from kleinbild.errors import KleinbildError
from kleinbild.server.generate.engine import EngineLost
from kleinbild.server.generate.messages import MemoryMessage, ProgressMessage
from kleinbild.server.generate.page_session import PageError
from kleinbild.server.generate.request import Job
from kleinbild.server.generate.session import OnPreview, OnProgress, Picture, Preview

CODES = {
    "bad-input",
    "too-large",
    "device-lost",
    "worker-lost",
    "internal",
    "out-of-memory",
    "storage-full",
}
HALFWAY = ProgressMessage("transformer", 1, 2, 0.5)
PREVIEW = Preview(1, 16, 8, png(16, 8))


def job(prompt: str = "x", size: int = 16) -> Job:
    """A small job."""
    return Job(
        prompt=prompt,
        width=size,
        height=size,
        seed=1,
        steps=1,
        latents=None,
        memory_budget=None,
        trace=False,
    )


class FakeEngines:
    """Opens one engine after another, and keeps count; `faults` are what the next starts fail with."""

    def __init__(self) -> None:
        self.opened = 0
        self.open_now = 0
        self.made: list[str] = []
        self.faults: list[KleinbildError | None] = []
        self.release = asyncio.Event()
        self.engine: FakeEngine | None = None

    @asynccontextmanager
    async def open(self, on_start: OnProgress) -> AsyncIterator[FakeEngine]:
        """As open_engine."""
        await asyncio.sleep(0)
        fault = self.faults.pop(0) if self.faults else None
        if fault:
            raise fault
        on_start(ProgressMessage("loading", 1, 1, 1.0))
        self.opened += 1
        self.open_now += 1
        self.engine = FakeEngine(self)
        try:
            yield self.engine
        finally:
            self.open_now -= 1
            self.engine.ended.cancel()


class FakeEngine:
    """One engine; `lose` ends it."""

    def __init__(self, engines: FakeEngines) -> None:
        self.device = "paper"
        self.memory = MemoryMessage(10, 30, 40)
        self.lost = asyncio.Event()
        self.ended: asyncio.Task[Any] = asyncio.create_task(self._end())
        self._engines = engines
        self._busy = False

    async def _end(self) -> None:
        await self.lost.wait()
        raise EngineLost("/home/somebody/chromium ended with status -9")

    async def make(
        self,
        job: Job,
        on_progress: OnProgress,
        *,
        on_preview: OnPreview | None = None,
        stop: asyncio.Event | None = None,
    ) -> Picture:
        """As Engine.make; whoever wants previews gets PREVIEW."""
        assert stop is not None
        assert not self._busy, "two jobs at once"
        self._busy = True
        try:
            self._engines.made.append(job.prompt)
            await asyncio.sleep(0)
            on_progress(HALFWAY)
            if job.preview and on_preview is not None:
                on_preview(PREVIEW)
            word = job.prompt.partition(" ")[0]
            if word == "lose":
                self.lost.set()
            if word == "hold":
                await self._first_of(self._engines.release.wait, stop.wait, self.lost.wait)
            if self.lost.is_set():
                raise EngineLost("/home/somebody/chromium ended with status -9")
            if stop.is_set():
                raise PageError("cancelled", "The picture was cancelled.")
            if word in CODES:
                raise PageError(word, "in words")
            return Picture(png(job.width, job.height), {"transformer": 0.5})
        finally:
            self._busy = False

    async def _first_of(self, *waits: Callable[[], Any]) -> None:
        tasks = [asyncio.create_task(wait()) for wait in waits]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
