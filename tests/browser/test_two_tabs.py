"""Two tabs of one browser: one of them has the GPU, and hands it over when the other one asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser_visits import READY_TIMEOUT_MS, Visit, visit
from playwright.sync_api import Browser, Page, expect
from server.raw_http import Server


@pytest.fixture
def one(browser: Browser, short_site: Path, serve: Callable[[Path], Server]) -> Iterator[Visit]:
    """A visit whose weights never arrive: a picture that is asked for is in hand until it is cancelled."""
    with visit(browser, f"http://{serve(short_site).authority}") as opened:
        opened.context.route("**/w/*", lambda route: None)
        yield opened


def ask_for_a_picture(page: Page) -> None:
    page.fill("#prompt", "a red fox")
    page.click("#make")


def test_the_gpu_is_one_tabs_and_changes_hands_on_request(one: Visit) -> None:
    first = one.open()
    banner = "#owner"
    expect(first.locator(banner)).to_be_hidden()
    second = one.context.new_page()
    second.goto(one.url)
    second.wait_for_selector("#make:enabled", timeout=READY_TIMEOUT_MS)
    expect(second.locator("#owner-words")).to_have_text(
        "Kleinbild is open in another tab, and pictures are made there."
    )
    expect(second.locator("#owner-stop")).to_be_hidden()
    ask_for_a_picture(second)
    expect(second.get_by_role("alert").locator("h2")).to_have_text("Another tab is using the model")

    second.click("#owner-take")
    expect(second.locator(banner)).to_be_hidden()
    expect(first.locator("#owner-take")).to_have_text("Make them here")

    ask_for_a_picture(second)
    expect(second.locator("#cancel")).to_be_visible()
    expect(first.locator("#owner-words")).to_have_text("Another tab is making a picture.")
    first.click("#owner-take")  # "... when it is done"
    expect(first.locator("#owner-words")).to_contain_text("Waiting for the other tab")
    expect(second.locator(banner)).to_be_hidden()
    second.click("#cancel")
    expect(first.locator(banner)).to_be_hidden()
    expect(second.locator(banner)).to_be_visible()

    ask_for_a_picture(first)
    expect(first.locator("#cancel")).to_be_visible()
    second.click("#owner-stop")
    expect(second.locator(banner)).to_be_hidden()
    expect(first.locator("#cancel")).to_be_hidden()
    expect(first.locator("[data-panel=failed]")).to_be_hidden()

    second.close()  # what happens when a tab dies, too
    expect(first.locator(banner)).to_be_hidden()
    assert one.complaints == []
