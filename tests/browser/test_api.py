"""serve.py --api with the model that comes with the project: three faces, cancel, loss and restart.

The server starts its own browser; what a stand-in for the model can show is in tests/py/server.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from png_pixels import pixels
from server.test_serve_api import Api, running_api

SMALL: dict[str, Any] = {"prompt": "a red fox", "seed": 5, "steps": 1}
SIDE = {"width": 16, "height": 16}
LONG = SMALL | {"width": 64, "height": 64, "steps": 100}
STEPS_OF_PREVIEW = 7  # until the small model, whose decoder is dear beside its steps, shows one
PATIENCE_SECONDS = 300


@pytest.fixture(scope="module")
def api(tiny_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One server for all tests of this file, its model warm."""
    with running_api(tiny_site, tmp_path_factory.mktemp("api")) as running:
        running.patience = PATIENCE_SECONDS
        running.wait("/healthz", '"ok"')
        yield running


def size(png: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", png, 16)
    return width, height


def native_picture(api: Api) -> bytes:
    job = api.json("POST", "/jobs", SMALL | SIDE)["id"]
    api.wait(f"/jobs/{job}", '"done"')
    status, picture = api.ask("GET", f"/jobs/{job}/picture")
    assert status == 200
    return picture


def test_the_three_faces_make_the_same_picture(api: Api) -> None:
    native = native_picture(api)
    assert size(native) == (16, 16)
    openai = SMALL | {"size": "16x16", "response_format": "b64_json"}
    made = api.json("POST", "/v1/images/generations", openai)
    assert pixels(base64.b64decode(made["data"][0]["b64_json"])) == pixels(native)
    a1111 = api.json("POST", "/sdapi/v1/txt2img", SMALL | SIDE)
    assert pixels(base64.b64decode(a1111["images"][0])) == pixels(native)
    metrics = api.wait("/metrics", "kleinbild_gpu_memory_needed_bytes")
    assert 'kleinbild_stage_seconds_count{stage="transformer"} 3.0' in metrics


def test_a_cancel_takes_effect_inside_the_picture(api: Api) -> None:
    job = api.json("POST", "/jobs", LONG)["id"]
    api.wait(f"/jobs/{job}", '"transformer"')
    began = time.monotonic()
    record = api.json("DELETE", f"/jobs/{job}")
    assert record["state"] == "cancelled"
    assert record["progress"]["fraction"] < 0.9
    assert time.monotonic() - began < 30  # of a hundred steps, on a CPU that has others to serve
    assert size(native_picture(api)) == (16, 16)


def test_a1111s_progress_shows_what_the_picture_looks_like(api: Api) -> None:
    """The native face's previews are seen in test_attach.py."""
    asked = SMALL | SIDE | {"steps": 2 * STEPS_OF_PREVIEW}
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(api.json, "POST", "/sdapi/v1/txt2img", asked)
        told = json.loads(api.wait("/sdapi/v1/progress", '"current_image": "'))
        assert told["state"]["sampling_step"] >= STEPS_OF_PREVIEW
        assert size(base64.b64decode(told["current_image"])) == (16, 16)
        assert size(base64.b64decode(waiting.result()["images"][0])) == (16, 16)


def test_a_size_that_does_not_fit_is_the_clients_error(api: Api) -> None:
    status, body = api.ask("POST", "/v1/images/generations", SMALL | {"size": "17x16"})
    assert (status, b"multiples of 16" in body) == (400, True)


def test_a_killed_browser_is_replaced_and_no_request_lost(api: Api) -> None:
    before = native_picture(api)
    job = api.json("POST", "/jobs", SMALL | SIDE | {"steps": 8})["id"]
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(api.json, "POST", "/sdapi/v1/txt2img", SMALL | SIDE)
        api.wait(f"/jobs/{job}", '"transformer"')
        os.kill(api.browser(), signal.SIGKILL)
        api.wait(f"/jobs/{job}", '"done"')
        assert pixels(base64.b64decode(waiting.result()["images"][0])) == pixels(before)
    assert "kleinbild_engine_restarts_total 1.0" in api.ask("GET", "/metrics")[1].decode()
