"""A1111's face, with a client from PyPI that was written for that web UI."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import webuiapi
from server.api.faces import KEY, Api, on_an_api
from server.queue.fake_engine import PREVIEW

PATH = "/sdapi/v1/txt2img"


def test_a_client_written_for_the_web_ui(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        def use() -> None:
            port = int(api.url.rsplit(":", 1)[1])
            client = webuiapi.WebUIApi(host="127.0.0.1", port=port, username="anybody", password=KEY)
            assert client.get_samplers()[0]["name"] == "Euler"
            assert client.get_sd_models()[0]["model_name"] == "fake"
            assert client.get_options()["sd_model_checkpoint"] == "fake"
            assert client.set_options({"sd_model_checkpoint": "fake"}) is None
            assert client.get_progress()["progress"] == 0.0
            assert client.interrupt() == {}
            made = client.txt2img(
                prompt="a fox", width=40, height=16, seed=7, steps=3, batch_size=2, n_iter=2
            )
            assert [image.size for image in made.images] == [(32, 16)] * 4
            assert made.info["all_seeds"] == [7, 8, 9, 10]
            assert made.info["infotexts"][1].startswith("a fox\nSteps: 3, Sampler: Euler")
            assert made.info["ignored"] == ["cfg_scale"]
            assert made.parameters["prompt"] == "a fox"
            random = client.txt2img(prompt="a fox", width=16, height=16)
            assert random.info["seed"] >= 0
            with pytest.raises(RuntimeError) as refused:
                client.txt2img(prompt="a fox", enable_hr=True)
            assert refused.value.args[0] == 422

        await asyncio.to_thread(use)

    on_an_api(fake_site, test, key=KEY)


def test_progress_and_interrupt(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        other = await api.ask("POST", "/jobs", {"prompt": "hold"})
        body = {"prompt": "hold", "steps": 2, "n_iter": 2}
        asking = asyncio.create_task(api.ask("POST", PATH, body))
        while api.queue.waiting < 2:
            await asyncio.sleep(0.002)
        idle = (await api.ask("GET", "/sdapi/v1/progress")).json
        assert (idle["progress"], idle["state"]["job_count"], idle["current_image"]) == (0.0, 2, None)
        assert (await api.ask("DELETE", other.headers["location"])).status == 200
        await api.begun()
        told = (await api.ask("GET", "/sdapi/v1/progress")).json
        assert told["progress"] == 0.25  # half of the first of two
        assert (told["state"]["sampling_step"], told["state"]["sampling_steps"]) == (1, 2)
        assert told["textinfo"] == "transformer"
        assert base64.b64decode(told["current_image"]) == PREVIEW.png
        assert told["eta_relative"] > 0
        assert (await api.ask("POST", "/sdapi/v1/interrupt")).json == {}
        answer = await asking
        assert answer.status == 410
        assert answer.json["error"] == "cancelled"
        assert (await api.ask("GET", "/sdapi/v1/progress")).json["state"]["job"] == ""

    on_an_api(fake_site, test)


def test_an_interrupt_touches_no_other_face_and_keeps_what_was_done(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        asking = asyncio.create_task(api.ask("POST", PATH, {"prompt": "hold", "n_iter": 2}))
        await api.begun()
        native = await api.ask("POST", "/jobs", {"prompt": "x"})
        first = api.queue.in_hand
        api.engines.release.set()
        while api.queue.in_hand is first:
            await asyncio.sleep(0)
        api.engines.release.clear()
        await api.begun()
        assert (await api.ask("POST", "/sdapi/v1/interrupt")).status == 200
        answer = await asking
        assert answer.status == 200
        assert len(answer.json["images"]) == len(json.loads(answer.json["info"])["all_seeds"]) == 1
        while (record := (await api.ask("GET", native.headers["location"])).json)["finished"] is None:
            await asyncio.sleep(0.002)
        assert record["state"] == "done"

    on_an_api(fake_site, test)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"steps": 0}, "steps"),
        ({"width": 8}, "width"),
        ({"height": "64"}, "height"),
        ({"batch_size": 9}, "batch_size"),
        ({"batch_size": 3, "n_iter": 3}, "n_iter"),
        ({"seed": -2}, "seed"),
        ({"script_name": "x/y/z plot"}, "script_name"),
    ],
)
def test_refusals_are_fastapis(fake_site: Path, body: dict[str, Any], field: str) -> None:
    async def test(api: Api) -> None:
        answer = await api.ask("POST", PATH, {"prompt": "x"} | body)
        assert answer.status == 422
        (detail,) = answer.json["detail"]
        assert detail["loc"] == ["body", field]
        assert api.engines.made == []
        model = await api.ask("POST", "/sdapi/v1/options", {"sd_model_checkpoint": "other"})
        assert model.status == 422

    on_an_api(fake_site, test)


def test_a_client_that_goes_away_cancels_its_pictures(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        with pytest.raises(TimeoutError):
            short = aiohttp.ClientTimeout(total=0.2)
            await api.ask("POST", PATH, {"prompt": "hold", "n_iter": 3}, timeout=short)
        while api.queue.in_hand is not None:
            await asyncio.sleep(0.005)
        assert api.queue.waiting == 0
        assert (await api.ask("GET", "/sdapi/v1/progress")).json["state"]["job_count"] == 0

    on_an_api(fake_site, test)
