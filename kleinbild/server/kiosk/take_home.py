"""Pictures to take home: a listener of its own in the LAN that knows nothing but a few unguessable paths.

A path is one picture, for a while and a number of downloads. Nothing tells whether a path ever was one.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address

from aiohttp import web
from aiohttp.typedefs import Handler

from kleinbild.server.headers import plain_answer
from kleinbild.server.kiosk.operator_file import TakeHome

TOKEN_BYTES = 16
MAX_PICTURES = 64
MAX_BYTES = 256 << 20
_PATH = re.compile(r"/p/([A-Za-z0-9_-]{22})\.png")
_GONE = "There is nothing here, or not any more."


@dataclass
class _Offer:
    png: bytes
    until: float
    left: int


class Offers:
    """The pictures on offer. The oldest go when there are too many, in number or bytes."""

    def __init__(self, limits: TakeHome, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._offers: dict[str, _Offer] = {}

    def add(self, png: bytes) -> str:
        """Offer `png`; returns its path."""
        self._forget_old()
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._offers[token] = _Offer(png, self._clock() + self._limits.seconds, self._limits.downloads)
        while len(self._offers) > MAX_PICTURES or sum(len(o.png) for o in self._offers.values()) > MAX_BYTES:
            del self._offers[next(iter(self._offers))]
        return f"/p/{token}.png"

    def find(self, path: str) -> _Offer | None:
        """The offer at `path`, if it stands."""
        self._forget_old()
        match = _PATH.fullmatch(path)
        return self._offers.get(match[1]) if match else None

    def _forget_old(self) -> None:
        now = self._clock()
        self._offers = {token: o for token, o in self._offers.items() if o.until > now and o.left > 0}


def take_home_url(limits: TakeHome, port: int) -> str:
    """Scheme, host and port that telephones in the LAN know, without a trailing slash."""
    address = limits.address
    host = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
    return f"http://{host}:{port}"


def create_take_home(offers: Offers) -> web.Application:
    """The application of the listener in the LAN."""
    app = web.Application(client_max_size=1024)
    app.router.add_route("*", "/{path:.*}", _hand_out(offers))
    return app


def _hand_out(offers: Offers) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            return plain_answer(405, "Only GET and HEAD.", {"Allow": "GET, HEAD"})
        offer = offers.find(request.raw_path)
        if offer is None:
            # Slow for whoever guesses, as if 2^128 paths were not enough.
            await asyncio.sleep(0.5)
            return plain_answer(404, _GONE)
        if request.method == "GET":
            offer.left -= 1
        headers = {
            "Content-Disposition": 'inline; filename="picture.png"',
            "Cache-Control": "no-store",
        }
        return web.Response(body=offer.png, content_type="image/png", headers=headers)

    return handler
