"""The kiosk's server as a process of its own, so that its end is not the supervisor's.

It is started by command.py with the listening sockets inherited: a page waits while it restarts, and is
refused by nobody. Its settings come as the first line on stdin, the state of the kiosk as further ones; it
tells on stdout, a line of JSON each, that it lives, that the page lives, and what the operator wants.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kleinbild.server.app import create_app
from kleinbild.server.generate.chromium import ORIGIN
from kleinbild.server.kiosk.desk import Desk
from kleinbild.server.kiosk.operator_file import parse_operator_file
from kleinbild.server.kiosk.take_home import Offers, create_take_home, take_home_url
from kleinbild.server.listen import running

TICK_SECONDS = 2.0
MAX_LINE_BYTES = 1 << 20


@dataclass(frozen=True)
class ServerSettings:
    """What the supervisor hands over. sockets, take_home: descriptors; take_home None: turned off."""

    site: Path
    operator: bytes  # the file's contents, as the supervisor has checked them
    operator_path: Path
    sockets: tuple[int, ...]
    take_home: int | None
    verbose: bool

    def to_line(self) -> bytes:
        """One line of JSON."""
        record = {
            "site": str(self.site),
            "operator": base64.b64encode(self.operator).decode(),
            "operator_path": str(self.operator_path),
            "sockets": self.sockets,
            "take_home": self.take_home,
            "verbose": self.verbose,
        }
        return json.dumps(record).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> ServerSettings:
        """What `to_line` wrote."""
        record = json.loads(line)
        return cls(
            Path(record["site"]),
            base64.b64decode(record["operator"]),
            Path(record["operator_path"]),
            tuple(record["sockets"]),
            record["take_home"],
            record["verbose"],
        )


def tell(message: dict[str, Any]) -> None:
    """One message for the supervisor."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


async def run() -> None:
    """Serve until stdin ends: then the supervisor has gone, or wants us to go."""
    reader = asyncio.StreamReader(limit=MAX_LINE_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    settings = ServerSettings.from_line(await reader.readline())
    operator = parse_operator_file(settings.operator, settings.operator_path)
    desk = Desk(ORIGIN, operator, tell)
    async with AsyncExitStack() as stack:
        if settings.take_home is not None and operator.take_home is not None:
            lan = socket.socket(fileno=settings.take_home)
            desk.offers = Offers(operator.take_home, time.monotonic)
            desk.take_home_url = take_home_url(operator.take_home, lan.getsockname()[1])
            app = create_take_home(desk.offers)
            await stack.enter_async_context(running(app, [lan], settings.verbose))
        sockets = [socket.socket(fileno=number) for number in settings.sockets]
        app = create_app(settings.site, ORIGIN, desk.routes())
        await stack.enter_async_context(running(app, sockets, settings.verbose))
        ticking = asyncio.create_task(_tick())
        try:
            while line := await reader.readline():
                desk.status = json.loads(line)
        finally:
            ticking.cancel()


async def _tick() -> None:
    while True:
        tell({"type": "tick"})
        await asyncio.sleep(TICK_SECONDS)


if __name__ == "__main__":
    asyncio.run(run())
