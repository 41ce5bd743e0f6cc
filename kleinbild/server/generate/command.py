"""serve.py generate from beginning to end: check, serve, start the browser, wait, write the picture."""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial

from aiohttp import web

from kleinbild.server.app import create_app, nothing_here
from kleinbild.server.generate.browser import running_browser
from kleinbild.server.generate.chromium import ORIGIN, browser_arguments, find_chromium, has_gpu
from kleinbild.server.generate.files import check_writable, write_whole
from kleinbild.server.generate.options import GenerateOptions
from kleinbild.server.generate.profile import cache_folder, locked_profile
from kleinbild.server.generate.progress import Progress
from kleinbild.server.generate.request import make_job
from kleinbild.server.generate.session import Session
from kleinbild.server.generate.signals import stop_on_signals
from kleinbild.server.generate.trace import TensorFacts, expected_tensors, open_dump, write_tensor
from kleinbild.server.listen import bind, running
from kleinbild.server.site import Site


async def generate(site: Site, options: GenerateOptions) -> None:
    """Make the picture that `options` describe. Raises KleinbildError; no browser outlives the call."""
    stop_on_signals()
    progress = Progress(sys.stderr)
    try:
        job = make_job(options, site.model, lambda text: progress.note(f"note: {text}"))
        executable = find_chromium(os.environ)
        check_writable(options.output)
        if options.dump is not None:
            open_dump(options.dump)
        software = options.adapter == "software" or (options.adapter == "auto" and not has_gpu())
        if software and options.adapter == "auto":
            progress.note("note: no GPU found, computing on the CPU with SwiftShader (slow)")

        def write(name: str, facts: TensorFacts, data: bytes) -> None:
            assert options.dump is not None  # no tensor is expected otherwise
            write_tensor(options.dump, name, facts, data)

        session = Session(ORIGIN, job, expected_tensors(job, site.model), write, progress)
        # No service worker: an earlier build's would answer for this one from the kept profile.
        routes = (session.route(), web.route("*", "/sw.js", nothing_here))
        sockets = bind("127.0.0.1", 0)
        url = f"{ORIGIN}/#headless={session.token}"
        arguments = partial(browser_arguments, port=sockets[0].getsockname()[1], url=url, software=software)
        async with (
            running(create_app(site.root, ORIGIN, routes), sockets, options.verbose),
            locked_profile(cache_folder(os.environ), progress.note) as profile,
            running_browser(executable, arguments(profile.path), profile) as browser,
        ):
            picture = await session.result(browser)
        await asyncio.to_thread(write_whole, options.output, picture.png)
    finally:
        progress.close()
