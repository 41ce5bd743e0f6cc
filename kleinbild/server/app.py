"""The site as an aiohttp application: the host guard before everything, health, files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Middleware

from kleinbild.server.disconnect import drop_broken_connections
from kleinbild.server.headers import plain_answer
from kleinbild.server.health import health
from kleinbild.server.host import host_guard
from kleinbild.server.static import static_files


def create_app(
    root: Path,
    canonical: str,
    routes: Sequence[web.RouteDef] = (),
    *,
    middlewares: Sequence[Middleware] = (),
    direct: Callable[[str], bool] = lambda _: False,
) -> web.Application:
    """The application that serves the site in `root` at `canonical` (scheme, host, port, no trailing slash).

    `routes` come before the site's own: a headless run adds its WebSocket, and hides what it must.
    `middlewares` come after the host guard; `direct` is its own.
    """
    app = web.Application(middlewares=[drop_broken_connections, host_guard(canonical, direct), *middlewares])
    app.add_routes(routes)
    app.router.add_route("*", "/healthz", health(root))
    app.router.add_route("*", "/{path:.*}", static_files(root))
    return app


async def nothing_here(request: web.Request) -> web.StreamResponse:
    """Handler that hides a path of the site."""
    return plain_answer(404, f"There is nothing at {request.path}")
