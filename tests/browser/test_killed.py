"""What is left when a tab or the whole browser is killed, amid a download and amid a picture."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from browser_visits import PICTURE_TIMEOUT_MS, READY_TIMEOUT_MS
from model_visits import act, expect_outcome, kept_name, stored, wait_until
from own_browser import own_browser
from playwright.sync_api import Browser, Page, Route, expect


def kill_tab(page: Page) -> Page:
    """Kills the page's process as the system does when memory runs out; a new page of the same profile."""
    context = page.context
    assert context.browser is not None
    session = context.browser.new_browser_cdp_session()
    with page.expect_event("crash"):
        for process in session.send("SystemInfo.getProcessInfo")["processInfo"]:
            if process["type"] == "renderer":
                os.kill(process["id"], signal.SIGKILL)
    return context.new_page()


def open_make(page: Page, url: str) -> None:
    page.goto(url)
    page.wait_for_selector("#make:enabled", timeout=READY_TIMEOUT_MS)


def expose(page: Page, button: str) -> None:
    """Waits until a picture is amid its steps."""
    page.click(button)
    expect(page.locator("#progress-title")).to_contain_text("Exposing", timeout=PICTURE_TIMEOUT_MS)


def test_pictures_in_hand_and_waiting_outlive_their_tab_and_their_browser(
    browser: Browser, launch_flags: list[str], url: str, tmp_path: Path
) -> None:
    waiting = "2 pictures were still waiting"
    with own_browser(browser, launch_flags, tmp_path) as page:
        open_make(page, url)
        page.fill("#prompt", "a red fox")
        for name, value in (("width", "16"), ("height", "16"), ("steps", "12"), ("count", "2")):
            page.fill(f"#{name}", value)
        page.click("#seed-lock")
        page.fill("#seed", "7")
        expose(page, "#make")
        again = kill_tab(page)
        open_make(again, url)
        expect(again.locator("#toast")).to_contain_text(waiting)
        expose(again, "#queue-resume")
    with own_browser(browser, launch_flags, tmp_path) as page:
        open_make(page, url)
        expect(page.locator("#toast")).to_contain_text(waiting)
        expect(page.locator("#make")).to_have_text("Make 2 pictures")  # nothing to download
        page.click("#queue-resume")
        expect(page.locator("#queue")).to_be_hidden(timeout=PICTURE_TIMEOUT_MS)
        expect(page.locator("#caption")).to_contain_text("seed 8", timeout=PICTURE_TIMEOUT_MS)
        page.goto(f"{url}/#/gallery")
        expect(page.locator("#gallery-count")).to_contain_text("2 pictures")


def test_an_order_is_remembered_from_the_moment_it_was_given(
    browser: Browser, launch_flags: list[str], url: str, tmp_path: Path
) -> None:
    with own_browser(browser, launch_flags, tmp_path) as page:
        page.route("**/w/*", lambda route: None)  # the model never comes
        open_make(page, url)
        page.fill("#prompt", "a red fox")
        page.click("#make")
        page.wait_for_selector("#cancel:visible")
    with own_browser(browser, launch_flags, tmp_path) as page:
        open_make(page, url)
        expect(page.locator("#toast")).to_contain_text("1 picture was still waiting")


def test_a_download_outlives_a_killed_tab(
    browser: Browser, launch_flags: list[str], url: str, tmp_path: Path
) -> None:
    let_through = 3

    def hold(route: Route) -> None:
        nonlocal let_through
        let_through -= 1
        if let_through >= 0:
            route.continue_()

    with own_browser(browser, launch_flags, tmp_path) as page:
        page.route("**/w/*", hold)
        page.goto(f"{url}/#/models")
        act(page, "install")
        wait_until(page, lambda: len(stored(page)) > 2, "some parts are stored")
        kept = {name for name in stored(page) if not name.endswith(".part")}
        again = kill_tab(page)
        fetched: list[str] = []
        again.on("request", lambda request: fetched.append(request.url))
        again.goto(f"{url}/#/models")
        expect_outcome(again, "is on this device.")
        weights = {kept_name(address) for address in fetched if "/w/" in address}
        assert weights
        assert not weights & kept
        assert weights | kept == set(stored(again))
