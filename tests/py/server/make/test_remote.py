"""Pictures from a server: the real application on a fake engine, and servers that say anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from server.api.faces import KEY, Api, on_an_api
from server.fake_site import png
from server.queue.fake_engine import PREVIEW, job

from kleinbild.errors import KleinbildError
from kleinbild.server.generate.messages import ProgressMessage
from kleinbild.server.generate.page_session import PageError
from kleinbild.server.generate.session import Preview
from kleinbild.server.listen import bind, running
from kleinbild.server.make.remote import Remote, remote_maker
from kleinbild.server.site import open_site

BIG_SEED = 2**64 - 1


def test_a_picture_and_its_progress(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        async with remote_maker(api.url, KEY, print) as remote:
            site = open_site(fake_site)
            assert await remote.serves(site) is True
            assert await remote.serves(replace(site, build="other")) is False
            seen: list[ProgressMessage] = []
            making = asyncio.create_task(remote.make(replace(job("hold"), seed=BIG_SEED), seen.append))
            while not seen:
                await asyncio.sleep(0.002)
            assert api.queue.in_hand is not None
            assert api.queue.in_hand.job.seed == BIG_SEED
            api.engines.release.set()
            picture = await making
            assert (picture.png, picture.seconds) == (png(16, 16), {"transformer": 0.5})
            assert seen[0].fraction == 0.5
            assert len(api.queue.store) == 0  # nobody will ask for it again
            with pytest.raises(PageError, match="too-large: in words"):
                await remote.make(job("too-large"), seen.append)

    on_an_api(fake_site, test, key=KEY)


def test_previews_of_a_job_that_wants_them(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        async with remote_maker(api.url, None, print) as remote:
            for wanted in (True, False):
                shown: list[Preview] = []
                await remote.make(replace(job("x"), preview=wanted), lambda _: None, shown.append)
                # Of a picture that is done at once the stream may tell its end only.
                assert shown in ([PREVIEW], []) if wanted else shown == []
            shown = []
            wanted_job = replace(job("hold"), preview=True)
            making = asyncio.create_task(remote.make(wanted_job, lambda _: None, shown.append))
            while not shown:
                await asyncio.sleep(0.002)
            api.engines.release.set()
            await making
            assert shown == [PREVIEW]

    on_an_api(fake_site, test)


def test_a_wrong_key_is_told(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        async with remote_maker(api.url, None, print) as remote:
            with pytest.raises(KleinbildError, match="wants its key"):
                await remote.make(job(), print)

    on_an_api(fake_site, test, key=KEY)


def test_cancelled_here_it_is_cancelled_there(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        async with remote_maker(api.url, None, print) as remote:
            making = asyncio.create_task(remote.make(job("hold"), lambda _: None))
            await api.begun()
            making.cancel()
            with pytest.raises(asyncio.CancelledError):
                await making
        while api.queue.in_hand is not None:
            await asyncio.sleep(0.002)
        assert api.engines.made == ["hold"]

    on_an_api(fake_site, test)


def test_it_waits_for_a_place_and_is_given_back_at_the_end(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        notes: list[str] = []
        await api.ask("POST", "/jobs", {"prompt": "hold"})
        await api.begun()
        await api.ask("POST", "/jobs", {"prompt": "x"})
        async with remote_maker(api.url, None, notes.append) as remote:
            making = asyncio.create_task(remote.make(job(), lambda _: None))
            while not notes:
                await asyncio.sleep(0.002)
            assert "queue is full" in notes[0]
            making.cancel()
            await asyncio.gather(making, return_exceptions=True)
            await api.queue.close(0)
            with pytest.raises(KleinbildError, match="stopping"):
                await remote.make(job(), print)

    on_an_api(fake_site, test, max_waiting=1)


@asynccontextmanager
async def saying(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[Remote]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    sockets = bind("127.0.0.1", 0)
    async with (
        running(app, sockets, False),
        remote_maker(f"http://127.0.0.1:{sockets[0].getsockname()[1]}", None, print) as remote,
    ):
        yield remote


ID = '{"id": "x", "error": null}'


@pytest.mark.parametrize(
    ("created", "events", "picture"),
    [
        ("no json", "", b""),
        ("[]", "", b""),
        ('{"id": "../../etc"}', "", b""),
        ('{"id": 3}', "", b""),
        (ID, "", b""),
        (ID, "data: {\n\n", b""),
        (ID, 'data: {"finished": null, "progress": {"stage": 3}}\n\n', b""),
        (ID, 'data: {"finished": 1, "state": "failed", "error": {"code": "A B"}}\n\n', b""),
        (ID, 'data: {"finished": 1, "state": "cancelled", "error": null}\n\n', b""),
        (ID, 'data: {"finished": 1, "state": "done", "seconds": {}}\n\n', b"GIF89a"),
        (ID, 'data: {"finished": 1, "state": "done", "seconds": {}}\n\n', png(32, 32)),
        (ID, 'data: {"finished": 1, "state": "done", "seconds": 3}\n\n', png(16, 16)),
    ],
)
def test_other_servers_are_refused(created: str, events: str, picture: bytes) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return web.Response(status=202, text=created)
        if request.path.endswith("/events"):
            return web.Response(text=events)
        return web.Response(body=picture)

    async def run() -> None:
        async with saying(answer) as remote:
            with pytest.raises(KleinbildError):
                await remote.make(job(), lambda _: None)

    asyncio.run(asyncio.wait_for(run(), 20))


def test_no_server_and_another_one(fake_site: Path) -> None:
    async def other(request: web.Request) -> web.StreamResponse:
        return web.json_response({"status": "ok"})

    async def run() -> None:
        site = open_site(fake_site)
        async with saying(other) as remote:
            assert await remote.serves(site) is None
        async with remote_maker("http://127.0.0.1:9", None, print) as nobody:
            assert await nobody.serves(site) is None
            with pytest.raises(KleinbildError, match="cannot be reached"):
                await nobody.make(job(), print)

    asyncio.run(asyncio.wait_for(run(), 20))
