"""A new version of the page: never in the middle of a picture, with one click, and older tabs keep theirs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_visits import PICTURE_TIMEOUT_MS, Visit, visit
from model_visits import wait_until
from playwright.sync_api import Browser, Page, expect
from server.raw_http import Server, running_server

NEW_BUILD = "0123456789ab"
BUILD = "JSON.parse(document.querySelector('#kleinbild').textContent).build"
CACHES = "async () => (await caches.keys()).sort()"
UPDATE = "async () => void (await (await navigator.serviceWorker.getRegistration()).update())"
CONTROLLED = "navigator.serviceWorker.controller !== null"
# Frame states of a visit, across a reload.
NOTE_STATES = """
  addEventListener("DOMContentLoaded", () => {
    const frame = document.getElementById("frame");
    const note = () => sessionStorage.setItem(
      "states", `${sessionStorage.getItem("states") ?? ""} ${frame.dataset.state}`);
    new MutationObserver(note).observe(frame, { attributeFilter: ["data-state"] });
  });
"""


@pytest.fixture
def folder(tiny_site: Path, tmp_path: Path) -> Path:
    """The site in a folder of its own, to be replaced."""
    copy(tiny_site, tmp_path / "dist")
    return tmp_path / "dist"


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    """Its server."""
    with running_server(folder) as running:
        yield running


def copy(site: Path, to: Path) -> None:
    """A copy whose large files are links."""
    shutil.copytree(site, to, copy_function=os.link)


def publish_new_version(folder: Path, tmp_path: Path) -> None:
    """Puts another build of the same site into its place, as build.py does: written aside, then moved."""
    new = tmp_path / "new"
    copy(folder, new)
    (old_build,) = (path.name for path in (new / "v").iterdir())
    (new / "v" / old_build).rename(new / "v" / NEW_BUILD)
    for path in (new / "index.html", new / "bench.html", new / "sw.js"):
        text = path.read_text(encoding="utf-8").replace(old_build, NEW_BUILD)
        path.unlink()  # the old site's file is the same one
        path.write_text(text, encoding="utf-8")
    folder.rename(tmp_path / "old")
    new.rename(folder)


def build_of(page: Page) -> str:
    build: str = page.evaluate(BUILD)
    return build


def open_controlled(one: Visit, page: Page) -> None:
    """The page as its second visit sees it: its files come from the service worker."""
    page.goto(one.url)
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.wait_for_selector("#make:enabled")
    wait_until(page, lambda: page.evaluate(CONTROLLED), "the service worker takes the page over")


def test_an_update_waits_for_the_picture_and_older_tabs_keep_their_version(
    browser: Browser, server: Server, folder: Path, tmp_path: Path
) -> None:
    address = f"http://{server.authority}"
    with visit(browser, address, script=NOTE_STATES, service_workers="allow") as one:
        busy, idle = one.page, one.context.new_page()
        for page in (busy, idle):
            open_controlled(one, page)
        old = build_of(busy)
        assert busy.evaluate(CACHES) == [f"kleinbild-{old}"]
        publish_new_version(folder, tmp_path)
        one.small_picture()  # with everything that a first one takes: download, compilers, loading
        expect(busy.locator("#cancel")).to_be_visible()
        busy.evaluate(UPDATE)
        banner = busy.locator("#update")
        expect(banner).to_contain_text("A new version of this page is ready.")
        busy.click("#update-accept")
        expect(banner).to_contain_text("as soon as the work in hand is done")
        expect(busy.locator("#update-accept")).to_be_hidden()
        expect(busy.locator("#cancel")).to_be_visible()
        assert build_of(busy) == old

        expect(busy.locator(f"link[href*='/v/{NEW_BUILD}/']").first).to_be_attached(
            timeout=PICTURE_TIMEOUT_MS
        )
        assert "done" in busy.evaluate("sessionStorage.getItem('states')"), "the picture was finished first"
        assert busy.evaluate(CONTROLLED)

        assert build_of(idle) == old, "the other tab was not touched"
        expect(idle.locator("#update")).to_be_visible()
        assert idle.evaluate(CACHES) == sorted([f"kleinbild-{old}", f"kleinbild-{NEW_BUILD}"])
        idle.click("[data-link=diagnosis]")  # code that this tab had not loaded, and the server has no more
        expect(idle.locator("#diagnosis-sections")).to_be_visible()
        assert build_of(idle) == old

        idle.click("#update-accept")
        expect(idle.locator(f"link[href*='/v/{NEW_BUILD}/']").first).to_be_attached()
        expect(idle.locator("#update")).to_be_hidden()
        # Caches go once no page needs them, a moment after the last one told.
        wait_until(
            idle, lambda: idle.evaluate(CACHES) == [f"kleinbild-{NEW_BUILD}"], "only the new cache is left"
        )
        assert one.complaints == []
