"""What the kiosk face asks its server for, below /kiosk/: settings, signs of life, the PIN, pictures.

Only the kiosk's own server has these paths. Whatever changes something must come from our own page; what an
operator may do needs the token that the right PIN gave.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from kleinbild.errors import KleinbildError
from kleinbild.server.generate.messages import ProtocolError, check_png
from kleinbild.server.headers import plain_answer
from kleinbild.server.kiosk.operator_file import Card, Operator, check_size
from kleinbild.server.kiosk.picture_folder import keep_picture, list_pictures, read_picture
from kleinbild.server.kiosk.pin import MAX_PIN_DIGITS, PinLock
from kleinbild.server.kiosk.take_home import Offers

MAX_JSON_BYTES = 4096
MAX_PNG_BYTES = 32 << 20
MAX_TEXT_CHARS = 400
SESSION_SECONDS = 300.0
COMMANDS = ("restart", "leave")
STATES = ("starting", "attract", "compose", "making", "result", "failure")

Tell = Callable[[dict[str, Any]], None]


@dataclass
class Desk:
    """The state behind the paths. `tell` gets messages for the supervisor; `status` is what it told last."""

    origin: str
    operator: Operator
    tell: Tell
    offers: Offers | None = None
    take_home_url: str = ""
    clock: Callable[[], float] = time.monotonic
    status: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = PinLock(self.operator.pin, self.clock) if self.operator.pin else None
        self._token = ""
        self._token_until = 0.0
        self._page: dict[str, Any] = {}

    def routes(self) -> list[web.RouteDef]:
        """The paths, to come before the site's own."""
        return [
            web.get("/kiosk/config.json", self._config),
            web.get("/kiosk/pictures", self._pictures),
            web.get("/kiosk/pictures/{name}", self._picture),
            web.post("/kiosk/alive", self._own(self._alive)),
            web.post("/kiosk/pin", self._own(self._pin)),
            web.post("/kiosk/command", self._own(self._command)),
            web.post("/kiosk/keep", self._own(self._keep)),
            web.post("/kiosk/take-home", self._own(self._take_home)),
            web.route("*", "/kiosk/{rest:.*}", _nothing),
        ]

    def _own(self, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Any:
        async def guarded(request: web.Request) -> web.StreamResponse:
            if request.headers.get("Origin") != self.origin:
                return plain_answer(403, "This is for the kiosk's own page.")
            try:
                return await handler(request)
            except _BadRequestError as error:
                return plain_answer(error.status, str(error))

        return guarded

    async def _config(self, _: web.Request) -> web.StreamResponse:
        return web.json_response(page_config(self.operator, self.offers is not None))

    async def _pictures(self, _: web.Request) -> web.StreamResponse:
        folder = self.operator.attract
        found = await asyncio.to_thread(list_pictures, folder) if folder else {}
        return web.json_response([f"/kiosk/pictures/{name}" for name in found])

    async def _picture(self, request: web.Request) -> web.StreamResponse:
        folder = self.operator.attract
        picture = (
            await asyncio.to_thread(read_picture, folder, request.match_info["name"]) if folder else None
        )
        if picture is None:
            return plain_answer(404, "There is no such picture.")
        return web.Response(
            body=picture.data, content_type=picture.kind, headers={"Cache-Control": "no-store"}
        )

    async def _alive(self, request: web.Request) -> web.StreamResponse:
        message = await _json(request)
        state, problem = message.get("state"), message.get("problem", "")
        pictures, restart = message.get("pictures"), message.get("restart", False)
        if (
            state not in STATES
            or type(pictures) is not int
            or type(restart) is not bool
            or not isinstance(problem, str)
            or len(problem) > MAX_TEXT_CHARS
        ):
            raise _BadRequestError("not a sign of life")
        self._page = {"state": state, "pictures": pictures, "problem": problem}
        self.tell({"type": "fresh-browser" if restart else "alive"})
        return web.Response(status=204)

    async def _pin(self, request: web.Request) -> web.StreamResponse:
        pin = (await _json(request)).get("pin")
        if not isinstance(pin, str) or not (pin.isascii() and pin.isdigit() and len(pin) <= MAX_PIN_DIGITS):
            raise _BadRequestError("no PIN")
        if self._lock is None:
            return plain_answer(404, "This kiosk has no PIN: the operator file sets one.")
        verdict = await self._lock.try_pin(pin)
        if not verdict.fits:
            status = 429 if verdict.wait > 0 else 403
            answer = {"tries_left": verdict.tries_left, "wait": round(verdict.wait, 1)}
            return web.json_response(answer, status=status)
        self._token, self._token_until = secrets.token_urlsafe(16), self.clock() + SESSION_SECONDS
        return web.json_response({"token": self._token, "status": self._status()})

    async def _command(self, request: web.Request) -> web.StreamResponse:
        message = await _json(request)
        token, command = message.get("token"), message.get("command")
        known = isinstance(token, str) and self._token and self.clock() < self._token_until
        if not known or not hmac.compare_digest(str(token).encode(), self._token.encode()):
            raise _BadRequestError("enter the PIN first", 403)
        if command not in COMMANDS:
            raise _BadRequestError("no such command")
        self._token = ""
        self.tell({"type": command})
        return web.Response(status=204)

    async def _keep(self, request: web.Request) -> web.StreamResponse:
        folder = self.operator.keep_pictures
        if folder is None:
            return plain_answer(404, "Pictures are not kept here.")
        png = await _png(request)
        try:
            await asyncio.to_thread(keep_picture, folder, png)
        except KleinbildError as error:
            self.tell({"type": "note", "text": str(error)})
            return plain_answer(507, str(error))
        return web.Response(status=204)

    async def _take_home(self, request: web.Request) -> web.StreamResponse:
        limits = self.operator.take_home
        if self.offers is None or limits is None:
            return plain_answer(404, "Taking pictures home is turned off.")
        path = self.offers.add(await _png(request))
        answer = {"url": self.take_home_url + path, "seconds": limits.seconds, "downloads": limits.downloads}
        return web.json_response(answer)

    def _status(self) -> dict[str, Any]:
        return {**self.status, "page": self._page}


def page_config(operator: Operator, take_home: bool) -> dict[str, Any]:
    """What the page may know of the operator file: no PIN, no folder, no address."""

    def card(found: Card) -> dict[str, Any]:
        seed = None if found.seed is None else str(found.seed)  # a JSON number holds no 64 bits
        return {"title": found.title, "prompt": found.prompt, "size": found.size, "seed": seed}

    limits = operator.take_home if take_home else None
    return {
        "languages": operator.languages,
        "idleSeconds": operator.idle_seconds,
        "countdownSeconds": operator.countdown_seconds,
        "refusedWords": operator.refused_words,
        "cards": [card(found) for found in operator.cards],
        "ownPrompts": operator.own_prompts,
        "sizes": [check_size(size, "sizes") for size in operator.sizes],
        "steps": operator.steps,
        "memoryBytes": None if operator.memory_gb is None else int(operator.memory_gb * 1e9),
        "attract": operator.attract is not None,
        "keepPictures": operator.keep_pictures is not None,
        "pin": operator.pin is not None,
        "takeHome": None if limits is None else {"qr": limits.qr, "seconds": limits.seconds},
    }


class _BadRequestError(Exception):
    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


async def _body(request: web.Request, most: int) -> bytes:
    data = bytearray()
    async for chunk in request.content.iter_chunked(1 << 16):
        data += chunk
        if len(data) > most:
            raise _BadRequestError(f"more than {most} bytes", 413)
    return bytes(data)


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        message = json.loads(await _body(request, MAX_JSON_BYTES))
    except (ValueError, RecursionError):
        raise _BadRequestError("no JSON") from None
    if not isinstance(message, dict):
        raise _BadRequestError("no JSON object")
    return message


async def _png(request: web.Request) -> bytes:
    png = await _body(request, MAX_PNG_BYTES)
    sides = (int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big"))
    try:
        check_png(png, *sides)
    except ProtocolError as error:
        raise _BadRequestError(str(error)) from None
    return png


async def _nothing(_: web.Request) -> web.StreamResponse:
    return plain_answer(404, "There is nothing here.")
