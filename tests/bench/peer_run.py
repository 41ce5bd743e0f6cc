"""One run of the peer benchmark: serves the page to a headless Chromium until every job has an outcome.

A browser that ends or falls silent costs the job it was at; the next one goes on with the rest.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from peer_folder import GraphFolder
from peer_plan import Plan
from peer_server import PAGE, PeerServer, Report
from peer_table import Outcome

from kleinbild.errors import KleinbildError
from kleinbild.server.generate.browser import Browser, running_browser
from kleinbild.server.generate.chromium import ORIGIN, browser_arguments, find_chromium
from kleinbild.server.generate.profile import locked_profile

MOST_BROWSERS = 4
# Beyond a job's own limit, which the page watches: a silence this long means that the page is gone.
GRACE_SECONDS = 20.0
SHUTDOWN_SECONDS = 1.0


class PeerRun:
    """The state of a run. `outcomes` are by job and family; `adapter` is what the browser said of its GPU."""

    def __init__(
        self, plan: Plan, job_seconds: float, budget_seconds: float, log: Callable[[str], None]
    ) -> None:
        self.outcomes: dict[tuple[str, str], Outcome] = {}
        self.families: list[str] = []
        self.adapter: dict[str, Any] = {}
        self.notes: set[str] = set()
        self._plan = plan
        self._job_seconds = job_seconds
        self._end = time.monotonic() + budget_seconds
        self._log = log
        self._current: tuple[str, str] | None = None
        self._ended = asyncio.Event()
        self._error = ""
        self._heard = time.monotonic()

    async def run(self, graphs: GraphFolder, ort: Path, software: bool) -> None:
        """Runs all jobs. Raises KleinbildError when there is no browser, or no GPU in it."""
        executable = find_chromium(os.environ)
        runner = web.AppRunner(
            PeerServer(self.page_plan, graphs, ort, self.take).app(), shutdown_timeout=SHUTDOWN_SECONDS
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            for _ in range(MOST_BROWSERS):
                reason = await self._browse(executable, port, software)
                if not reason:
                    break
                self._log(reason)
        finally:
            await runner.cleanup()
        if self._error or not self.families:
            raise KleinbildError(self._error or reason)

    def page_plan(self) -> dict[str, Any]:
        """What the page is told: every job, and those that have an outcome already."""
        return {
            **self._plan.to_json(),
            "done": [f"{family} {job}" for job, family in self.outcomes],
            "job_seconds": self._job_seconds,
            "budget_seconds": max(0.0, self._end - time.monotonic()),
        }

    def take(self, report: Report) -> None:
        """A report of the page."""
        self._heard = time.monotonic()
        match report["type"]:
            case "adapter":
                self.adapter, self.families = report["adapter"], report["families"]
            case "begin":
                self._current = (report["job"], report["family"])
            case "result":
                key = (report["job"], report["family"])
                self._current = None
                self.outcomes[key] = Outcome(tuple(report.get("ms", ())), report.get("error", ""))
                if note := report.get("note"):
                    self.notes.add(f"{key[1]}: {note}")
                self._log(f"{key[1]:6}  {key[0]:40}  {_summary(self.outcomes[key])}")
            case "end":
                self._error = report["error"] or ""
                self._ended.set()

    async def _browse(self, executable: str, port: int, software: bool) -> str:
        """One browser until it has done everything (""), ends, or falls silent (what happened)."""
        self._current, self._heard = None, time.monotonic()
        with tempfile.TemporaryDirectory(prefix="kleinbild-peer-", ignore_cleanup_errors=True) as folder:
            async with locked_profile(Path(folder), self._log) as profile:
                arguments = browser_arguments(profile.path, port, f"{ORIGIN}/{PAGE}", software)
                async with running_browser(executable, arguments, profile) as browser:
                    reason = await self._watch(browser)
        if reason and self._current:
            self.outcomes[self._current] = Outcome(error=reason)
        return reason

    async def _watch(self, browser: Browser) -> str:
        """Waits for the page's end; what went wrong if it does not come, else ""."""
        ended = asyncio.create_task(self._ended.wait())
        left = asyncio.create_task(browser.process.wait())
        try:
            while not ended.done():
                await asyncio.wait({ended, left}, timeout=1, return_when=asyncio.FIRST_COMPLETED)
                if left.done() and not ended.done():
                    return f"the browser ended with status {left.result()}{browser.last_words()}"
                silent = time.monotonic() - self._heard
                if silent > self._job_seconds + GRACE_SECONDS:
                    return f"the page was silent for {silent:.0f} s{browser.last_words()}"
            return ""
        finally:
            ended.cancel()
            left.cancel()


def _summary(outcome: Outcome) -> str:
    return outcome.error if outcome.best is None else f"{outcome.best:.2f} ms"
