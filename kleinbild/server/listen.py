"""Sockets and the running server.

It binds before it builds the application: the canonical URL must be known then; every failure is one line.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from kleinbild.errors import KleinbildError
from kleinbild.server.app import create_app
from kleinbild.server.headers import make_strict
from kleinbild.server.host import canonical_url, is_loopback
from kleinbild.server.site import Site

BACKLOG = 128
SHUTDOWN_SECONDS = 1.0
MAX_CONNECTIONS = 512  # half of the files that a process may have open on many systems
ACCESS_LOG_FORMAT = "%r %s %b"


def bind(host: str, port: int) -> list[socket.socket]:
    """Listening sockets for `host`:`port` (0: any free port); the first is the canonical one.

    A loopback host also takes the other family's loopback address when it can, for the redirect from [::1].
    Raises KleinbildError when the address cannot be had.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # "localhost" may resolve to both families: IPv4 first, as 127.0.0.1 is what other programs try.
        family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
        first = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        reason = error.strerror or str(error)
        advice = "; choose another with --port" if not isinstance(error, socket.gaierror) else ""
        raise KleinbildError(f"cannot listen on {host} port {port}: {reason}{advice}") from None
    sockets = [first]
    if is_loopback(host):
        twin = ("::1", socket.AF_INET6) if family == socket.AF_INET else ("127.0.0.1", socket.AF_INET)
        # Without that family, or with the port taken there, the canonical address is enough.
        with contextlib.suppress(OSError):
            sockets.append(
                socket.create_server((twin[0], first.getsockname()[1]), family=twin[1], backlog=BACKLOG)
            )
    return sockets


def _not_the_clients_fault(record: logging.LogRecord) -> bool:
    """Keep records of our own faults; a request that is no HTTP got its 400 and needs no traceback."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


@asynccontextmanager
async def running(
    app: web.Application,
    sockets: list[socket.socket],
    verbose: bool,
    *,
    tls: ssl.SSLContext | None = None,
    cancel_handlers: bool = False,
    max_connections: int = MAX_CONNECTIONS,
) -> AsyncIterator[None]:
    """Serve `app` on `sockets` inside the context; `verbose` writes one line a request on stderr.

    `cancel_handlers`: a handler whose client has gone is cancelled. Beyond `max_connections` at once a new
    one is closed unheard.
    """
    logger = logging.getLogger("kleinbild.access")
    if verbose and not logger.handlers:
        logger.addHandler(logging.StreamHandler(sys.stderr))
        logger.setLevel(logging.INFO)
    faults = logging.getLogger("kleinbild.server")
    faults.addFilter(_not_the_clients_fault)
    runner = web.AppRunner(
        app,
        logger=faults,
        handle_signals=False,
        access_log=logger if verbose else None,
        access_log_format=ACCESS_LOG_FORMAT,
        shutdown_timeout=SHUTDOWN_SECONDS,
        handler_cancellation=cancel_handlers,
    )
    await runner.setup()
    make_strict(runner)
    _bound_connections(runner, max_connections)
    try:
        for sock in sockets:
            await web.SockSite(runner, sock, backlog=BACKLOG, ssl_context=tls).start()
        yield
    finally:
        await runner.cleanup()


def _bound_connections(runner: web.AppRunner, most: int) -> None:
    server = runner.server
    assert server is not None
    take = server.connection_made

    def connection_made(handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        take(handler, transport)
        if len(server.connections) > most:
            transport.abort()

    server.connection_made = connection_made  # type: ignore[method-assign]


async def serve(site: Site, host: str, port: int, verbose: bool) -> None:
    """Serve `site` until SIGINT or SIGTERM; prints the canonical URL once it answers."""
    sockets = bind(host, port)
    canonical = canonical_url(host, sockets[0].getsockname()[1])
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running(create_app(site.root, canonical), sockets, verbose):
        print(f"{canonical}/", flush=True)
        if not is_loopback(host):
            print(
                f"note: {host} is no loopback address; browsers elsewhere offer WebGPU only over https",
                file=sys.stderr,
            )
        await stop.wait()
