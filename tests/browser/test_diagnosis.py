"""The diagnosis in Chromium: facts, findings, kernels, the report; and all that without a GPU."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from axe import violations
from browser_visits import DESKTOP, NO_ADAPTER, NO_WEBGPU, PHONE, PICTURE_TIMEOUT_MS, Visit, speak, visit
from playwright.sync_api import Browser, Page, Route, expect

SECRET = "a red fox that is nobody's business"
KEPT = """async () => {
  let folder = await navigator.storage.getDirectory();
  for (const name of ["kleinbild", "kernels"]) {
    folder = await folder.getDirectoryHandle(name, { create: true });
  }
  return (await Array.fromAsync(folder.keys())).sort();
}"""
TITLES = """() => {
  window.titles = [];
  const title = document.getElementById("progress-title");
  new MutationObserver(() => window.titles.push(title.textContent)).observe(title, { childList: true });
}"""
MEASURING = "Measuring your GPU"
LOADED = "#diagnosis-sections:not([hidden])"


def look(page: Page, shots: Path, state: str) -> None:
    """axe-core and screenshots on a desktop and, dark, on a phone; none may scroll sideways."""
    for size, scheme in ((DESKTOP, "light"), (PHONE, "dark")):
        page.set_viewport_size({"width": size["width"], "height": size["height"]})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        assert violations(page) == [], f"{state}, {scheme}"
        page.screenshot(path=shots / f"diagnosis-{state}-{scheme}.png", full_page=True)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0, f"{state}: {wide} pixels wider than the screen"
    page.set_viewport_size({"width": DESKTOP["width"], "height": DESKTOP["height"]})


def open_diagnosis(one: Visit) -> Page:
    """The diagnosis, with its facts."""
    one.page.goto(f"{one.url}/#/diagnosis")
    one.page.wait_for_selector(LOADED)
    return one.page


def findings(page: Page) -> list[str]:
    """What was found, worst first."""
    found: list[str] = page.evaluate(
        "[...document.querySelectorAll('.finding')].map((one) => one.dataset.finding)"
    )
    return found


def wait_for_other(page: Page, kept: list[str]) -> None:
    """Until the kept report on kernels is another one: they were measured again."""
    deadline = time.monotonic() + PICTURE_TIMEOUT_MS / 1000
    while page.evaluate(KEPT) == kept:
        assert time.monotonic() < deadline, "measured again"
        page.wait_for_timeout(50)


def wait_for_picture(page: Page) -> None:
    page.wait_for_selector("#download:visible, #failure:visible", timeout=PICTURE_TIMEOUT_MS)
    expect(page.locator("#failure")).to_be_hidden()


def check_first_look(page: Page) -> None:
    """What is told before a model was ever started."""
    expect(page.locator("#diagnosis-verdict")).to_have_text("Pictures can be made here, within limits.")
    assert findings(page)[0] == "software"
    expect(page.locator("#diagnosis-gpu")).to_contain_text("swiftshader")
    expect(page.locator("#diagnosis-memory-rows tr")).to_have_count(6)
    expect(page.locator("#diagnosis-kernels-text")).to_contain_text("Not measured yet")
    expect(page.locator("#kernels-again")).to_be_disabled()
    expect(page.locator("#diagnosis-page")).to_contain_text("Cross-origin isolatedyes")


def test_facts_kernels_and_the_report(browser: Browser, url: str, shots: Path) -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    with visit(browser, url, permissions=permissions, service_workers="allow") as one:
        page = open_diagnosis(one)
        check_first_look(page)
        assert one.weight_paths == [], "looking downloads nothing"
        look(page, shots, "first")

        page.click("[data-link=make]")
        one.settle()
        page.evaluate(TITLES)
        one.small_picture(SECRET)
        wait_for_picture(page)
        assert MEASURING in page.evaluate("window.titles")
        kept = page.evaluate(KEPT)
        assert kept, "the report on kernels is kept"

        page.click("[data-link=diagnosis]")
        expect(page.locator("#diagnosis-kernels-text")).to_contain_text("nothing was timed")
        expect(page.locator("#diagnosis-chosen-rows tr")).to_contain_text(["Matrix product"])
        expect(page.locator("#diagnosis-compiler")).to_contain_text("Shader compiler")
        expect(page.locator("#diagnosis-storage-rows")).to_contain_text("Models")
        page.click("#kernels-again")
        wait_for_other(page, kept)
        expect(page.locator("#kernels-again")).to_be_enabled()

        page.click("#diagnosis-copy")
        expect(page.locator(".toast")).to_contain_text("clipboard")
        report: str = page.evaluate("navigator.clipboard.readText()")
        for word in ("limit: software", "adapter: google", "maxBufferSize: ", "measured: in ", "counted: "):
            assert word in report
        assert SECRET not in report

        speak(page, "ar")
        expect(page.locator("#diagnosis-verdict")).to_have_text("يمكن صنع الصور هنا، مع بعض القيود.")
        title = page.locator(".finding__title").first
        expect(title).to_have_text("المعالج المركزي يحسب بدلًا من معالج الرسوم")
        look(page, shots, "arabic")

        page.reload()
        page.wait_for_selector(LOADED)
        expect(page.locator("#diagnosis-chosen-rows tr")).to_have_count(1)
        page.click("[data-link=make]")
        page.reload()
        one.settle()
        page.evaluate(TITLES)
        page.click("#make")
        wait_for_picture(page)
        titles = page.evaluate("window.titles")
        assert titles, "a picture was made"
        assert "قياس النوى" not in " ".join(titles), "what was measured is found again"
        page.click("[data-link=diagnosis]")  # opened only now, it knows of the model that runs
        expect(page.locator("#kernels-again")).to_be_enabled()
        assert one.complaints == []


def test_every_kernel_is_checked_and_a_wrong_one_is_told(browser: Browser, url: str, shots: Path) -> None:
    def spoil(route: Route) -> None:
        route.fulfill(body=route.fetch().text().replace("exp(-", "exp("), content_type="text/plain")

    with visit(browser, url) as one:
        one.context.route("**/kernels/swiglu.wgsl", spoil)
        page = open_diagnosis(one)
        assert "no-offline" in findings(page)
        page.click("#diagnosis-check")
        expect(page.locator("#diagnosis-check-count")).to_have_text(
            re.compile(r"^[1-9][0-9]* of [0-9]{2}$"), timeout=PICTURE_TIMEOUT_MS
        )
        look(page, shots, "checking")
        page.click("#diagnosis-check-cancel")
        expect(page.locator("#diagnosis-check-text")).to_have_text("The check was cancelled.")
        expect(page.locator("#diagnosis-check")).to_be_enabled()

        page.click("#diagnosis-check")
        page.wait_for_selector("#diagnosis-check-results:not([hidden])", timeout=PICTURE_TIMEOUT_MS)
        expect(page.locator("#diagnosis-check-text")).to_have_text(
            re.compile(r"^1 kernel is wrong or does not run; [0-9]{2} were checked")
        )
        wrong = page.locator("#diagnosis-check-rows tr", has=page.locator(".facts__bad"))
        expect(wrong).to_have_count(1)
        expect(wrong).to_contain_text("SwiGLU")
        assert findings(page)[0] == "kernels-wrong"
        expect(page.locator(".finding").first).to_contain_text("right result: SwiGLU.")
        expect(page.locator("#diagnosis-verdict")).to_have_text(
            "Something stands in the way of making pictures here."
        )
        assert one.weight_paths == [], "no model is needed for it"
        look(page, shots, "wrong")
        assert one.complaints == []


def test_a_picture_waits_until_the_kernels_are_checked(browser: Browser, url: str) -> None:
    with visit(browser, url) as one:
        page = open_diagnosis(one)
        page.click("#diagnosis-check")
        page.click("[data-link=make]")
        one.settle()
        one.small_picture()
        expect(page.locator("#toast")).to_contain_text("as soon as the kernels have been checked")
        expect(page.locator("#queue")).to_contain_text("1 picture is waiting")
        assert one.weight_paths == []
        page.click("[data-link=diagnosis]")
        page.click("#diagnosis-check-cancel")
        page.click("[data-link=make]")
        wait_for_picture(page)
        expect(page.locator("#queue")).to_be_hidden()
        assert one.complaints == []


@pytest.mark.parametrize(("finding", "script"), [("no-webgpu", NO_WEBGPU), ("no-adapter", NO_ADAPTER)])
def test_it_works_where_nothing_else_does(
    browser: Browser, url: str, shots: Path, finding: str, script: str
) -> None:
    refuse = "Object.defineProperty(navigator, 'clipboard', { value: undefined });"
    with visit(browser, url, script=script + refuse) as one:
        page = open_diagnosis(one)
        assert findings(page)[0] == finding
        expect(page.locator(".finding code").first).to_have_text(re.compile("--enable-unsafe-webgpu"))
        expect(page.locator("#diagnosis-check")).to_be_hidden()
        expect(page.locator("#diagnosis-memory-text")).to_contain_text("Known once there is a GPU")
        page.click("#diagnosis-copy")
        assert f"stop: {finding}" in page.input_value("#diagnosis-report")
        look(page, shots, finding)
        assert one.complaints == []
