"""serve.py bench from beginning to end: serve the page, start the browser, print and write the result."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

from kleinbild.errors import KleinbildError
from kleinbild.server.app import create_app, nothing_here
from kleinbild.server.bench import result
from kleinbild.server.bench.host import host_facts
from kleinbild.server.bench.options import BenchOptions, make_job
from kleinbild.server.bench.session import BenchSession
from kleinbild.server.bench.table import rows_text, table_text
from kleinbild.server.generate.browser import running_browser
from kleinbild.server.generate.chromium import ORIGIN, browser_arguments, find_chromium, has_gpu
from kleinbild.server.generate.files import check_writable, write_whole
from kleinbild.server.generate.profile import locked_profile
from kleinbild.server.generate.progress import Progress
from kleinbild.server.generate.signals import stop_on_signals
from kleinbild.server.listen import bind, running

PAGE = "bench.html"

WritePage = Callable[[Path], object]


async def bench(site: Path, options: BenchOptions, write_page: WritePage) -> None:
    """Measure what `options` ask for on the page of `site`, print the table, write the JSON.

    Without such a page `write_page` writes one into a folder that is removed afterwards: a benchmark needs no
    model. Raises KleinbildError; no browser outlives the call.
    """
    stop_on_signals()
    progress = Progress(sys.stderr)
    try:
        job = make_job(options)
        executable = find_chromium(os.environ)
        if options.json is not None:
            check_writable(options.json)
        software = options.adapter == "software" or (options.adapter == "auto" and not has_gpu())
        if software and options.adapter == "auto":
            progress.note("note: no GPU found, measuring SwiftShader on the CPU with a small model")

        def tell(message: result.Progress) -> None:
            progress.update(message.label, 0, 0, min(1.0, message.done / max(1, message.total)))

        session = BenchSession(ORIGIN, job, tell)
        routes = (session.route(), web.route("*", "/sw.js", nothing_here))
        url = f"{ORIGIN}/{PAGE}#headless={session.token}"
        with page_folder(site, write_page, progress.note) as root, tempfile.TemporaryDirectory() as cache:
            # A profile of its own, so that no pipeline was compiled before.
            sockets = bind("127.0.0.1", 0)
            port = sockets[0].getsockname()[1]
            async with (
                running(create_app(root, ORIGIN, routes), sockets, options.verbose),
                locked_profile(Path(cache), progress.note) as profile,
                running_browser(
                    executable, browser_arguments(profile.path, port, url, software), profile
                ) as browser,
            ):
                try:
                    measured = await session.result(browser)
                except KleinbildError:
                    progress.close()
                    if session.rows:  # what was measured before is worth having
                        sys.stdout.write(rows_text(session.rows))
                    raise
        progress.close()
        sys.stdout.write(table_text(measured))
        if options.json is not None:
            record = measured.record | {"host": host_facts()}
            write_whole(options.json, (json.dumps(record, indent=2) + "\n").encode())
    finally:
        progress.close()


@contextmanager
def page_folder(site: Path, write_page: WritePage, notice: Callable[[str], None]) -> Iterator[Path]:
    """The folder to serve: `site` when it has the page, else a temporary one that `write_page` filled."""
    if (site / PAGE).is_file():
        yield site
        return
    if site.exists():
        raise KleinbildError(
            f"{site}: has no {PAGE}; write the site again, or name a folder that is not there"
        )
    notice(f"note: there is no {site}; measuring the page of this source tree")
    with tempfile.TemporaryDirectory() as folder:
        write_page(Path(folder))
        yield Path(folder)
