"""How fast weights get from OPFS to the GPU, and how long it is from a click to the first submit.

    loading.py [--megabytes 512] [--cold] [--sweep]    a synthetic store
    loading.py --model klein4b [--cold]                also the first picture of a model of random bytes
    loading.py --site dist                             also a packaged site

Drives a headless Chromium ($CHROMIUM, else the one on PATH) and prints each figure beside what bounds it:
copying in memory, and reading OPFS into memory that is already there. --cold takes the files out of the page
cache before each round, so that they come from the disk.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench_browser import ADAPTERS, show  # noqa: E402

from kleinbild.errors import KleinbildError  # noqa: E402
from kleinbild.server.app import create_app, nothing_here  # noqa: E402
from kleinbild.server.generate.chromium import ORIGIN  # noqa: E402
from kleinbild.server.site import open_site  # noqa: E402
from kleinbild.server.static import static_files  # noqa: E402

PAGE = "/tests/bench/loading_page/index.html"


class Report:
    """What the page tells, printed as it comes; `ended` is done when it has told everything."""

    def __init__(self, folder: Path) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.figures: list[dict[str, Any]] = []
        self._folder = folder

    def routes(self) -> tuple[web.RouteDef, ...]:
        """Where the page reports, and asks for its files to be taken out of the page cache."""
        return web.post("/bench/report", self._take), web.post("/bench/evict", self._evict)

    async def _take(self, request: web.Request) -> web.Response:
        message = await request.json()
        match message["type"]:
            case "end":
                self.ended.set_result(None)
            case "error":
                self.ended.set_exception(KleinbildError(f"the page failed: {message['message']}"))
            case "note":
                print(message["text"], flush=True)
            case "time":
                self.figures.append(message)
                print(f"{message['label']:<62} {message['seconds']:9.3f} s", flush=True)
            case "rate":
                self.figures.append(message)
                rates = sorted(message["bytes"] / 1e9 / seconds for seconds in message["seconds"])
                middle = rates[len(rates) // 2]
                print(
                    f"{message['label']:<62} {middle:9.2f} GB/s   ({rates[0]:.2f} to {rates[-1]:.2f})",
                    flush=True,
                )
        return web.Response()

    async def _evict(self, request: web.Request) -> web.Response:
        await asyncio.to_thread(evict, self._folder)
        return web.Response()


def evict(folder: Path) -> None:
    """Take every file below `folder` out of the page cache."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            file = os.open(path, os.O_RDONLY)
            try:
                os.fsync(file)
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(file)


class _Index(HTMLParser):
    """Finds the page's entry script and its manifest."""

    def __init__(self) -> None:
        super().__init__()
        self.entry = ""
        self.facts: dict[str, str] = {}
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "script" and values.get("type") == "module":
            self.entry = values.get("src") or ""
        self._inside = tag == "script" and values.get("id") == "kleinbild"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.facts = json.loads(data)
            self._inside = False


def start_options(site: Path, side: int, steps: int) -> dict[str, Any]:
    """What loading_page/start.js needs to know of the site."""
    index = _Index()
    index.feed((site / "index.html").read_text(encoding="utf-8"))
    scripts = index.entry.rsplit("/app/", 1)[0]
    return {
        "workerClient": f"{scripts}/app/worker_client.js",
        "worker": f"{scripts}/worker/main.js",
        "manifest": index.facts["manifest"],
        "width": side,
        "height": side,
        "steps": steps,
    }


async def measure_synthetic(
    kind: str, names: tuple[str, ...], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """What loading_page/<kind>_worker.js measures, on the source tree itself, told the options `names`."""
    report = Report(options.profile)
    app = web.Application()
    app.add_routes(report.routes())
    app.router.add_get("/{path:.*}", static_files(ROOT))
    wanted = {name: getattr(options, name) for name in names}
    address = f"{PAGE}#{kind}={quote(json.dumps(wanted))}"
    await show(app, address, report.ended, options.profile, options.adapter)
    return report.figures


async def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """All measurements that `options` ask for."""
    figures = await measure_synthetic("store", ("megabytes", "rounds", "cold", "sweep"), options)
    if options.model is not None:
        figures += await measure_synthetic("picture", ("model", "side", "steps", "cold"), options)
    if options.site is None:
        return figures
    start = Report(options.profile)
    routes = (
        *start.routes(),
        web.get("/tests/bench/loading_page/{name}", static_files(ROOT)),
        web.route("*", "/sw.js", nothing_here),
    )
    app = create_app(open_site(options.site).root, ORIGIN, routes)
    address = f"{PAGE}#start={quote(json.dumps(start_options(options.site, options.side, options.steps)))}"
    await show(app, address, start.ended, options.profile, options.adapter)
    return figures + start.figures


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--megabytes", type=int, default=512, help="size of the synthetic store (default 512)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="repetitions of each measurement (default 3)")
    parser.add_argument("--cold", action="store_true", help="also with the files out of the page cache")
    parser.add_argument(
        "--sweep", action="store_true", help="also other sizes and numbers of staging buffers"
    )
    parser.add_argument("--site", type=Path, help="a packaged site to start, too")
    parser.add_argument("--model", choices=("klein4b", "small"), help="a model of random bytes to start, too")
    parser.add_argument("--side", type=int, default=64, help="pixels of the pictures' sides (default 64)")
    parser.add_argument("--steps", type=int, default=1, help="steps of the pictures (default 1)")
    parser.add_argument("--adapter", choices=ADAPTERS, default="auto")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument("--profile", type=Path, help="browser profile folder to use and keep")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="kleinbild-bench-") as folder:
            options.profile = options.profile or Path(folder)
            figures = asyncio.run(run(options))
    except KleinbildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
