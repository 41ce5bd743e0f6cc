"""The native face: records, events, pictures, cancel."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from server.api.faces import Api, on_an_api
from server.fake_site import png
from server.queue.fake_engine import HALFWAY, PREVIEW

from kleinbild.server.api import native
from kleinbild.server.api.limits import Limits
from kleinbild.server.queue.queue import QueueLimits

SMALL = {"prompt": "x", "width": 32, "height": 16, "seed": 2**64 - 1, "steps": 3}


async def finished(api: Api, path: str) -> Any:
    while True:
        record = (await api.ask("GET", path)).json
        if record["finished"] is not None:
            return record
        await asyncio.sleep(0.002)


def test_a_job_from_its_first_answer_to_its_picture(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        created = await api.ask("POST", "/jobs", SMALL)
        assert created.status == 202
        path = created.headers["location"]
        assert created.json | SMALL == created.json
        assert created.json["picture"] is None
        record = await finished(api, path)
        assert record["state"] == "done"
        assert record["seconds"] == {"transformer": 0.5}
        assert record["progress"]["stage"] == "transformer"
        picture = await api.ask("GET", record["picture"])
        assert (picture.status, picture.headers["content-type"]) == (200, "image/png")
        assert picture.body == png(32, 16)
        forgotten = await api.ask("DELETE", path)
        assert (forgotten.status, forgotten.json["state"]) == (200, "done")
        for gone in (path, record["picture"], f"{path}/events"):
            answer = await api.ask("GET", gone)
            assert (answer.status, answer.json["error"]["code"]) == (404, "not-found")

    on_an_api(fake_site, test)


def test_defaults_are_the_models_and_the_seed_is_random(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        first, second = [(await api.ask("POST", "/jobs", {"prompt": "x"})).json for _ in range(2)]
        assert (first["width"], first["height"], first["steps"]) == (64, 64, 2)
        assert first["seed"] != second["seed"]
        assert first["id"] != second["id"]

    on_an_api(fake_site, test)


def test_events_tell_the_states_and_end(fake_site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "HEARTBEAT_SECONDS", 0.02)

    async def test(api: Api) -> None:
        path = (await api.ask("POST", "/jobs", {"prompt": "hold"})).headers["location"]
        events: list[tuple[str, Any]] = []
        comments = 0
        async with api.session.get(f"{api.url}{path}/events") as stream:
            assert stream.headers["Content-Type"] == "text/event-stream"
            name = ""
            async for raw in stream.content:
                line = raw.decode().rstrip("\n")
                if line.startswith(":"):
                    comments += 1
                    api.engines.release.set()
                elif line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    events.append((name, json.loads(line.removeprefix("data: "))))
        assert comments >= 1
        assert events[-1][0] == "done"
        assert all(name == record["state"] for name, record in events)
        assert any(record["progress"] for name, record in events if name == "running")
        versions = [record["progress"]["fraction"] if record["progress"] else 0 for _, record in events]
        assert versions == sorted(versions)

    on_an_api(fake_site, test)


@pytest.mark.parametrize("wanted", [True, False])
def test_previews_come_once_each_to_whoever_wants_them(
    fake_site: Path, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    monkeypatch.setattr(native, "HEARTBEAT_SECONDS", 0.02)

    async def test(api: Api) -> None:
        asked = {"prompt": "hold", "preview": wanted}
        path = (await api.ask("POST", "/jobs", asked)).headers["location"]
        await api.begun()
        shown = []
        async with api.session.get(f"{api.url}{path}/events") as stream:
            async for raw in stream.content:
                if raw.startswith(b"data: "):
                    shown.append(json.loads(raw.removeprefix(b"data: "))["preview"])
                    ticket = api.queue.in_hand
                    if ticket is not None and len(shown) < 4:
                        ticket.tell(HALFWAY)
                    else:
                        api.engines.release.set()
        png_ = base64.b64encode(PREVIEW.png).decode()
        record = {"step": PREVIEW.step, "width": 16, "height": 8, "png": png_}
        assert [one for one in shown if one] == ([record] if wanted else [])
        assert len(shown) >= 4
        assert (await api.ask("GET", path)).json["preview"] is None, "not beside the picture itself"

    on_an_api(fake_site, test)


def test_watchers_have_a_bound_and_give_their_place_back(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        path = (await api.ask("POST", "/jobs", {"prompt": "hold"})).headers["location"]
        events = f"{api.url}{path}/events"
        async with api.session.get(events) as first, api.session.get(events) as second:
            assert (first.status, second.status) == (200, 200)
            refused = await api.ask("GET", f"{path}/events")
            assert (refused.status, refused.json["error"]["code"]) == (429, "too-many-streams")
            assert int(refused.headers["retry-after"]) > 0
            assert (await api.ask("GET", path)).status == 200
            api.engines.release.set()
            assert b"event: done" in await first.read()
            assert b"event: done" in await second.read()
        assert (await api.ask("GET", f"{path}/events")).status == 200

    on_an_api(fake_site, test, limits=Limits(streams=2))


def test_cancel_inside_a_step_and_in_the_queue(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        running = (await api.ask("POST", "/jobs", {"prompt": "hold"})).headers["location"]
        waiting = (await api.ask("POST", "/jobs", SMALL)).headers["location"]
        await api.begun()
        assert (await api.ask("GET", waiting)).json["position"] == 1
        assert (await api.ask("GET", f"{running}/picture")).status == 409
        for path in (waiting, running):
            answer = await api.ask("DELETE", path)
            assert (answer.status, answer.json["state"]) == (200, "cancelled")
            assert (await api.ask("GET", path)).json["state"] == "cancelled"
            assert (await api.ask("GET", f"{path}/picture")).status == 410
        assert api.engines.made == ["hold"]

    on_an_api(fake_site, test)


def test_a_watcher_that_goes_away_cancels_nothing(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        path = (await api.ask("POST", "/jobs", {"prompt": "hold"})).headers["location"]
        async with api.session.get(f"{api.url}{path}/events") as stream:
            await stream.content.readline()
        await api.begun()
        api.engines.release.set()
        assert (await finished(api, path))["state"] == "done"

    on_an_api(fake_site, test)


def test_a_failure_is_told_without_a_word_of_this_machine(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        for prompt, code, status in (("too-large", "too-large", 400), ("lose", "engine-lost", 500)):
            path = (await api.ask("POST", "/jobs", {"prompt": prompt})).headers["location"]
            record = await finished(api, path)
            assert (record["state"], record["error"]["code"]) == ("failed", code)
            picture = await api.ask("GET", f"{path}/picture")
            assert (picture.status, picture.json["error"]["code"]) == (status, code)
            assert "/home" not in json.dumps(record)

    on_an_api(fake_site, test)


def test_results_are_kept_for_a_set_time(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        api.queue.store.__init__(0.05, QueueLimits().keep_bytes)  # type: ignore[misc]
        path = (await api.ask("POST", "/jobs", SMALL)).headers["location"]
        await finished(api, path)
        await asyncio.sleep(0.06)
        assert (await api.ask("GET", path)).status == 404

    on_an_api(fake_site, test)
