"""The conversation about a picture: hand out one job, take in progress, tensors and the picture."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from kleinbild.server.generate import messages
from kleinbild.server.generate.messages import ProtocolError
from kleinbild.server.generate.page_session import PageError, PageSession
from kleinbild.server.generate.progress import Progress
from kleinbild.server.generate.request import Job
from kleinbild.server.generate.trace import TensorFacts

WriteTensor = Callable[[str, TensorFacts, bytes], None]


@dataclass(frozen=True)
class Picture:
    """The finished picture as a PNG file."""

    png: bytes


class Session(PageSession[Picture]):
    """One job and its one connection."""

    def __init__(
        self, origin: str, job: Job, tensors: dict[str, TensorFacts], write: WriteTensor, progress: Progress
    ) -> None:
        super().__init__(origin, "the picture", messages.MAX_BINARY_BYTES)
        self._job = job
        self._missing = dict(tensors)
        self._write = write
        self._progress = progress

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
                "memoryBudget": job.memory_budget,
                "trace": job.trace,
                "latents": job.latents is not None,
            }
        )
        if job.latents is not None:
            await socket.send_bytes(job.latents.tobytes())
        while True:
            message = messages.parse_message(await self._receive_text(socket))
            match message:
                case messages.ProgressMessage():
                    self._progress.update(message.stage, message.step, message.steps, message.fraction)
                case messages.InfoMessage():
                    self._progress.note(message.text)
                case messages.ErrorMessage():
                    raise PageError(message.code, message.message)
                case messages.TraceMessage():
                    await self._take_tensor(message, await self._receive_bytes(socket))
                case messages.ResultMessage():
                    png = await self._receive_bytes(socket)
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
