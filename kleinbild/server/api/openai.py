"""OpenAI's face: POST /v1/images/generations and GET /v1/models, as their clients know them.

Extensions: seed and steps, asked for and (the seed) told. What else their clients may send changes no picture
here and is let be.
"""

from __future__ import annotations

import re
import time
from typing import Any

from aiohttp import web

from kleinbild.server.api import schemas as s
from kleinbild.server.api.errors import ApiError
from kleinbild.server.api.fields import Field
from kleinbild.server.api.operation import Operation, Values
from kleinbild.server.api.pictures import Studio, base64_png
from kleinbild.server.generate.request import MAX_SEED, MIN_SIZE, SIZE_STEP
from kleinbild.server.queue.ticket import Ticket

JSON = "application/json"
SIZE = r"auto|[1-9][0-9]{1,3}x[1-9][0-9]{1,3}"

MODEL = s.record(id=s.STRING, object={"const": "model"}, created=s.INTEGER, owned_by=s.STRING)
BY_URL = s.record(url=s.STRING, seed=s.INTEGER)
BY_BYTES = s.record(b64_json=s.BASE64, seed=s.INTEGER)
PICTURES = s.record(
    created=s.INTEGER,
    data=s.array({"oneOf": [BY_URL, BY_BYTES]}),
    size=s.STRING,
    output_format={"const": "png"},
)


class OpenAi:
    """The operations of OpenAI's face on `studio`; pictures by address are at `base` (scheme, host, port)."""

    def __init__(self, studio: Studio, base: str) -> None:
        self._studio = studio
        self._base = base
        self._created = int(time.time())

    def operations(self) -> list[Operation]:
        """All of them."""
        studio = self._studio
        about_size = f"WxH, multiples of {SIZE_STEP} from {MIN_SIZE} to {studio.limits.max_side}."
        fields = (
            studio.prompt(),
            Field("model", "string", "The one model there is, or nothing.", nullable=True, max_length=200),
            studio.count("n"),
            Field("size", "string", about_size, "auto", nullable=True, pattern=SIZE),
            Field(
                "response_format",
                "string",
                "Whether the picture comes as an address, kept for a limited time, or in the answer.",
                "url",
                nullable=True,
                choices=("url", "b64_json"),
            ),
            Field("output_format", "string", "Always PNG.", "png", nullable=True, choices=("png",)),
            Field("stream", "boolean", "Only whole pictures.", False, nullable=True, choices=(False,)),
            Field("seed", "integer", "Extension.", nullable=True, minimum=0, maximum=MAX_SEED),
            studio.steps(),
        )
        return [
            Operation(
                "POST",
                "/v1/images/generations",
                "createImage",
                "Make pictures and wait for them. A client that goes away cancels them.",
                self._generate,
                {200: (JSON, PICTURES)},
                fields,
                strict=False,
                refusals=(404, 410, 429, 503),
            ),
            Operation(
                "GET",
                "/v1/models",
                "listModels",
                "The model.",
                self._models,
                {200: (JSON, s.record(object={"const": "list"}, data=s.array(MODEL)))},
            ),
            Operation(
                "GET",
                "/v1/models/{id}",
                "retrieveModel",
                "The model.",
                self._model,
                {200: (JSON, MODEL)},
                refusals=(404,),
            ),
        ]

    async def _generate(self, request: web.Request, values: Values) -> web.StreamResponse:
        if values["model"] not in (None, self._studio.model_id):
            raise self._unknown_model()
        width, height = self._size(values["size"])
        jobs = self._studio.jobs(
            prompt=values["prompt"],
            width=width,
            height=height,
            seed=values["seed"],
            steps=values["steps"],
            count=values["n"],
        )
        by_url = values["response_format"] == "url"
        tickets = self._studio.submit(jobs, keep=by_url)
        await self._studio.wait(tickets)
        return web.json_response(
            {
                "created": int(time.time()),
                "data": [self._datum(ticket, by_url) for ticket in tickets],
                "size": f"{width}x{height}",
                "output_format": "png",
            }
        )

    def _datum(self, ticket: Ticket, by_url: bool) -> dict[str, Any]:
        seed = {"seed": ticket.job.seed}
        if by_url:
            return {"url": f"{self._base}/jobs/{ticket.id}/picture"} | seed
        return {"b64_json": base64_png(ticket.picture)} | seed

    def _size(self, text: str) -> tuple[int, int]:
        model, most = self._studio.model, self._studio.limits.max_side
        if text == "auto":
            return model.default_width, model.default_height
        width, height = (int(side) for side in re.split("x", text))
        for side in (width, height):
            if side % SIZE_STEP or not MIN_SIZE <= side <= most:
                message = f"size {text}: sides must be multiples of {SIZE_STEP} from {MIN_SIZE} to {most}."
                raise ApiError(400, "bad-input", message, field="size")
        return width, height

    async def _models(self, request: web.Request, values: Values) -> web.StreamResponse:
        return web.json_response({"object": "list", "data": [self._described()]})

    async def _model(self, request: web.Request, values: Values) -> web.StreamResponse:
        if request.match_info["id"] != self._studio.model_id:
            raise self._unknown_model()
        return web.json_response(self._described())

    def _described(self) -> dict[str, Any]:
        return {
            "id": self._studio.model_id,
            "object": "model",
            "created": self._created,
            "owned_by": "kleinbild",
        }

    def _unknown_model(self) -> ApiError:
        message = f"There is one model here: {self._studio.model_id}."
        return ApiError(404, "model_not_found", message, field="model")
