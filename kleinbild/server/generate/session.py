"""The conversation about pictures: start the model, hand out one job after another, take in what comes.

A job ends with its picture, with the page's error for it, or with the session itself. Which browser shows the
page, and what happens after a loss, is no concern of this file.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from aiohttp import web

from kleinbild.errors import KleinbildError
from kleinbild.server.generate import messages, page_session
from kleinbild.server.generate.messages import ProgressMessage, ProtocolError
from kleinbild.server.generate.page_session import PageError, PageSession, silent
from kleinbild.server.generate.request import Job
from kleinbild.server.generate.trace import TensorFacts

CANCEL_SECONDS = 15.0  # a page that has not stopped by then never will

OnProgress = Callable[[ProgressMessage], None]
OnPreview = Callable[["Preview"], None]
WriteTensor = Callable[[str, TensorFacts, bytes], None]


@dataclass(frozen=True)
class Picture:
    """The finished picture as a PNG file, and the seconds that the page took for each stage."""

    png: bytes
    seconds: dict[str, float]


@dataclass(frozen=True)
class Preview:
    """What a picture looks like after `step` steps: a small PNG file of the picture's shape."""

    step: int
    width: int
    height: int
    png: bytes


@dataclass
class _InHand:
    """The job that the page is working on; `missing`: tensors still to come."""

    number: int
    job: Job
    on_progress: OnProgress
    on_preview: OnPreview | None
    missing: dict[str, TensorFacts]
    write: WriteTensor | None
    answer: asyncio.Future[Picture]


class Session(PageSession[NoReturn]):
    """One page that makes pictures, one at a time. `ready` is the GPU in words once the model is started.

    `outcome` is never a result: it is the error that ended the session.
    """

    def __init__(self, origin: str, precision: str, on_start: OnProgress, *, shared: bool = False) -> None:
        """`on_start` is told how far the start of the model is.

        `shared`: the page has a person's pictures to make, too, and may be silent before it begins ours.
        """
        super().__init__(origin, "the picture", messages.MAX_BINARY_BYTES)
        self.ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.memory: messages.MemoryMessage | None = None  # of the last new kind of picture
        self._precision = precision
        self._on_start = on_start
        self._shared = shared
        self._in_hand: _InHand | None = None
        self._number = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._stopping = False

    async def make(
        self,
        job: Job,
        on_progress: OnProgress,
        *,
        on_preview: OnPreview | None = None,
        stop: asyncio.Event | None = None,
        tensors: dict[str, TensorFacts] | None = None,
        write: WriteTensor | None = None,
    ) -> Picture:
        """The picture of `job`; `write` gets its `tensors`. One call at a time, after `ready`.

        `on_preview` gets the previews of a job that wants them.
        `stop`, once set, cancels it: PageError "cancelled", unless the picture was faster. Raises PageError,
        too, when the page refuses the job, ConnectionError when it is gone; never returns when it is lost
        later: then `outcome` is set.
        """
        assert self._socket is not None
        assert self._in_hand is None
        self._number += 1
        answer: asyncio.Future[Picture] = asyncio.get_running_loop().create_future()
        self._in_hand = _InHand(
            self._number, job, on_progress, on_preview, dict(tensors or {}), write, answer
        )
        self._stopping = False
        stopper: asyncio.Task[None] | None = None
        try:
            if not self._shared:
                self._watch()
            await self._socket.send_json(
                {
                    "type": "job",
                    "job": self._number,
                    "prompt": job.prompt,
                    "width": job.width,
                    "height": job.height,
                    "seed": str(job.seed),
                    "steps": job.steps,
                    "memoryBudget": job.memory_budget,
                    "preview": job.preview,
                    "trace": job.trace,
                    "latents": job.latents is not None,
                }
            )
            if job.latents is not None:
                await self._socket.send_bytes(job.latents.tobytes())
            if stop is not None:
                stopper = asyncio.create_task(self._cancel(self._socket, self._number, stop))
            return await answer
        finally:
            if stopper is not None:
                stopper.cancel()
            self._in_hand = None
            self._relax()

    async def _cancel(self, socket: web.WebSocketResponse, number: int, stop: asyncio.Event) -> None:
        """Once `stop` is set, ask the page to stop job `number`, and give it CANCEL_SECONDS."""
        await stop.wait()
        self._stopping = True
        self._relax()
        reason = KleinbildError(f"the page did not stop a picture within {CANCEL_SECONDS:.0f} seconds")
        self._alarm = asyncio.get_running_loop().call_later(CANCEL_SECONDS, self._fail, reason)
        with contextlib.suppress(ConnectionError):  # lost: `outcome` tells it
            await socket.send_json({"type": "cancel", "job": number})

    async def _converse(self, socket: web.WebSocketResponse) -> NoReturn:
        try:
            self._watch()
            await socket.send_json({"type": "start", "precision": self._precision})
            while True:
                # Patient, since an idle page says nothing; while it has work, the alarm watches it.
                message = messages.parse_message(await self._receive_text(socket, patient=True))
                if self._alarm is not None and not self._stopping:
                    self._watch()
                await self._take(socket, message)
        finally:
            self._relax()

    async def _take(self, socket: web.WebSocketResponse, message: messages.Message) -> None:
        hand = self._in_hand
        match message:
            case messages.InfoMessage() if not self.ready.done():
                self._relax()
                self.ready.set_result(message.text)
            case messages.ProgressMessage() if not self.ready.done():
                self._on_start(message)
            case messages.MemoryMessage():
                self.memory = message
            case messages.ErrorMessage(job=None):
                raise PageError(message.code, message.message)
            case _ if hand is None:
                raise ProtocolError("a message came while there was no job")
            case _:
                await self._take_for(hand, socket, message)

    async def _take_for(
        self, hand: _InHand, socket: web.WebSocketResponse, message: messages.Message
    ) -> None:
        match message:
            case messages.ProgressMessage():
                if not self._stopping:
                    self._watch()
                hand.on_progress(message)
            case messages.ErrorMessage() if message.job == hand.number:
                self._answer(hand, PageError(message.code, message.message))
            case messages.PreviewMessage() if message.job == hand.number and hand.job.preview:
                png = await self._receive_bytes(socket)
                messages.check_png(png, message.width, message.height)
                if hand.on_preview is not None:
                    hand.on_preview(Preview(message.step, message.width, message.height, png))
            case messages.TraceMessage():
                await self._take_tensor(hand, message, await self._receive_bytes(socket))
            case messages.ResultMessage() if message.job == hand.number:
                png = await self._receive_bytes(socket)
                if (message.width, message.height) != (hand.job.width, hand.job.height):
                    raise ProtocolError(f"the picture is {message.width}x{message.height}")
                messages.check_png(png, hand.job.width, hand.job.height)
                if hand.missing:
                    raise ProtocolError(f"tensor {next(iter(hand.missing))} did not come")
                self._answer(hand, Picture(png, message.seconds))
            case _:
                raise ProtocolError("a message came out of turn")

    async def _take_tensor(self, hand: _InHand, message: messages.TraceMessage, data: bytes) -> None:
        facts = hand.missing.pop(message.name, None)
        if facts is None or hand.write is None:
            raise ProtocolError(f"tensor {message.name} was not asked for")
        found = TensorFacts(message.dtype, message.shape)
        if found != facts or len(data) != facts.byte_length:
            raise ProtocolError(
                f"tensor {message.name} is {found.dtype} {list(found.shape)} in {len(data)} bytes, "
                f"expected {facts.dtype} {list(facts.shape)}"
            )
        await asyncio.to_thread(hand.write, message.name, facts, data)

    def _answer(self, hand: _InHand, answer: Picture | PageError) -> None:
        self._in_hand = None  # at once: the next frame may belong to no job
        self._relax()
        if hand.answer.done():  # whoever asked has gone
            return
        if isinstance(answer, Picture):
            hand.answer.set_result(answer)
        else:
            hand.answer.set_exception(answer)

    def _watch(self) -> None:
        """(Re)start the alarm that ends a session whose page works and says nothing."""
        self._relax()
        loop = asyncio.get_running_loop()
        self._alarm = loop.call_later(page_session.STALL_SECONDS, lambda: self._fail(silent()))

    def _relax(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
