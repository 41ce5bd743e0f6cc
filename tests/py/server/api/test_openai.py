"""OpenAI's face, with their own client where it matters what that makes of an answer."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from server.api.faces import KEY, Api, on_an_api
from server.fake_site import png

from kleinbild.server.api.limits import Limits

PATH = "/v1/images/generations"


def test_the_official_client(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        async with openai.AsyncOpenAI(base_url=f"{api.url}/v1", api_key=KEY, max_retries=0) as client:
            assert [model.id async for model in client.models.list()] == ["fake"]
            assert (await client.models.retrieve("fake")).owned_by == "kleinbild"
            made = await client.images.generate(
                prompt="a fox",
                model="fake",
                n=2,
                size="32x16",
                response_format="b64_json",
                extra_body={"seed": 7, "steps": 1},
            )
            assert made.data is not None
            assert [base64.b64decode(datum.b64_json or "") for datum in made.data] == [png(32, 16)] * 2
            assert [(datum.model_extra or {})["seed"] for datum in made.data] == [7, 8]
            by_url = await client.images.generate(prompt="a fox")
            assert by_url.data is not None
            assert by_url.data[0].url is not None
            picture = await api.ask(
                "GET",
                by_url.data[0].url.removeprefix(api.url),
                headers={"Authorization": f"Bearer {KEY}"},
            )
            assert picture.body == png(64, 64)
            with pytest.raises(openai.NotFoundError, match="one model here: fake"):
                await client.images.generate(prompt="x", model="dall-e-3")
            with pytest.raises(openai.BadRequestError) as wrong:
                await client.images.generate(prompt="x", n=100)
            assert (wrong.value.param, wrong.value.code) == ("n", "bad-input")
        async with openai.AsyncOpenAI(base_url=f"{api.url}/v1", api_key="x" * 20, max_retries=0) as client:
            with pytest.raises(openai.AuthenticationError):
                await client.models.list()

    on_an_api(fake_site, test, key=KEY)


def test_the_official_client_in_a_full_queue(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        async with openai.AsyncOpenAI(base_url=f"{api.url}/v1", api_key="x", max_retries=0) as client:
            holding = asyncio.create_task(client.images.generate(prompt="hold"))
            await api.begun()
            with pytest.raises(openai.RateLimitError) as full:
                await client.images.generate(prompt="x", n=2)
            assert int(full.value.response.headers["Retry-After"]) >= 1
            api.engines.release.set()
            await holding

    on_an_api(fake_site, test, max_waiting=1)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "prompt"),
        ({"prompt": 3}, "prompt"),
        ({"prompt": "x" * 101}, "prompt"),
        ({"prompt": "\ud800"}, "prompt"),
        ({"prompt": "x", "n": 0}, "n"),
        ({"prompt": "x", "n": 1.5}, "n"),
        ({"prompt": "x", "n": True}, "n"),
        ({"prompt": "x", "size": "17x32"}, "size"),
        ({"prompt": "x", "size": "4096x32"}, "size"),
        ({"prompt": "x", "size": "32"}, "size"),
        ({"prompt": "x", "response_format": "jpeg"}, "response_format"),
        ({"prompt": "x", "stream": True}, "stream"),
        ({"prompt": "x", "seed": -1}, "seed"),
        ({"prompt": "x", "seed": 2**64}, "seed"),
        ({"prompt": "x", "steps": 101}, "steps"),
    ],
)
def test_refusals_name_the_field(fake_site: Path, body: dict[str, Any], field: str) -> None:
    async def test(api: Api) -> None:
        answer = await api.ask("POST", PATH, body)
        assert answer.status == 400
        error = answer.json["error"]
        assert (error["type"], error["param"]) == ("invalid_request_error", field)
        assert error["message"].startswith(field)
        assert api.engines.made == []

    on_an_api(fake_site, test, limits=Limits(prompt_chars=100))


def test_a_client_that_goes_away_cancels_its_pictures(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        with pytest.raises(TimeoutError):
            await api.ask("POST", PATH, {"prompt": "hold", "n": 3}, timeout=aiohttp.ClientTimeout(total=0.2))
        while api.queue.in_hand is not None:
            await asyncio.sleep(0.005)
        assert api.queue.waiting == 0
        assert api.engines.made == ["hold"]

    on_an_api(fake_site, test)


def test_a_failed_picture_ends_the_others_of_its_request(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        answer = await api.ask("POST", PATH, {"prompt": "out-of-memory", "n": 3})
        assert answer.status == 500
        assert answer.json["error"] == {
            "message": "in words",
            "type": "server_error",
            "param": None,
            "code": "out-of-memory",
        }
        assert api.queue.waiting == 0
        assert len(api.engines.made) < 3  # the second may have been begun before the client was told

    on_an_api(fake_site, test)


def test_the_end_of_the_server_gives_back(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        waiting = [asyncio.create_task(api.ask("POST", PATH, {"prompt": "hold"})) for _ in range(2)]
        await api.begun()
        while api.queue.waiting == 0:
            await asyncio.sleep(0.002)
        closing = asyncio.create_task(api.queue.close(5))
        await asyncio.sleep(0.01)
        api.engines.release.set()
        await closing
        answers = sorted([await task for task in waiting], key=lambda answer: answer.status)
        assert [answer.status for answer in answers] == [200, 503]
        assert int(answers[1].headers["retry-after"]) >= 1
        assert answers[1].json["error"]["code"] == "stopping"

    on_an_api(fake_site, test)
