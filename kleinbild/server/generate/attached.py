"""The page that a person has open as an engine (`serve.py --api --attach`): it comes, goes, and comes again.

Who may be it: a page of our own origin that brings the token. The token is in the address that the server
prints, behind the #, so that only who sees that line can hand it on; no request ever carries it in its path.
What is said is what a headless page says (session.py). The counterpart is src_js/app/make/loan.js.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import hdrs, web

from kleinbild.errors import KleinbildError
from kleinbild.server.generate import messages
from kleinbild.server.generate.engine import Engine
from kleinbild.server.generate.page_session import TOKEN_BYTES
from kleinbild.server.generate.session import OnProgress, Session
from kleinbild.server.headers import plain_answer

PATH = "/attach"
PROTOCOL = "kleinbild"  # of the WebSocket; the page names beside it its token and its build
HEARTBEAT_SECONDS = 20.0  # shows a machine that fell asleep or left the network
GOODBYE_SECONDS = 2.0  # for the page's part in closing

# Why a page is turned away, as close codes for loan.js.
WRONG_TOKEN, OTHER_BUILD, TAKEN = 4001, 4002, 4003


class _PageSession(Session):
    """A conversation with a page whose end is nobody's fault."""

    def _lost(self) -> KleinbildError:
        return KleinbildError("the page was closed, or lends its GPU no longer")


class Attachment:
    """The place for one page at a time. `token` lets it in; `attached`: whether there is one."""

    def __init__(self, origin: str, build: str) -> None:
        """`origin` and `build` of the pages that may come."""
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        self._origin = origin
        self._build = build
        self._session: Session | None = None
        self._arrived = asyncio.Event()

    @property
    def address(self) -> str:
        """What a person opens to attach a page."""
        return f"{self._origin}/#attach={self.token}"

    def route(self) -> web.RouteDef:
        """The WebSocket's route."""
        return web.get(PATH, self._handle)

    @asynccontextmanager
    async def open(self, on_start: OnProgress) -> AsyncIterator[Engine]:
        """The engine of the page that is attached, or of the next one: as open_engine, but patient.

        The page starts its model with the first picture, so that `on_start` has nothing to be told.
        """
        session = await self._next()
        try:
            yield Engine(session, session.outcome)
        finally:
            await session.hang_up()

    async def _next(self) -> Session:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            session = self._session
            if session is not None:
                either: set[asyncio.Future[Any]] = {session.ready, session.outcome}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if not session.outcome.done():
                    return session

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get(hdrs.ORIGIN) != self._origin:
            return plain_answer(404, "There is nothing here.")
        socket = web.WebSocketResponse(
            protocols=(PROTOCOL,),
            max_msg_size=messages.MAX_BINARY_BYTES,
            compress=False,
            heartbeat=HEARTBEAT_SECONDS,
            timeout=GOODBYE_SECONDS,
        )
        await socket.prepare(request)
        refusal = self._refusal(request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, ""))
        if refusal is not None:
            await socket.close(code=refusal)
            return socket
        session = _PageSession(self._origin, "auto", lambda _: None, shared=True)
        self._session = session
        self._arrived.set()
        try:
            await session.serve(request, socket)
        finally:
            self._session = None
        return socket

    def _refusal(self, protocols: str) -> int | None:
        """The close code for a page that offers `protocols`; None: it may stay."""
        named = [name.strip() for name in protocols.split(",")]
        token, build = [*named, "", ""][1:3] if named[0] == PROTOCOL else ("", "")
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self.token.encode()):
            return WRONG_TOKEN
        if build != f"build.{self._build}":
            return OTHER_BUILD
        return None if self._session is None else TAKEN
