"""Answers that end before their time: a client that goes away is no fault of the server's."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler


@web.middleware
async def drop_broken_connections(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware: a connection that broke while the answer was sent, or that a handler gives up by raising
    ConnectionError, ends without a word in the log; a client that still listens sees a short body."""
    try:
        return await handler(request)
    except ConnectionError:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()  # for nobody
