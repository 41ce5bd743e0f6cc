"""The native face: a job is a record at an address, its events are a stream, its picture is a file."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import web

from kleinbild.server.api import schemas as s
from kleinbild.server.api.errors import RETRY_SECONDS, ApiError
from kleinbild.server.api.fields import Field
from kleinbild.server.api.operation import Operation, Values
from kleinbild.server.api.pictures import Studio, base64_png, raise_failure
from kleinbild.server.generate.request import MAX_SEED
from kleinbild.server.generate.session import Preview
from kleinbild.server.queue.ticket import State, Ticket

HEARTBEAT_SECONDS = 15.0  # a comment now and then shows a dead connection to both sides
JSON = "application/json"

PROGRESS = s.record(stage=s.STRING, step=s.INTEGER, steps=s.INTEGER, fraction=s.NUMBER)
PREVIEW = s.record(step=s.INTEGER, width=s.INTEGER, height=s.INTEGER, png=s.BASE64)
RECORD = s.record(
    id=s.STRING,
    state={"type": "string", "enum": [state.value for state in State]},
    position=s.nullable(s.INTEGER),
    progress=s.nullable(PROGRESS),
    preview=s.nullable(PREVIEW),
    prompt=s.STRING,
    width=s.INTEGER,
    height=s.INTEGER,
    seed=s.INTEGER,
    steps=s.INTEGER,
    created=s.NUMBER,
    started=s.nullable(s.NUMBER),
    finished=s.nullable(s.NUMBER),
    seconds=s.nullable(s.numbers_by_name()),
    picture=s.nullable(s.STRING),
    error=s.nullable(s.record(code=s.STRING, message=s.STRING)),
)


class Native:
    """The operations of the native face on `studio`."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._queue = studio.queue
        self._streams = 0

    def operations(self) -> list[Operation]:
        """All of them."""
        studio = self._studio
        seed = Field(
            "seed", "integer", "By default a random one.", nullable=True, minimum=0, maximum=MAX_SEED
        )
        about = "Whether the record shows what the picture looks like so far, where time and memory allow it."
        preview = Field("preview", "boolean", about, False, nullable=True)
        sides = (studio.side("width"), studio.side("height"))
        fields = (studio.prompt(), *sides, seed, studio.steps(), preview)
        known = (404,)
        return [
            Operation(
                "POST",
                "/jobs",
                "createJob",
                "Ask for a picture: the answer comes at once, the picture later.",
                self._create,
                {202: (JSON, RECORD)},
                fields,
                refusals=(429, 503),
            ),
            Operation(
                "GET",
                "/jobs/{id}",
                "getJob",
                "How far a job is, or how it ended.",
                self._get,
                {200: (JSON, RECORD)},
                refusals=known,
            ),
            Operation(
                "DELETE",
                "/jobs/{id}",
                "deleteJob",
                "Cancel a job, inside a step if need be; of one that has ended, forget the result.",
                self._delete,
                {200: (JSON, RECORD)},
                refusals=known,
            ),
            Operation(
                "GET",
                "/jobs/{id}/events",
                "watchJob",
                "Server-sent events until the job has ended: the event is its state, the data its record, "
                "with a preview only where there is a new one.",
                self._events,
                {200: ("text/event-stream", s.STRING)},
                refusals=(404, 429),
            ),
            Operation(
                "GET",
                "/jobs/{id}/picture",
                "getPicture",
                "The picture of a job that is done.",
                self._picture,
                {200: ("image/png", s.STRING)},
                refusals=(404, 409, 410, 503),
            ),
        ]

    async def _create(self, request: web.Request, values: Values) -> web.StreamResponse:
        jobs = self._studio.jobs(**values)
        (ticket,) = self._studio.submit(jobs, keep=True)
        headers = {"Location": f"/jobs/{ticket.id}"}
        return web.json_response(self.record(ticket), status=202, headers=headers)

    async def _get(self, request: web.Request, values: Values) -> web.StreamResponse:
        return web.json_response(self.record(self._find(request)))

    async def _delete(self, request: web.Request, values: Values) -> web.StreamResponse:
        ticket = self._find(request)
        was_over = ticket.is_over
        await self._queue.cancel(ticket)
        answer = web.json_response(self.record(ticket))
        if was_over:
            self._queue.store.forget(ticket)
        return answer

    async def _picture(self, request: web.Request, values: Values) -> web.StreamResponse:
        ticket = self._find(request)
        raise_failure(ticket)
        if ticket.picture is None:
            raise ApiError(409, "not-done", "This job has no picture yet.")
        return web.Response(body=ticket.picture.png, content_type="image/png")

    async def _events(self, request: web.Request, values: Values) -> web.StreamResponse:
        ticket = self._find(request)
        if self._streams >= self._studio.limits.streams:
            message = f"{self._streams} jobs are being watched; no more may. Ask for the job itself instead."
            raise ApiError(429, "too-many-streams", message, headers={"Retry-After": str(RETRY_SECONDS)})
        self._streams += 1
        try:
            return await self._stream(request, ticket)
        finally:
            self._streams -= 1

    async def _stream(self, request: web.Request, ticket: Ticket) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        )
        await response.prepare(request)
        seen = -1
        shown: Preview | None = None
        while True:
            try:
                seen = await asyncio.wait_for(ticket.changed(seen), HEARTBEAT_SECONDS)
            except TimeoutError:
                await response.write(b": still here\n\n")
                continue
            record = self.record(ticket)
            if ticket.preview is shown:
                record["preview"] = None
            shown = ticket.preview
            data = json.dumps(record)
            await response.write(f"event: {ticket.state}\ndata: {data}\n\n".encode())
            if ticket.is_over:
                break
        await response.write_eof()
        return response

    def _find(self, request: web.Request) -> Ticket:
        ticket = self._queue.store.find(request.match_info["id"])
        if ticket is None:
            raise ApiError(404, "not-found", "No such job here; results are kept for a limited time.")
        return ticket

    def record(self, ticket: Ticket) -> dict[str, Any]:
        """`ticket` as RECORD describes it."""
        job, progress, failure, shown = ticket.job, ticket.progress, ticket.failure, ticket.preview
        done = ticket.picture is not None
        return {
            "id": ticket.id,
            "state": ticket.state.value,
            "position": self._queue.position(ticket),
            "progress": progress
            and {
                "stage": progress.stage,
                "step": progress.step,
                "steps": progress.steps,
                "fraction": progress.fraction,
            },
            "preview": shown
            and {
                "step": shown.step,
                "width": shown.width,
                "height": shown.height,
                "png": base64_png(shown),
            },
            "prompt": job.prompt,
            "width": job.width,
            "height": job.height,
            "seed": job.seed,
            "steps": job.steps,
            "created": ticket.created,
            "started": ticket.started,
            "finished": ticket.finished,
            "seconds": ticket.picture.seconds if ticket.picture else None,
            "picture": f"/jobs/{ticket.id}/picture" if done else None,
            "error": failure and {"code": failure.code, "message": failure.message},
        }
