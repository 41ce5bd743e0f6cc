"""The running server: a bound on connections, which nobody can use up for good."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web

from kleinbild.server.listen import bind, running

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def test_connections_beyond_the_bound_are_closed_and_come_back() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="here")

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        try:
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(4)
        except (ConnectionError, asyncio.IncompleteReadError):
            return False
        return head.startswith(b"HTTP/1.1 200")

    async def answered_anew(port: int) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            return await answered(reader, writer)
        finally:
            await close(writer)

    async def close(writer: asyncio.StreamWriter) -> None:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def test() -> None:
        app = web.Application()
        app.router.add_get("/", answer)
        sockets = bind("127.0.0.1", 0)
        port = sockets[0].getsockname()[1]
        async with running(app, sockets, verbose=False, max_connections=2):
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
            assert [await answered(*one) for one in held] == [True, True]
            assert not await answered_anew(port)
            assert await answered(*held[0]), "those before are not disturbed"
            await close(held[0][1])
            while not await answered_anew(port):
                await asyncio.sleep(0.01)
            await close(held[1][1])

    asyncio.run(asyncio.wait_for(test(), 20))
