"""One conversation with a page of ours: a WebSocket at /headless/<token>, opened once, by our own origin.

What is said on it is a subclass's; whatever ends it without an outcome becomes the one error of the session.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from aiohttp import WSMsgType, web

from kleinbild.errors import KleinbildError
from kleinbild.server.generate.browser import Browser
from kleinbild.server.generate.messages import ProtocolError
from kleinbild.server.headers import plain_answer

STALL_SECONDS = 600.0
CONNECT_SECONDS = 60.0
TOKEN_BYTES = 32

ADVICE = {
    "no-webgpu": "this browser offers no WebGPU: install a current Chromium, or set $CHROMIUM to one",
    "no-adapter": "Chromium found no usable GPU: check its Vulkan driver, or use --adapter software (slow)",
}

Outcome = TypeVar("Outcome")


def silent() -> KleinbildError:
    """The error of a page that works, or should, and says nothing."""
    return KleinbildError(f"the page was silent for {STALL_SECONDS / 60:.0f} minutes")


class PageError(KleinbildError):
    """An error that the page reported; `code` is one of src_js/errors.js."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{ADVICE[code]} ({message})" if code in ADVICE else f"{code}: {message}")
        self.code = code
        self.reason = message


class PageSession(ABC, Generic[Outcome]):
    """One page and its one connection. `outcome`: how it ends; `connected`: set when the page has come."""

    def __init__(self, origin: str, what: str, max_message_bytes: int) -> None:
        """`what` the page was to bring, in words; `max_message_bytes` of one frame from it."""
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        self.connected = asyncio.Event()
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        # A session may end with nobody waiting any more: its error is then nobody's.
        self.outcome.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._origin = origin
        self._what = what
        self._max_message_bytes = max_message_bytes
        self._socket: web.WebSocketResponse | None = None

    def route(self) -> web.RouteDef:
        """The WebSocket's route."""
        return web.get("/headless/{token}", self._handle)

    async def result(self, browser: Browser) -> Outcome:
        """The outcome. Raises KleinbildError when the browser ends or the page does not come."""
        connected = asyncio.create_task(self.connected.wait())
        ended = asyncio.create_task(browser.process.wait())
        try:
            await asyncio.wait(
                {connected, ended}, timeout=CONNECT_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if not ended.done() and not connected.done():
                raise KleinbildError(
                    f"the page did not start within {CONNECT_SECONDS:.0f} seconds{browser.last_words()}"
                )
            either: set[asyncio.Future[Any]] = {self.outcome, ended}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not self.outcome.done():
                raise KleinbildError(f"the browser ended with status {ended.result()}{browser.last_words()}")
            return self.outcome.result()
        finally:
            connected.cancel()
            ended.cancel()

    @abstractmethod
    async def _converse(self, socket: web.WebSocketResponse) -> Outcome:
        """Say what is wanted and take what comes. Raises PageError, ProtocolError, TimeoutError."""

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        token_fits = hmac.compare_digest(request.match_info["token"].encode(), self.token.encode())
        if not token_fits or request.headers.get("Origin") != self._origin:
            return plain_answer(404, "There is nothing here.")
        if self.connected.is_set():
            return plain_answer(409, "This session already has its page.")
        socket = web.WebSocketResponse(max_msg_size=self._max_message_bytes, compress=False)
        await self.serve(request, socket)
        return socket

    async def serve(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        """Speak with the page that sent `request`, which may, on `socket` until one side ends it."""
        self.connected.set()
        self._socket = socket
        try:
            if not socket.prepared:
                await socket.prepare(request)
            outcome = await self._converse(socket)
        except TimeoutError:
            self._fail(silent())
        except ProtocolError as error:
            self._fail(KleinbildError(f"page and server do not fit together ({error}); write the site again"))
        except (KleinbildError, ConnectionError) as error:
            self._fail(error if isinstance(error, KleinbildError) else self._lost())
        else:
            if not self.outcome.done():
                self.outcome.set_result(outcome)
        finally:
            self._fail(self._lost())
            await socket.close()

    async def hang_up(self) -> None:
        """End the conversation."""
        if self._socket is not None:
            await self._socket.close()

    async def _receive_text(self, socket: web.WebSocketResponse, *, patient: bool = False) -> str:
        """The next text frame; `patient`: however long it takes."""
        message = await socket.receive(timeout=None if patient else STALL_SECONDS)
        if message.type is WSMsgType.TEXT:
            return str(message.data)
        raise self._broken(message.type)

    async def _receive_bytes(self, socket: web.WebSocketResponse) -> bytes:
        message = await socket.receive(timeout=STALL_SECONDS)
        if message.type is WSMsgType.BINARY:
            return bytes(message.data)
        raise self._broken(message.type)

    def _fail(self, error: KleinbildError) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(error)

    def _broken(self, found: WSMsgType) -> Exception:
        if found in (WSMsgType.TEXT, WSMsgType.BINARY):
            return ProtocolError(f"a {found.name} frame came out of turn")
        return self._lost()

    def _lost(self) -> KleinbildError:
        return KleinbildError(
            f"the page went away before {self._what} was done (its process may have run out of memory)"
        )
