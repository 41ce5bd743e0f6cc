"""The listener in the LAN: a picture at its path, as long and as often as said, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

import aiohttp
import pytest
from server.fake_site import png

from kleinbild.server.kiosk.operator_file import TakeHome
from kleinbild.server.kiosk.take_home import MAX_PICTURES, Offers, create_take_home, take_home_url
from kleinbild.server.listen import bind, running

LIMITS = TakeHome(ip_address("127.0.0.1"), 0, 60, 2, True)


class Clock:
    time = 0.0

    def __call__(self) -> float:
        return self.time


def with_listener(use: Callable[[Offers, Clock, aiohttp.ClientSession], Awaitable[None]]) -> None:
    async def run() -> None:
        clock = Clock()
        offers = Offers(LIMITS, clock)
        sockets = bind("127.0.0.1", 0)
        base = take_home_url(LIMITS, sockets[0].getsockname()[1])
        async with running(create_take_home(offers), sockets, False), aiohttp.ClientSession(base) as client:
            await use(offers, clock, client)

    asyncio.run(run())


def test_a_picture_as_often_as_said() -> None:
    async def use(offers: Offers, _: Clock, client: aiohttp.ClientSession) -> None:
        path = offers.add(png(64, 64))
        assert len(path) == len("/p/") + 22 + len(".png")
        async with client.head(path) as answer:
            assert answer.status == 200  # a look costs nothing
        for _again in range(2):
            async with client.get(path) as answer:
                assert (answer.status, await answer.read()) == (200, png(64, 64))
                assert answer.headers["Content-Type"] == "image/png"
                assert answer.headers["Cache-Control"] == "no-store"
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                assert "Server" not in answer.headers
        async with client.get(path) as answer:
            assert answer.status == 404

    with_listener(use)


def test_nothing_else() -> None:
    async def use(offers: Offers, _: Clock, client: aiohttp.ClientSession) -> None:
        path = offers.add(png(64, 64))

        async def status(method: str, asked: str) -> int:
            async with client.request(method, asked) as answer:
                assert b"html" not in await answer.read()
                return answer.status

        asked = [
            "/",
            "/p/",
            "/kiosk/config.json",
            "/index.html",
            path[:-1],
            path + "/",
            "/p/" + "A" * 22 + ".png",
        ]
        found = await asyncio.gather(*(status("GET", one) for one in asked), status("POST", path))
        assert found == [404] * len(asked) + [405]

    with_listener(use)


def test_for_as_long_as_said() -> None:
    clock = Clock()
    offers = Offers(LIMITS, clock)
    path = offers.add(b"x")
    clock.time = 59.9
    assert offers.find(path)
    clock.time = 60
    assert not offers.find(path)


def test_the_oldest_go_first() -> None:
    offers = Offers(LIMITS, Clock())
    paths = [offers.add(b"x") for _ in range(MAX_PICTURES + 1)]
    assert len(set(paths)) == len(paths)
    assert not offers.find(paths[0])
    assert all(offers.find(path) for path in paths[1:])


@pytest.mark.parametrize(
    ("address", "url"), [("192.168.1.20", "http://192.168.1.20:81"), ("fd00::1", "http://[fd00::1]:81")]
)
def test_url(address: str, url: str) -> None:
    assert take_home_url(TakeHome(ip_address(address), 81, 1, 1, True), 81) == url
