"""A benchmark's page in a headless Chromium, from its first report to its last."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from kleinbild.errors import KleinbildError
from kleinbild.server.generate.browser import running_browser
from kleinbild.server.generate.chromium import ORIGIN, browser_arguments, find_chromium, has_gpu
from kleinbild.server.generate.profile import locked_profile
from kleinbild.server.listen import bind, running

MOST_SECONDS = 1800.0
ADAPTERS = ("auto", "hardware", "software")


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[int]:
    """`app` on a free port of this machine, which is given."""
    sockets = bind("127.0.0.1", 0)
    async with running(app, sockets, verbose=False):
        yield sockets[0].getsockname()[1]


async def show(
    app: web.Application, address: str, ended: asyncio.Future[None], profile_folder: Path, adapter: str
) -> None:
    """Show `address` of `app` in a browser until `ended` is done; KleinbildError when that does not come."""
    software = adapter == "software" or (adapter == "auto" and not has_gpu())
    executable = find_chromium(os.environ)
    async with served(app) as port, locked_profile(profile_folder, print) as profile:
        arguments = browser_arguments(profile.path, port, f"{ORIGIN}{address}", software)
        async with running_browser(executable, arguments, profile) as browser:
            left = asyncio.create_task(browser.process.wait())
            waiting: set[asyncio.Future[Any]] = {ended, left}
            done, _ = await asyncio.wait(waiting, timeout=MOST_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if ended not in done:
                reason = "ended" if left in done else f"said nothing within {MOST_SECONDS:.0f} s"
                raise KleinbildError(f"the browser {reason}{browser.last_words()}")
            left.cancel()
            ended.result()
