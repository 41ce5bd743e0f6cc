"""A1111's face: enough of /sdapi/v1 for the clients that were written for that web UI.

Its clients send dozens of fields. Those that mean something here are in the table; those of it that would
have changed the picture there, and do not here, are named in the answer's info as ignored.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from kleinbild.server.api import schemas as s
from kleinbild.server.api.errors import ApiError
from kleinbild.server.api.fields import Field
from kleinbild.server.api.operation import Operation, Values
from kleinbild.server.api.pictures import Studio, base64_png
from kleinbild.server.generate.request import MAX_SEED
from kleinbild.server.queue.ticket import Ticket

JSON = "application/json"
SAMPLER = "Euler"
CFG_SCALE = 1.0
ANY: dict[str, Any] = {"type": "object"}
STATE = s.record(
    skipped=s.BOOLEAN,
    interrupted=s.BOOLEAN,
    job=s.STRING,
    job_count=s.INTEGER,
    job_timestamp=s.STRING,
    job_no=s.INTEGER,
    sampling_step=s.INTEGER,
    sampling_steps=s.INTEGER,
)
PROGRESS = s.record(
    progress=s.NUMBER,
    eta_relative=s.NUMBER,
    state=STATE,
    current_image=s.nullable(s.BASE64),
    textinfo=s.nullable(s.STRING),
)
MODEL = s.record(
    title=s.STRING, model_name=s.STRING, hash=s.NULL, sha256=s.NULL, filename=s.STRING, config=s.NULL
)
OPTIONS = s.record(sd_model_checkpoint=s.STRING, samples_format={"const": "png"})


class A1111:
    """The operations of A1111's face on `studio`. That web UI has one user, to whom `_requests` belong."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._requests: list[list[Ticket]] = []

    def operations(self) -> list[Operation]:
        """All of them."""
        studio = self._studio
        ignored = "Has no meaning for this model, and is ignored."
        fields = (
            studio.prompt(required=False),
            Field("negative_prompt", "string", ignored, "", nullable=True),
            studio.side("width", exact=False),
            studio.side("height", exact=False),
            Field("seed", "integer", "-1: a random one.", -1, nullable=True, minimum=-1, maximum=MAX_SEED),
            studio.steps(),
            studio.count("batch_size"),
            studio.count("n_iter"),
            Field("cfg_scale", "number", ignored, nullable=True),
            Field("enable_hr", "boolean", "Not made here.", False, nullable=True, choices=(False,)),
            Field("script_name", "string", "Not made here.", nullable=True, choices=("",)),
            Field("send_images", "boolean", "Whether the answer holds the pictures.", True, nullable=True),
        )
        model = (studio.model_id,)
        options = (
            Field("sd_model_checkpoint", "string", "The one model there is.", nullable=True, choices=model),
        )
        return [
            Operation(
                "POST",
                "/sdapi/v1/txt2img",
                "txt2img",
                "Make pictures and wait for them. A client that goes away cancels them.",
                self._txt2img,
                {200: (JSON, s.record(images=s.array(s.BASE64), parameters=ANY, info=s.STRING))},
                fields,
                strict=False,
                bad_input=422,
                refusals=(410, 429, 503),
            ),
            Operation(
                "GET",
                "/sdapi/v1/progress",
                "progress",
                "How far the oldest request of this face is, and what its picture looks like so far.",
                self._progress,
                {200: (JSON, PROGRESS)},
            ),
            Operation(
                "POST",
                "/sdapi/v1/interrupt",
                "interrupt",
                "Cancel the oldest request of this face.",
                self._interrupt,
                {200: (JSON, s.record())},
            ),
            Operation(
                "GET",
                "/sdapi/v1/samplers",
                "samplers",
                "The one sampler there is.",
                self._samplers,
                {200: (JSON, s.array(s.record(name=s.STRING, aliases=s.array(s.STRING), options=ANY)))},
            ),
            Operation(
                "GET",
                "/sdapi/v1/sd-models",
                "sdModels",
                "The one model there is.",
                self._models,
                {200: (JSON, s.array(MODEL))},
            ),
            Operation(
                "GET",
                "/sdapi/v1/options",
                "getOptions",
                "The options that mean something here.",
                self._get_options,
                {200: (JSON, OPTIONS)},
            ),
            Operation(
                "POST",
                "/sdapi/v1/options",
                "setOptions",
                "Takes the options that it told, and changes nothing.",
                self._set_options,
                {200: (JSON, s.NULL)},
                options,
                strict=False,
                bad_input=422,
            ),
        ]

    async def _txt2img(self, request: web.Request, values: Values) -> web.StreamResponse:
        limit = self._studio.limits.pictures
        count = values["batch_size"] * values["n_iter"]
        if count > limit:
            message = f"batch_size times n_iter is {count}: at most {limit} pictures."
            raise ApiError(422, "bad-input", message, field="n_iter")
        jobs = self._studio.jobs(
            prompt=values["prompt"],
            width=values["width"],
            height=values["height"],
            seed=None if values["seed"] == -1 else values["seed"],
            steps=values["steps"],
            count=count,
            preview=True,  # its clients show what `progress` tells them, and cannot ask for it beforehand
        )
        tickets = self._studio.submit(jobs, keep=False)
        self._requests.append(tickets)
        try:
            await self._studio.wait(tickets)
        except ApiError as error:
            # As there, an interrupt leaves the pictures that were done before it.
            if error.code != "cancelled" or tickets[0].picture is None:
                raise
        finally:
            self._requests.remove(tickets)
        done = [ticket for ticket in tickets if ticket.picture is not None]
        return web.json_response(
            {
                "images": [base64_png(ticket.picture) for ticket in done] if values["send_images"] else [],
                "parameters": values | {"sampler_name": SAMPLER},
                "info": json.dumps(self._info(done, values)),
            }
        )

    def _info(self, tickets: Sequence[Ticket], values: Values) -> dict[str, Any]:
        jobs = [ticket.job for ticket in tickets]
        first = jobs[0]
        facts = f"Steps: {first.steps}, Sampler: {SAMPLER}, CFG scale: {CFG_SCALE:g}"
        size = f"Size: {first.width}x{first.height}, Model: {self._studio.model_id}"
        ignored = [name for name in ("negative_prompt", "cfg_scale") if values[name]]
        return {
            "prompt": first.prompt,
            "all_prompts": [job.prompt for job in jobs],
            "negative_prompt": "",
            "all_negative_prompts": ["" for _ in jobs],
            "seed": first.seed,
            "all_seeds": [job.seed for job in jobs],
            "subseed": -1,
            "all_subseeds": [-1 for _ in jobs],
            "subseed_strength": 0,
            "width": first.width,
            "height": first.height,
            "sampler_name": SAMPLER,
            "cfg_scale": CFG_SCALE,
            "steps": first.steps,
            "batch_size": values["batch_size"],
            "sd_model_name": self._studio.model_id,
            "job_timestamp": _timestamp(tickets[0].created),
            "index_of_first_image": 0,
            "infotexts": [f"{job.prompt}\n{facts}, Seed: {job.seed}, {size}" for job in jobs],
            "ignored": ignored,
        }

    async def _progress(self, request: web.Request, values: Values) -> web.StreamResponse:
        tickets = self._requests[0] if self._requests else []
        over = [ticket for ticket in tickets if ticket.is_over]
        current = next((ticket for ticket in tickets if not ticket.is_over), None)
        told = current.progress if current else None
        fraction = (len(over) + (told.fraction if told else 0.0)) / len(tickets) if tickets else 0.0
        sampling = told is not None and told.stage == "transformer"
        started = next((ticket.started for ticket in tickets if ticket.started), None)
        left = (time.time() - started) * (1 - fraction) / fraction if started and fraction else 0.0
        return web.json_response(
            {
                "progress": fraction,
                "eta_relative": left,
                "state": {
                    "skipped": False,
                    "interrupted": any(ticket.stop.is_set() for ticket in tickets),
                    "job": "txt2img" if tickets else "",
                    "job_count": len(tickets),
                    "job_timestamp": _timestamp(tickets[0].created) if tickets else "0",
                    "job_no": len(over),
                    "sampling_step": told.step if told and sampling else 0,
                    "sampling_steps": current.job.steps if current else 0,
                },
                "current_image": base64_png(current.preview) if current and current.preview else None,
                "textinfo": told.stage.replace("_", " ") if told else None,
            }
        )

    async def _interrupt(self, request: web.Request, values: Values) -> web.StreamResponse:
        for ticket in self._requests[0] if self._requests else []:
            if not ticket.is_over:
                self._studio.queue.abandon(ticket)
        return web.json_response({})

    async def _samplers(self, request: web.Request, values: Values) -> web.StreamResponse:
        return web.json_response([{"name": SAMPLER, "aliases": ["euler", "k_euler"], "options": {}}])

    async def _models(self, request: web.Request, values: Values) -> web.StreamResponse:
        name = self._studio.model_id
        model = {"title": name, "model_name": name, "hash": None, "sha256": None, "filename": name}
        return web.json_response([model | {"config": None}])

    async def _get_options(self, request: web.Request, values: Values) -> web.StreamResponse:
        options = {"sd_model_checkpoint": self._studio.model_id, "samples_format": "png"}
        return web.json_response(options)

    async def _set_options(self, request: web.Request, values: Values) -> web.StreamResponse:
        return web.json_response(None)


def _timestamp(seconds: float) -> str:
    return time.strftime("%Y%m%d%H%M%S", time.localtime(seconds))
