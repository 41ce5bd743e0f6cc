"""The conversation with the page: hand out one job, take in progress, tensors and the picture.

One WebSocket at /headless/<token>, opened once, by our own origin. Whatever ends the conversation without a
picture becomes the one error of the session.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from kleinbild.errors import KleinbildError
from kleinbild.server.generate import messages
from kleinbild.server.generate.messages import ProtocolError
from kleinbild.server.generate.progress import Progress
from kleinbild.server.generate.request import Job
from kleinbild.server.generate.trace import TensorFacts
from kleinbild.server.headers import plain_answer

STALL_SECONDS = 600.0
TOKEN_BYTES = 32

WriteTensor = Callable[[str, TensorFacts, bytes], None]

ADVICE = {
    "no-webgpu": "this browser offers no WebGPU: install a current Chromium, or set $CHROMIUM to one",
    "no-adapter": "Chromium found no usable GPU: check its Vulkan driver, or use --adapter software (slow)",
}


class PageError(KleinbildError):
    """An error that the page reported; `code` is one of src_js/errors.js."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{ADVICE[code]} ({message})" if code in ADVICE else f"{code}: {message}")
        self.code = code


@dataclass(frozen=True)
class Picture:
    """The finished picture as a PNG file."""

    png: bytes


class Session:
    """One job and its one connection. `picture` is the outcome; `connected` is set when the page has come."""

    def __init__(
        self, origin: str, job: Job, tensors: dict[str, TensorFacts], write: WriteTensor, progress: Progress
    ) -> None:
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        self.connected = asyncio.Event()
        self.picture: asyncio.Future[Picture] = asyncio.get_running_loop().create_future()
        self._origin = origin
        self._job = job
        self._missing = dict(tensors)
        self._write = write
        self._progress = progress

    def route(self) -> web.RouteDef:
        """The WebSocket's route."""
        return web.get("/headless/{token}", self._handle)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        token_fits = hmac.compare_digest(request.match_info["token"].encode(), self.token.encode())
        if not token_fits or request.headers.get("Origin") != self._origin:
            return plain_answer(404, "There is nothing here.")
        if self.connected.is_set():
            return plain_answer(409, "This job already has its page.")
        self.connected.set()
        socket = web.WebSocketResponse(max_msg_size=messages.MAX_BINARY_BYTES, compress=False)
        try:
            await socket.prepare(request)
            picture = await self._converse(socket)
        except TimeoutError:
            self._fail(KleinbildError(f"the page was silent for {STALL_SECONDS / 60:.0f} minutes"))
        except ProtocolError as error:
            self._fail(KleinbildError(f"page and server do not fit together ({error}); write the site again"))
        except (KleinbildError, ConnectionError) as error:
            self._fail(error if isinstance(error, KleinbildError) else _lost())
        else:
            if not self.picture.done():
                self.picture.set_result(picture)
        finally:
            self._fail(_lost())
            await socket.close()
        return socket

    def _fail(self, error: KleinbildError) -> None:
        if not self.picture.done():
            self.picture.set_exception(error)

    async def _converse(self, socket: web.WebSocketResponse) -> Picture:
        job = self._job
        await socket.send_json(
            {
                "type": "job",
                "prompt": job.prompt,
                "width": job.width,
                "height": job.height,
                "seed": str(job.seed),
                "steps": job.steps,
                "precision": job.precision,
                "trace": job.trace,
                "latents": job.latents is not None,
            }
        )
        if job.latents is not None:
            await socket.send_bytes(job.latents.tobytes())
        while True:
            message = messages.parse_message(await _receive_text(socket))
            match message:
                case messages.ProgressMessage():
                    self._progress.update(message.stage, message.step, message.steps, message.fraction)
                case messages.InfoMessage():
                    self._progress.note(message.text)
                case messages.ErrorMessage():
                    raise PageError(message.code, message.message)
                case messages.TraceMessage():
                    await self._take_tensor(message, await _receive_bytes(socket))
                case messages.ResultMessage():
                    png = await _receive_bytes(socket)
                    if (message.width, message.height) != (job.width, job.height):
                        raise ProtocolError(f"the picture is {message.width}x{message.height}")
                    messages.check_png(png, job.width, job.height)
                    if self._missing:
                        raise ProtocolError(f"tensor {next(iter(self._missing))} did not come")
                    return Picture(png)

    async def _take_tensor(self, message: messages.TraceMessage, data: bytes) -> None:
        facts = self._missing.pop(message.name, None)
        if facts is None:
            raise ProtocolError(f"tensor {message.name} was not asked for")
        found = TensorFacts(message.dtype, message.shape)
        if found != facts or len(data) != facts.byte_length:
            raise ProtocolError(
                f"tensor {message.name} is {found.dtype} {list(found.shape)} in {len(data)} bytes, "
                f"expected {facts.dtype} {list(facts.shape)}"
            )
        await asyncio.to_thread(self._write, message.name, facts, data)


async def _receive_text(socket: web.WebSocketResponse) -> str:
    message = await socket.receive(timeout=STALL_SECONDS)
    if message.type is WSMsgType.TEXT:
        return str(message.data)
    raise _broken(message.type)


async def _receive_bytes(socket: web.WebSocketResponse) -> bytes:
    message = await socket.receive(timeout=STALL_SECONDS)
    if message.type is WSMsgType.BINARY:
        return bytes(message.data)
    raise _broken(message.type)


def _broken(found: WSMsgType) -> Exception:
    if found in (WSMsgType.TEXT, WSMsgType.BINARY):
        return ProtocolError(f"a {found.name} frame came out of turn")
    return _lost()


def _lost() -> KleinbildError:
    return KleinbildError(
        "the page went away before the picture was done (its process may have run out of memory)"
    )
