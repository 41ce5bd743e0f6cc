"""Answers that end before their time, over real sockets: what the client sees, and what the log says."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kleinbild.server.app import create_app
from kleinbild.server.listen import bind, running

BYTES = 64 << 20  # more than any socket buffers


@asynccontextmanager
async def download(folder: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client that has begun to read /large.bin, whose first bytes it has seen."""
    with (folder / "large.bin").open("wb") as file:
        file.truncate(BYTES)
    sockets = bind("127.0.0.1", 0)
    authority = f"127.0.0.1:{sockets[0].getsockname()[1]}"
    async with running(create_app(folder, f"http://{authority}"), sockets, False):
        reader, writer = await asyncio.open_connection(*authority.split(":"))
        writer.write(f"GET /large.bin HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert f"content-length: {BYTES}".encode() in head.lower()
        yield reader, writer
        writer.close()


async def until_closed(path: Path) -> None:
    """Returns when no process of ours holds `path` open any more."""
    async with asyncio.timeout(20):
        while any(path.samefile(link) for link in Path("/proc/self/fd").iterdir() if link.exists()):
            await asyncio.sleep(0.01)


def test_a_client_that_goes_away_is_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        async with download(tmp_path) as (_, writer):
            writer.transport.abort()
            await until_closed(tmp_path / "large.bin")

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    assert caplog.records == []


def test_a_file_that_shrinks_gives_a_short_body(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> int:
        async with download(tmp_path) as (reader, _):
            os.truncate(tmp_path / "large.bin", 1 << 20)
            size = 0
            async with asyncio.timeout(20):
                try:
                    while chunk := await reader.read(1 << 20):
                        size += len(chunk)
                except ConnectionResetError:  # what was on its way may be lost with the connection
                    pass
            return size

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(run()) < BYTES
    assert caplog.records == []
