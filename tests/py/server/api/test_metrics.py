"""/metrics: Prometheus' own parser reads it, and it counts what happened."""

from __future__ import annotations

import asyncio
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from server.api.faces import Api, on_an_api


async def samples(api: Api) -> dict[str, float]:
    """Name{labels} -> value of everything that is told."""
    answer = await api.ask("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        sample.name + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


def test_it_counts_what_happened(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        for prompt in ("x", "x", "too-large", "lose"):
            await api.ask("POST", "/v1/images/generations", {"prompt": prompt})
        await api.ask("GET", "/sdapi/v1/nothing")
        await api.ask("POST", "/jobs", {"prompt": "hold"})
        waiting = (await api.ask("POST", "/jobs", {"prompt": "x"})).json["id"]
        while api.queue.engine is None:
            await asyncio.sleep(0.001)
        await api.begun()
        await api.ask("DELETE", f"/jobs/{waiting}")
        await api.ask("POST", "/jobs", {"prompt": "x"})
        found = await samples(api)
        expected = {
            "kleinbild_pictures_total code= state=done": 2,
            "kleinbild_pictures_total code=too-large state=failed": 1,
            "kleinbild_pictures_total code=engine-lost state=failed": 1,
            "kleinbild_pictures_total code= state=cancelled": 1,
            "kleinbild_stage_seconds_count stage=transformer": 2,
            "kleinbild_stage_seconds_sum stage=transformer": 1.0,
            "kleinbild_queue_wait_seconds_count": 4,
            "kleinbild_queue_length": 1,
            "kleinbild_pictures_in_hand": 1,
            "kleinbild_engine_up": 1,
            "kleinbild_engine_restarts_total": 2,
            "kleinbild_gpu_memory_least_bytes": 10,
            "kleinbild_gpu_memory_needed_bytes": 30,
            "kleinbild_gpu_memory_budget_bytes": 40,
            "kleinbild_http_answers_total face=openai status=200": 2,
            "kleinbild_http_answers_total face=openai status=400": 1,
            "kleinbild_http_answers_total face=openai status=500": 1,
            "kleinbild_http_answers_total face=a1111 status=404": 1,
            "kleinbild_http_answers_total face=native status=202": 3,
        }
        assert {name: found.get(name) for name in expected} == expected
        assert found["kleinbild_results_bytes"] > 0

    on_an_api(fake_site, test)
