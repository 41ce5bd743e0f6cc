"""What the kiosk's server tells and takes: settings without secrets, the PIN and what it opens, pictures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from server.fake_site import png

from kleinbild.server.app import create_app
from kleinbild.server.host import canonical_url
from kleinbild.server.kiosk.desk import SESSION_SECONDS, Desk
from kleinbild.server.kiosk.operator_file import parse_operator_file
from kleinbild.server.kiosk.take_home import Offers
from kleinbild.server.listen import bind, running

ALIVE = {"state": "attract", "pictures": 3, "problem": ""}


class Bench:
    """A served desk and what it told the supervisor."""

    now = 1000.0

    def __init__(self, desk: Desk, client: aiohttp.ClientSession, told: list[dict[str, Any]]) -> None:
        self.desk, self.client, self.told = desk, client, told

    async def get(self, path: str) -> tuple[int, bytes]:
        async with self.client.get(path) as answer:
            return answer.status, await answer.read()

    async def post(self, path: str, body: object, origin: str | None = None) -> tuple[int, bytes]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Origin": self.desk.origin if origin is None else origin}
        async with self.client.post(path, data=data, headers=headers) as answer:
            return answer.status, await answer.read()


def with_desk(
    site: Path, folder: Path, operator: dict[str, Any], use: Callable[[Bench], Awaitable[None]]
) -> None:
    async def run() -> None:
        sockets = bind("127.0.0.1", 0)
        origin = canonical_url("127.0.0.1", sockets[0].getsockname()[1])
        told: list[dict[str, Any]] = []
        checked = parse_operator_file(json.dumps(operator).encode(), folder / "operator.json")
        desk = Desk(origin, checked, told.append, clock=lambda: bench.now)
        if checked.take_home:
            desk.offers = Offers(checked.take_home, desk.clock)
            desk.take_home_url = "http://10.0.0.1:8090"
        async with aiohttp.ClientSession(origin) as client:
            bench = Bench(desk, client, told)
            async with running(create_app(site, origin, desk.routes()), sockets, False):
                await use(bench)

    asyncio.run(run())


def test_settings_hold_no_secret(fake_site: Path, tmp_path: Path) -> None:
    operator = {
        "pin": "271828",
        "keep_pictures": "hidden-folder",
        "take_home": {"address": "10.0.0.1"},
        "cards": [{"title": "Fox", "prompt": "a fox", "seed": 2**63 + 1}],
    }

    async def use(bench: Bench) -> None:
        status, body = await bench.get("/kiosk/config.json")
        config = json.loads(body)
        assert status == 200
        for secret in (b"271828", b"scrypt", b"hidden-folder", b"10.0.0.1"):
            assert secret not in body
        assert config["pin"] is True
        assert config["takeHome"] == {"qr": True, "seconds": 600}
        assert config["cards"][0]["seed"] == str(2**63 + 1)
        assert config["sizes"] == [[512, 512]]

    with_desk(fake_site, tmp_path, operator, use)


def test_only_our_own_page_changes_anything(fake_site: Path, tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        for path in ("alive", "pin", "command", "keep", "take-home"):
            for origin in ("", "http://evil.example", "null"):
                assert (await bench.post(f"/kiosk/{path}", ALIVE, origin))[0] == 403
        assert bench.told == []
        assert (await bench.get("/kiosk/nothing"))[0] == 404

    with_desk(fake_site, tmp_path, {}, use)


def test_signs_of_life(fake_site: Path, tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        assert (await bench.post("/kiosk/alive", ALIVE))[0] == 204
        assert (await bench.post("/kiosk/alive", {**ALIVE, "restart": True}))[0] == 204
        assert bench.told == [{"type": "alive"}, {"type": "fresh-browser"}]
        bad: list[object] = [
            [],
            {},
            {**ALIVE, "state": "x"},
            {**ALIVE, "pictures": "3"},
            {**ALIVE, "problem": "x" * 500},
            b"{" * 5000,
        ]
        assert [(await bench.post("/kiosk/alive", body))[0] for body in bad] == [400, 400, 400, 400, 400, 413]
        assert len(bench.told) == 2

    with_desk(fake_site, tmp_path, {}, use)


def test_the_pin_and_what_it_opens(fake_site: Path, tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        assert (await bench.post("/kiosk/pin", {"pin": "../../"}))[0] == 400
        status, body = await bench.post("/kiosk/pin", {"pin": "000000"})
        assert (status, json.loads(body)) == (403, {"tries_left": 4, "wait": 0.0})
        assert (await bench.post("/kiosk/command", {"token": "", "command": "leave"}))[0] == 403
        bench.desk.status = {"version": "9"}
        await bench.post("/kiosk/alive", ALIVE)
        status, body = await bench.post("/kiosk/pin", {"pin": "271828"})
        answer = json.loads(body)
        assert status == 200
        assert answer["status"] == {"version": "9", "page": ALIVE}
        token = answer["token"]
        assert (await bench.post("/kiosk/command", {"token": token, "command": "rm"}))[0] == 400
        bench.now += SESSION_SECONDS
        assert (await bench.post("/kiosk/command", {"token": token, "command": "leave"}))[0] == 403
        token = json.loads((await bench.post("/kiosk/pin", {"pin": "271828"}))[1])["token"]
        assert (await bench.post("/kiosk/command", {"token": token, "command": "leave"}))[0] == 204
        assert bench.told[-1] == {"type": "leave"}
        assert (await bench.post("/kiosk/command", {"token": token, "command": "leave"}))[0] == 403

    with_desk(fake_site, tmp_path, {"pin": "271828"}, use)


def test_lock_out(fake_site: Path, tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        found = [(await bench.post("/kiosk/pin", {"pin": "000000"}))[0] for _ in range(6)]
        assert found == [403, 403, 403, 403, 429, 429]
        status, body = await bench.post("/kiosk/pin", {"pin": "271828"})
        assert (status, json.loads(body)) == (429, {"tries_left": 0, "wait": 30.0})

    with_desk(fake_site, tmp_path, {"pin": "271828"}, use)


def test_without_a_pin_nothing_opens(fake_site: Path, tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        assert (await bench.post("/kiosk/pin", {"pin": "000000"}))[0] == 404
        assert (await bench.post("/kiosk/command", {"token": "", "command": "leave"}))[0] == 403

    with_desk(fake_site, tmp_path, {}, use)


def test_pictures(fake_site: Path, tmp_path: Path) -> None:
    operator = {"keep_pictures": "kept", "attract": "recent", "take_home": {"address": "10.0.0.1"}}

    async def use(bench: Bench) -> None:
        assert await bench.get("/kiosk/pictures") == (200, b"[]")
        assert (await bench.post("/kiosk/keep", png(32, 16)))[0] == 204
        (path,) = json.loads((await bench.get("/kiosk/pictures"))[1])
        assert await bench.get(path) == (200, png(32, 16))
        assert (await bench.get("/kiosk/pictures/x"))[0] == 404
        status, body = await bench.post("/kiosk/take-home", png(32, 16))
        answer = json.loads(body)
        assert status == 200
        assert answer["url"].startswith("http://10.0.0.1:8090/p/")
        assert bench.desk.offers is not None
        assert bench.desk.offers.find(answer["url"].removeprefix("http://10.0.0.1:8090"))
        for path in ("/kiosk/keep", "/kiosk/take-home"):
            assert (await bench.post(path, b"<html>"))[0] == 400
            assert (await bench.post(path, png(32, 16)[:-4]))[0] == 400
        assert len(list((tmp_path / "kept").iterdir())) == 1

    with_desk(fake_site, tmp_path, operator, use)


@pytest.mark.parametrize("path", ["keep", "take-home"])
def test_what_is_turned_off_is_not_there(path: str, fake_site: Path, tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        assert (await bench.post(f"/kiosk/{path}", png(32, 16)))[0] == 404
        assert await bench.get("/kiosk/pictures") == (200, b"[]")

    with_desk(fake_site, tmp_path, {}, use)
