"""serve.py --api from beginning to end: check, listen, keep an engine warm, serve, and end in good order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

from kleinbild.server.announce import announced
from kleinbild.server.api.app import ApiOptions, create_api
from kleinbild.server.api.metrics import Metrics
from kleinbild.server.api.options import ApiArguments, check
from kleinbild.server.generate.attached import Attachment
from kleinbild.server.generate.chromium import find_chromium
from kleinbild.server.generate.engine import Engine, EngineOptions, open_engine
from kleinbild.server.generate.messages import ProgressMessage
from kleinbild.server.generate.profile import cache_folder
from kleinbild.server.generate.progress import Progress
from kleinbild.server.generate.session import OnProgress
from kleinbild.server.host import canonical_url
from kleinbild.server.listen import bind, running
from kleinbild.server.queue.queue import Queue
from kleinbild.server.site import Site


async def serve_api(site: Site, given: ApiArguments) -> None:
    """Serve the API and `site` until SIGINT or SIGTERM; prints the canonical URL once it answers.

    The first signal lets the picture in hand end (for `given.grace` seconds) and gives the waiting ones back;
    a second one ends at once. Raises KleinbildError, also when the first engine does not start.
    """
    settings = check(given, os.environ)
    if not given.attach:
        find_chromium(os.environ)
    sockets = bind(given.host, given.port)
    canonical = canonical_url(settings.name, sockets[0].getsockname()[1], settings.scheme)
    progress = Progress(sys.stderr)
    if settings.certificate is not None:
        for line in settings.certificate.told().splitlines():
            progress.note(line)
    attachment = Attachment(canonical, site.build)
    engine_options = EngineOptions(given.precision, given.adapter, given.verbose)

    @asynccontextmanager
    async def opened(on_start: OnProgress) -> AsyncIterator[Engine]:
        def show(message: ProgressMessage) -> None:
            on_start(message)
            progress.update(message.stage, message.step, message.steps, message.fraction)

        engines = (
            attachment.open(show) if given.attach else open_engine(site, engine_options, show, progress.note)
        )
        async with engines as engine:
            progress.note(f"ready: {engine.device}")
            yield engine

    metrics = Metrics()
    queue = Queue(opened, settings.queue, progress.note, metrics.ended)
    options = ApiOptions(canonical, settings.key, settings.cors, settings.limits)
    app = create_api(site, queue, metrics, options, [attachment.route()] if given.attach else [])
    found_by_generate = settings.context is None and given.public_name is None
    note = announced(cache_folder(os.environ), canonical) if found_by_generate else nullcontext()
    stop, hurry = _on_signals()
    try:
        async with running(app, sockets, given.verbose, tls=settings.context, cancel_handlers=True):
            with note:
                queue.start()
                print(attachment.address if given.attach else f"{canonical}/", flush=True)
                if given.attach:
                    progress.note("open this address in the browser whose GPU is to make the pictures")
                await _first_of(stop.wait(), queue.ended())
            if stop.is_set():
                progress.note("stopping")
            await _first_of(queue.close(given.grace), hurry.wait())
            await queue.close(0)
        await queue.ended()
    finally:
        progress.close()


def _on_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Set by the first, and by the second signal to end."""
    stop, hurry = asyncio.Event(), asyncio.Event()

    def signalled() -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, signalled)
    return stop, hurry


async def _first_of(*waits: Any) -> None:
    """Return when one of the coroutines has ended, however; end the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
