"""One origin, one store: the page's files live under the origin they were loaded from.

localhost, 127.0.0.1 and [::1] are three different stores of several GB each, so every loopback name is sent
on to the one canonical URL. A foreign name gets no answer at all: that closes DNS rebinding.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from yarl import URL

from kleinbild.server.headers import plain_answer

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def canonical_url(host: str, port: int, scheme: str = "http") -> str:
    """The one URL of a server that listens on `host` (name or address) and `port`, without a trailing slash.

    A server that listens everywhere is reached by its own machine: its canonical name is 127.0.0.1.
    """
    name = "127.0.0.1" if host in ("", "0.0.0.0", "::") else host
    return str(URL.build(scheme=scheme, host=name, port=port).origin())


def is_loopback(host: str) -> bool:
    """Whether a browser treats http://`host` as a secure context (without one there is no WebGPU)."""
    name = host.lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _split_authority(authority: str, scheme: str) -> URL | None:
    """The Host header as a URL, or None when it is no plain host[:port]."""
    if not authority or any(c in authority for c in "/?#@\\ "):
        return None
    try:
        url = URL(f"{scheme}://{authority}/")
        return url if url.host else None
    except ValueError:
        return None


def host_guard(canonical: str, direct: Callable[[str], bool] = lambda _: False) -> Middleware:
    """Middleware: pass requests for `canonical`, 308 those for another loopback name, 421 all others.

    Paths that are `direct` keep nothing in a browser's store: they pass under every loopback name of a
    loopback server, since many clients do not follow a redirect with a body.
    """
    home = URL(canonical)
    at_home = is_loopback(home.host or "")

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        hosts = request.headers.getall("Host", [])
        asked = _split_authority(hosts[0], home.scheme) if len(hosts) == 1 else None
        if asked is not None and (asked.host, asked.port) == (home.host, home.port):
            return await handler(request)
        if asked is not None and asked.host in LOOPBACK_NAMES:
            if at_home and asked.port == home.port and direct(request.path):
                return await handler(request)
            path = request.raw_path if request.raw_path.startswith("/") else "/"
            target = canonical + path
            return plain_answer(308, f"This site lives at {canonical}/", {"Location": target})
        return plain_answer(421, f"This server answers only for {canonical}/")

    return guard
