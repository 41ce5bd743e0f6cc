"""A headless Chromium with the page as its engine: model on the GPU, one picture after another.

It joins the browser's process, the small server that only this browser sees, the profile with the weights and
the session. An engine that is lost stays lost: who wants another one opens it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from aiohttp import web

from kleinbild.errors import KleinbildError
from kleinbild.server.app import create_app, nothing_here
from kleinbild.server.generate.browser import running_browser
from kleinbild.server.generate.chromium import ORIGIN, browser_arguments, find_chromium, has_gpu
from kleinbild.server.generate.messages import MemoryMessage
from kleinbild.server.generate.profile import cache_folder, locked_profile
from kleinbild.server.generate.request import Job
from kleinbild.server.generate.session import OnPreview, OnProgress, Picture, Session, WriteTensor
from kleinbild.server.generate.trace import TensorFacts
from kleinbild.server.listen import bind, running
from kleinbild.server.site import Site

Note = Callable[[str], None]


class EngineLost(KleinbildError):
    """Browser, page or GPU ended under a job or between two: a new engine may do better."""


@dataclass(frozen=True)
class EngineOptions:
    """precision: "auto", "f16" or "f32"; adapter: "auto", "hardware" or "software"; verbose: log requests."""

    precision: str
    adapter: str
    verbose: bool


class Engine:
    """An open engine. `device` is the GPU in words; `ended` is done, with an error, when it is lost."""

    def __init__(self, session: Session, ended: asyncio.Future[NoReturn], process: int | None = None) -> None:
        """`process` is the id of the browser's process, of a browser of ours."""
        self.device = session.ready.result()
        self.ended = ended
        self.process = process
        self._session = session

    @property
    def memory(self) -> MemoryMessage | None:
        """What pictures need of the GPU's memory, once the page has told it."""
        return self._session.memory

    async def make(
        self,
        job: Job,
        on_progress: OnProgress,
        *,
        on_preview: OnPreview | None = None,
        stop: asyncio.Event | None = None,
        tensors: dict[str, TensorFacts] | None = None,
        write: WriteTensor | None = None,
    ) -> Picture:
        """The picture of `job`, one call at a time; `write` gets its `tensors` (of `expected_tensors`).

        `on_preview` gets the previews of a job that wants them.
        `stop`, once set, cancels it inside a step: PageError "cancelled". Raises PageError, too, when the
        page refuses the job, EngineLost when the page is gone.
        """
        work = self._session.make(
            job, on_progress, on_preview=on_preview, stop=stop, tensors=tensors, write=write
        )
        making = asyncio.create_task(work)
        both: set[asyncio.Future[Any]] = {making, self.ended}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if making.done() and not isinstance(making.exception(), ConnectionError):
                return making.result()
            await asyncio.wait({self.ended})
            raise EngineLost(str(self.ended.exception()))
        finally:
            making.cancel()


@asynccontextmanager
async def open_engine(
    site: Site, options: EngineOptions, on_start: OnProgress, note: Note
) -> AsyncIterator[Engine]:
    """An engine on `site`, model started; gone, with its browser, when the context ends.

    `on_start` is told how far the start is, `note` gets lines for the user. Raises KleinbildError when there
    is no browser, no profile, no GPU, or the model cannot be started.
    """
    executable = find_chromium(os.environ)
    software = options.adapter == "software" or (options.adapter == "auto" and not has_gpu())
    if software and options.adapter == "auto":
        note("note: no GPU found, computing on the CPU with SwiftShader (slow)")
    session = Session(ORIGIN, options.precision, on_start)
    # No service worker: an earlier build's would answer for this one from the kept profile.
    routes = (session.route(), web.route("*", "/sw.js", nothing_here))
    sockets = bind("127.0.0.1", 0)
    port = sockets[0].getsockname()[1]
    url = f"{ORIGIN}/#headless={session.token}"
    async with (
        running(create_app(site.root, ORIGIN, routes), sockets, options.verbose),
        locked_profile(cache_folder(os.environ), note) as profile,
        running_browser(executable, browser_arguments(profile.path, port, url, software), profile) as browser,
    ):
        ended = asyncio.create_task(session.result(browser))
        try:
            either: set[asyncio.Future[Any]] = {session.ready, ended}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not session.ready.done():
                ended.result()
            yield Engine(session, ended, browser.process.pid)
        finally:
            ended.cancel()
            await asyncio.gather(ended, return_exceptions=True)
