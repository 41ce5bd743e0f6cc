"""The whole application on a fake engine, in the test's own loop, and a client that asks it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from server.queue.fake_engine import FakeEngines

from kleinbild.server.api.app import ApiOptions, create_api
from kleinbild.server.api.metrics import Metrics
from kleinbild.server.listen import bind, running
from kleinbild.server.queue.queue import Queue, QueueLimits
from kleinbild.server.site import open_site

KEY = "0123456789abcdef-key"


@dataclass(frozen=True)
class Reply:
    """An answer, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Api:
    """A running application."""

    url: str
    queue: Queue
    engines: FakeEngines
    session: aiohttp.ClientSession
    notes: list[str] = field(default_factory=list)

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Reply:
        """One request, `body` as JSON."""
        if body is not None:
            options["json"] = body
        async with self.session.request(method, self.url + path, **options) as answer:
            headers = {key.lower(): value for key, value in answer.headers.items()}
            return Reply(answer.status, headers, await answer.read())

    async def begun(self) -> None:
        """Return when a picture is in hand."""
        while self.queue.in_hand is None or self.queue.in_hand.progress is None:
            await asyncio.sleep(0.002)


@asynccontextmanager
async def running_api(site: Path, queue_limits: QueueLimits, **options: Any) -> AsyncIterator[Api]:
    """The application on a free port."""
    engines = FakeEngines()
    metrics = Metrics()
    notes: list[str] = []
    queue = Queue(engines.open, queue_limits, notes.append, metrics.ended)
    sockets = bind("127.0.0.1", 0)
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    app = create_api(open_site(site), queue, metrics, ApiOptions(url, **options))
    async with running(app, sockets, False, cancel_handlers=True), aiohttp.ClientSession() as session:
        queue.start()
        while queue.engine is None:
            await asyncio.sleep(0)
        yield Api(url, queue, engines, session, notes)
        await queue.close(0)


def on_an_api(
    site: Path, test: Callable[[Api], Awaitable[None]], *, max_waiting: int = 8, **options: Any
) -> None:
    """Run `test` on an application with `options` of ApiOptions."""

    async def run() -> None:
        async with running_api(site, QueueLimits(max_waiting=max_waiting), **options) as api:
            await test(api)

    asyncio.run(asyncio.wait_for(run(), 30))
