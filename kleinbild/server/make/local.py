"""Pictures from a browser of this command's own, opened for the first and kept for the others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from kleinbild.server.generate.engine import Engine, EngineLost, EngineOptions, open_engine
from kleinbild.server.generate.page_session import PageError
from kleinbild.server.generate.request import Job
from kleinbild.server.generate.session import OnPreview, OnProgress, Picture, WriteTensor
from kleinbild.server.generate.trace import expected_tensors
from kleinbild.server.site import Site


class Local:
    """A maker. `tries` for each picture, each with a new browser when the last one was lost."""

    name = "browser"

    def __init__(
        self,
        site: Site,
        options: EngineOptions,
        on_start: OnProgress,
        note: Callable[[str], None],
        tries: int,
    ) -> None:
        self._site = site
        self._options = options
        self._on_start = on_start
        self._note = note
        self._tries = tries
        self._opened = AsyncExitStack()
        self._engine: Engine | None = None

    async def make(
        self,
        job: Job,
        on_progress: OnProgress,
        on_preview: OnPreview | None = None,
        write: WriteTensor | None = None,
    ) -> Picture:
        """The picture; `write` gets the tensors of a traced job. Raises as Engine.make and open_engine."""
        tensors = expected_tensors(job, self._site.model)
        for left in reversed(range(self._tries)):
            engine = self._engine or await self._open()
            try:
                return await engine.make(
                    job, on_progress, on_preview=on_preview, tensors=tensors, write=write
                )
            except (EngineLost, PageError) as error:
                if isinstance(error, PageError) and error.code != "device-lost":
                    raise
                await self.close()
                if left == 0:
                    raise
                self._note(f"engine lost: {error}; starting another one")
        raise AssertionError("tries is at least 1")

    async def close(self) -> None:
        """End the browser."""
        self._engine = None
        await self._opened.aclose()

    async def _open(self) -> Engine:
        opening = open_engine(self._site, self._options, self._on_start, self._note)
        self._engine = await self._opened.enter_async_context(opening)
        self._note(self._engine.device)
        return self._engine


@asynccontextmanager
async def local_maker(
    site: Site, options: EngineOptions, on_start: OnProgress, note: Callable[[str], None], tries: int
) -> AsyncIterator[Local]:
    """A Local whose browser is gone when the context ends."""
    maker = Local(site, options, on_start, note, tries)
    try:
        yield maker
    finally:
        await maker.close()
