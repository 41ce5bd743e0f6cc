"""The persistent engine in a real browser, the model a stand-in: many jobs on one page, and its losses."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from server.fake_site import png

from kleinbild.server.generate import session as session_module
from kleinbild.server.generate.engine import Engine, EngineLost, EngineOptions, open_engine
from kleinbild.server.generate.messages import ProgressMessage
from kleinbild.server.generate.page_session import PageError
from kleinbild.server.generate.request import Job
from kleinbild.server.generate.session import Preview
from kleinbild.server.make.pixels import read_pixels
from kleinbild.server.site import open_site

JOB = Job(prompt="hello", width=64, height=64, seed=5, steps=2, latents=None, memory_budget=None, trace=False)


def ignore(_: object) -> None:
    """Progress nobody looks at."""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@asynccontextmanager
async def opened(site: Path) -> AsyncIterator[Engine]:
    options = EngineOptions("auto", "software", False)
    async with open_engine(open_site(site), options, ignore, ignore) as engine:
        yield engine


def with_engine(site: Path, use: Callable[[Engine], Awaitable[None]]) -> None:
    async def run() -> None:
        async with opened(site) as engine:
            await use(engine)

    asyncio.run(asyncio.wait_for(run(), 60))


async def hanging(engine: Engine, prompt: str, stop: asyncio.Event) -> asyncio.Task[object]:
    """A job that the page has begun and will not end by itself."""
    begun = asyncio.Event()
    making: asyncio.Task[object] = asyncio.create_task(
        engine.make(replace(JOB, prompt=prompt), lambda _: begun.set(), stop=stop)
    )
    await begun.wait()
    return making


def test_one_page_serves_many_jobs(fake_site: Path) -> None:
    async def use(engine: Engine) -> None:
        assert engine.device == "stand-in, auto"
        seen: list[ProgressMessage] = []
        first = await engine.make(JOB, seen.append)
        assert (first.png, first.seconds) == (png(64, 64), {"transformer": 0.25})
        assert [m.fraction for m in seen] == [0.5, 1.0]
        with pytest.raises(PageError, match="internal: TypeError") as caught:
            await engine.make(replace(JOB, prompt="bad type"), ignore)
        assert caught.value.code == "internal"
        assert (await engine.make(JOB, ignore)).png == first.png

        stop = asyncio.Event()
        making = await hanging(engine, "hang", stop)
        stop.set()
        with pytest.raises(PageError) as cancelled:
            await making
        assert cancelled.value.code == "cancelled"
        with pytest.raises(PageError, match="cancelled"):  # asked before the page has begun
            await engine.make(replace(JOB, prompt="hang"), ignore, stop=stop)
        assert (await engine.make(JOB, ignore)).png == first.png
        assert not engine.ended.done()

    with_engine(fake_site, use)


def test_previews_reach_whoever_wants_them(fake_site: Path) -> None:
    async def use(engine: Engine) -> None:
        for wanted in (True, False):
            shown: list[Preview] = []
            await engine.make(replace(JOB, preview=wanted), ignore, on_preview=shown.append)
            assert [(one.step, one.width, one.height) for one in shown] == ([(1, 2, 1)] if wanted else [])
            assert all(read_pixels(one.png).tolist() == [[[255] * 3] * 2] for one in shown)

    with_engine(fake_site, use)


def test_a_page_that_does_not_stop_is_given_up(fake_site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "CANCEL_SECONDS", 0.2)

    async def use(engine: Engine) -> None:
        stop = asyncio.Event()
        making = await hanging(engine, "deaf", stop)
        stop.set()
        with pytest.raises(EngineLost, match="did not stop"):
            await making

    with_engine(fake_site, use)


def test_a_killed_browser_is_a_lost_engine(fake_site: Path) -> None:
    async def use(engine: Engine) -> None:
        making = await hanging(engine, "hang", asyncio.Event())
        assert engine.process is not None
        os.kill(engine.process, signal.SIGKILL)
        with pytest.raises(EngineLost):
            await making
        assert engine.ended.done()
        with pytest.raises(EngineLost):
            await engine.make(JOB, ignore)

    with_engine(fake_site, use)


def test_a_fault_outside_a_job_ends_the_engine(fake_site: Path) -> None:
    async def use(engine: Engine) -> None:
        with pytest.raises(EngineLost, match="internal: Error: stray"):
            await engine.make(replace(JOB, prompt="fault"), ignore)

    with_engine(fake_site, use)
