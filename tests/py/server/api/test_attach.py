"""The picture server on a page that somebody has open: who may be it, and what its coming and going costs.

The page is a WebSocket of the test's own, which says what src_js/app/make/loan.js says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from server.api.faces import Reply
from server.fake_site import BUILD, png

from kleinbild.server.api.app import ApiOptions, create_api
from kleinbild.server.api.metrics import Metrics
from kleinbild.server.generate import attached, page_session, session
from kleinbild.server.generate.attached import OTHER_BUILD, TAKEN, WRONG_TOKEN, Attachment
from kleinbild.server.listen import bind, running
from kleinbild.server.make.remote import remote_maker
from kleinbild.server.queue.queue import Queue, QueueLimits
from kleinbild.server.site import open_site

KEY = "0123456789abcdef-key"
PICTURE = {"prompt": "x", "width": 16, "height": 16}
Socket = aiohttp.ClientWebSocketResponse


@dataclass
class Server:
    """A picture server that waits for a page."""

    url: str
    attachment: Attachment
    queue: Queue
    client: aiohttp.ClientSession
    notes: list[str] = field(default_factory=list)
    pages: list[Socket] = field(default_factory=list)

    async def ask(self, method: str, path: str, body: Any = None) -> Reply:
        """One request, as a client with the key."""
        headers = {"Authorization": f"Bearer {KEY}"}
        async with self.client.request(method, self.url + path, json=body, headers=headers) as answer:
            return Reply(answer.status, dict(answer.headers), await answer.read())

    async def page(
        self, *, token: str | None = None, build: str = BUILD, origin: str | None = None
    ) -> Socket:
        """A page that wants to be the engine; nobody has answered it yet."""
        page = await self.client.ws_connect(
            self.url + attached.PATH,
            protocols=("kleinbild", token or self.attachment.token, f"build.{build}"),
            origin=origin or self.url,
        )
        self.pages.append(page)
        return page

    async def attached_page(self) -> Socket:
        """A page that is the engine."""
        page = await self.page()
        assert (await page.receive_json())["type"] == "start"
        await page.send_json({"type": "info", "text": "a GPU, auto"})
        while self.queue.engine is None:
            await asyncio.sleep(0.002)
        return page

    async def ended(self, job: str) -> dict[str, Any]:
        """The record of a job, once it has ended."""
        while True:
            record: dict[str, Any] = (await self.ask("GET", f"/jobs/{job}")).json
            if record["finished"]:
                return record
            await asyncio.sleep(0.005)


async def job_of(page: Socket) -> int:
    """The number of the job that comes to `page`."""
    job = await page.receive_json(timeout=10)
    assert (job["type"], job["trace"], job["latents"], job["memoryBudget"]) == ("job", False, False, None)
    number: int = job["job"]
    return number


async def finish(page: Socket, number: int, *, preview: bool = False) -> None:
    """`page` has made the picture, and shown what it looked like before when `preview`s are wanted."""
    size = {"width": 16, "height": 16}
    await page.send_json({"type": "progress", "stage": "transformer", "step": 1, "steps": 1, "fraction": 0.9})
    if preview:
        await page.send_json({"type": "preview", "job": number, "step": 1, "width": 2, "height": 1})
        await page.send_bytes(png(2, 1))
    await page.send_json({"type": "result", "job": number, "seconds": {"transformer": 0.5}} | size)
    await page.send_bytes(png(16, 16))


@asynccontextmanager
async def waiting_server(site: Path, page_seconds: float) -> AsyncIterator[Server]:
    sockets = bind("127.0.0.1", 0)
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    attachment = Attachment(url, BUILD)
    notes: list[str] = []
    metrics = Metrics()
    queue = Queue(attachment.open, QueueLimits(page_seconds=page_seconds), notes.append, metrics.ended)
    options = ApiOptions(url, KEY)
    app = create_api(open_site(site), queue, metrics, options, [attachment.route()])
    async with running(app, sockets, False, cancel_handlers=True), aiohttp.ClientSession() as client:
        queue.start()
        server = Server(url, attachment, queue, client, notes)
        yield server
        await queue.close(0)
        for page in server.pages:
            await page.close()


def on_a_server(site: Path, test: Callable[[Server], Awaitable[None]], *, page_seconds: float = 30.0) -> None:
    async def run() -> None:
        async with waiting_server(site, page_seconds) as server:
            await test(server)

    asyncio.run(asyncio.wait_for(run(), 40))


def test_the_open_page_makes_the_pictures_of_all_faces(fake_site: Path) -> None:
    async def test(server: Server) -> None:
        assert (await server.ask("GET", "/healthz")).json["status"] == "no-page"
        async with remote_maker(server.url, KEY, print) as generate:
            assert await generate.serves(open_site(fake_site)) is None  # it rather starts its own browser
        waiting = asyncio.create_task(server.ask("POST", "/sdapi/v1/txt2img", PICTURE))
        page = await server.attached_page()
        assert server.queue.engine is not None
        assert server.queue.engine.device == "a GPU, auto"
        await finish(page, await job_of(page), preview=True)
        assert (await waiting).status == 200
        await page.send_json({"type": "memory", "least": 1, "whole": 2, "budget": 3})
        job = (await server.ask("POST", "/jobs", PICTURE)).json["id"]
        number = await job_of(page)
        await finish(page, number)
        assert (await server.ended(job))["state"] == "done"
        assert (await server.ask("GET", f"/jobs/{job}/picture")).body == png(16, 16)
        metrics = (await server.ask("GET", "/metrics")).body
        assert b"kleinbild_gpu_memory_needed_bytes 2.0" in metrics
        assert (await server.ask("GET", "/healthz")).json["status"] == "ok"

    on_a_server(fake_site, test)


def test_nobody_else_may_be_the_page(fake_site: Path) -> None:
    async def test(server: Server) -> None:
        for wrong in ({"origin": "http://evil.example"}, {"origin": "null"}):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await server.page(**wrong)
            assert refused.value.status == 404
        for named, code in (
            ({"token": "x" * 43}, WRONG_TOKEN),
            ({"token": "\u00e9"}, WRONG_TOKEN),
            ({"build": "older"}, OTHER_BUILD),
        ):
            page = await server.page(**named)
            assert (await page.receive()).type is aiohttp.WSMsgType.CLOSE
            assert page.close_code == code
        page = await server.client.ws_connect(server.url + attached.PATH, origin=server.url)
        await page.receive()
        assert page.close_code == WRONG_TOKEN
        first = await server.attached_page()
        second = await server.page()
        await second.receive()
        assert second.close_code == TAKEN
        waiting = asyncio.create_task(server.ask("POST", "/sdapi/v1/txt2img", PICTURE))
        await finish(first, await job_of(first))  # it has not noticed
        assert (await waiting).status == 200

    on_a_server(fake_site, test)


def test_without_a_page_a_picture_waits_a_while(fake_site: Path) -> None:
    async def test(server: Server) -> None:
        openai = {"prompt": "x", "response_format": "b64_json"}
        answers = await asyncio.gather(
            server.ask("POST", "/v1/images/generations", openai),
            server.ask("POST", "/sdapi/v1/txt2img", PICTURE),
        )
        for answer in answers:
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) >= 1
            assert b"open the address that it printed" in answer.body
        # A page that came and went in between begins the time anew, and one that stays ends it.
        job = (await server.ask("POST", "/jobs", PICTURE)).json["id"]
        await (await server.attached_page()).close()
        record = await server.ended(job)
        assert record["error"]["code"] == "no-page"
        page = await server.attached_page()
        kept = (await server.ask("POST", "/jobs", PICTURE)).json["id"]
        await asyncio.sleep(0.4)
        assert (await server.ask("GET", f"/jobs/{kept}")).json["state"] == "running"
        assert not page.closed

    on_a_server(fake_site, test, page_seconds=0.2)


def test_a_page_that_is_closed_costs_one_try(fake_site: Path) -> None:
    async def test(server: Server) -> None:
        job = (await server.ask("POST", "/jobs", PICTURE)).json["id"]
        next_one = (await server.ask("POST", "/jobs", PICTURE)).json["id"]
        page = await server.attached_page()
        await job_of(page)
        await page.close()
        page = await server.attached_page()  # reloaded
        await finish(page, await job_of(page))
        assert (await server.ended(job))["state"] == "done"
        for _ in range(2):
            await job_of(page)
            await page.close()
            page = await server.attached_page()
        assert (await server.ended(next_one))["error"]["code"] == "engine-lost"
        assert any("the page was closed" in note for note in server.notes)
        assert any("waiting for another one" in note for note in server.notes)

    on_a_server(fake_site, test)


def test_cancel_reaches_the_page_and_its_own_cancel_the_client(fake_site: Path) -> None:
    async def test(server: Server) -> None:
        page = await server.attached_page()
        job = (await server.ask("POST", "/jobs", PICTURE)).json["id"]
        number = await job_of(page)
        ending = asyncio.create_task(server.ask("DELETE", f"/jobs/{job}"))
        assert await page.receive_json() == {"type": "cancel", "job": number}
        await page.send_json({"type": "error", "job": number, "code": "cancelled", "message": "x"})
        assert (await ending).json["state"] == "cancelled"
        waiting = asyncio.create_task(server.ask("POST", "/sdapi/v1/txt2img", PICTURE))
        number = await job_of(page)
        await page.send_json({"type": "error", "job": number, "code": "cancelled", "message": "x"})
        assert (await waiting).status == 410

    on_a_server(fake_site, test)


def test_a_page_may_be_busy_but_not_stuck(fake_site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_session, "STALL_SECONDS", 0.2)
    monkeypatch.setattr(session, "CANCEL_SECONDS", 0.1)

    async def test(server: Server) -> None:
        page = await server.attached_page()
        job = (await server.ask("POST", "/jobs", PICTURE)).json["id"]
        number = await job_of(page)
        await asyncio.sleep(0.5)  # it makes a picture of its own, and says nothing
        await finish(page, number)
        assert (await server.ended(job))["state"] == "done"
        job = (await server.ask("POST", "/jobs", PICTURE)).json["id"]
        await job_of(page)
        begun = {"type": "progress", "stage": "transformer", "step": 0, "steps": 1, "fraction": 0.1}
        await page.send_json(begun)
        assert (await page.receive()).type is aiohttp.WSMsgType.CLOSE
        page = await server.attached_page()
        await job_of(page)
        deleting = asyncio.create_task(server.ask("DELETE", f"/jobs/{job}"))
        assert (await page.receive_json())["type"] == "cancel"
        assert (await page.receive()).type is aiohttp.WSMsgType.CLOSE
        assert (await deleting).json["state"] == "cancelled"

    on_a_server(fake_site, test)
