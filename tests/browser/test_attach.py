"""serve.py --api --attach with the model that comes with the project: a page that is open is the engine.

Its coming and going with a stand-in for the page is tested in tests/py/server/api/test_attach.py.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_visits import PICTURE_TIMEOUT_MS, READY_TIMEOUT_MS, Visit, visit
from playwright.sync_api import Browser, expect
from png_pixels import pixels
from server.test_serve_api import Api, running_api

ASKED: dict[str, Any] = {"prompt": "a red fox", "width": 16, "height": 16, "seed": 5, "steps": 8}
LONG = ASKED | {"width": 64, "height": 64, "steps": 100}
LENT = "This page lends its GPU to the picture server"
PATIENCE_SECONDS = 300


@pytest.fixture(scope="module")
def api(tiny_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    cache = tmp_path_factory.mktemp("attach")
    with running_api(tiny_site, cache, "--page-wait", "300", own_browser=False) as running:
        running.patience = PATIENCE_SECONDS
        yield running


@pytest.fixture(scope="module")
def lender(browser: Browser, api: Api) -> Iterator[Visit]:
    """The page, opened at the address that the server printed."""
    with visit(browser, api.page) as opened:
        opened.open()
        yield opened


def test_pictures_are_made_in_the_open_page_and_not_kept_there(lender: Visit, api: Api) -> None:
    page = lender.page
    expect(page.locator("#loan-words")).to_contain_text(LENT)
    assert page.url == f"{api.url}/", "the token stays in no address"
    api.wait("/healthz", '"ok"')
    job = api.json("POST", "/jobs", ASKED | {"preview": True})["id"]
    expect(page.locator("#loan-words")).to_contain_text(
        "is for the picture server", timeout=PICTURE_TIMEOUT_MS
    )
    events = api.events(job)
    assert events[-1]["state"] == "done", events[-1]
    assert [record["preview"]["step"] for record in events if record["preview"]] == [7]
    made = pixels(api.ask("GET", f"/jobs/{job}/picture")[1])
    expect(page.locator("#loan-words")).to_contain_text(LENT)
    expect(page.locator("#frame")).to_have_attribute("data-state", "idle")
    expect(page.locator("#roll-list button")).to_have_count(0)
    api.wait("/metrics", "kleinbild_gpu_memory_needed_bytes")

    # The same picture for the person at the page is the same, and is kept.
    page.fill("#prompt", ASKED["prompt"])
    for name in ("width", "height", "seed", "steps"):
        page.fill(f"#{name}", str(ASKED[name]))
    page.click("#make")
    page.wait_for_selector("#roll-list button", timeout=PICTURE_TIMEOUT_MS)
    with page.expect_download() as download:
        page.click("#download")
    assert pixels(download.value.path().read_bytes()) == made


def test_a_cancel_reaches_the_page_and_the_pages_own_cancel_the_client(lender: Visit, api: Api) -> None:
    page = lender.page
    job = api.json("POST", "/jobs", LONG)["id"]
    api.wait(f"/jobs/{job}", '"transformer"')
    expect(page.locator("#cancel")).to_be_visible()
    began = time.monotonic()
    assert api.json("DELETE", f"/jobs/{job}")["state"] == "cancelled"
    assert time.monotonic() - began < 30  # of a hundred steps, on a CPU that has others to serve
    expect(page.locator("#frame")).to_have_attribute("data-state", "done")  # the person's own picture again
    job = api.json("POST", "/jobs", LONG)["id"]
    api.wait(f"/jobs/{job}", '"transformer"')
    page.click("#cancel")
    api.wait(f"/jobs/{job}", '"cancelled"')


def test_whoever_stops_lending_is_left_alone(lender: Visit, api: Api) -> None:
    page = lender.page
    page.click("#loan-switch")
    expect(page.locator("#loan-words")).to_contain_text("does not lend")
    api.wait("/healthz", '"no-page"')
    page.click("#loan-switch")
    expect(page.locator("#loan-words")).to_contain_text(LENT)
    made = api.json("POST", "/sdapi/v1/txt2img", ASKED | {"steps": 1})
    assert len(pixels(base64.b64decode(made["images"][0]))) == 16 * 16 * 3


def test_a_reload_costs_a_try_whatever_view_comes_back(lender: Visit, api: Api) -> None:
    page = lender.page
    before = restarts(api)
    job = api.json("POST", "/jobs", ASKED | {"steps": 16})["id"]
    api.wait(f"/jobs/{job}", '"transformer"')
    page.goto(f"{api.url}/#/gallery")
    page.reload()
    api.wait(f"/jobs/{job}", '"done"')
    expect(page.locator("#view-gallery")).to_be_visible()
    assert restarts(api) == before + 1


def test_of_two_tabs_the_one_that_has_the_gpu_lends_it(lender: Visit, api: Api) -> None:
    before = restarts(api)
    second = lender.context.new_page()
    second.goto(api.url)
    second.wait_for_selector("#make:enabled", timeout=READY_TIMEOUT_MS)
    expect(second.locator("#loan")).to_be_hidden()
    second.click("#owner-take")
    expect(second.locator("#loan-words")).to_contain_text(LENT)
    expect(lender.page.locator("#loan")).to_be_hidden()
    api.wait("/healthz", '"ok"')
    assert restarts(api) == before + 1
    assert lender.complaints == []


def restarts(api: Api) -> int:
    """Pages that have come after another."""
    lines = api.ask("GET", "/metrics")[1].decode().splitlines()
    (line,) = [line for line in lines if line.startswith("kleinbild_engine_restarts_total ")]
    return int(float(line.split()[1]))
