"""The page in Chromium, on the small model: what people see before, during, after or instead of a picture."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from browser_visits import DESKTOP, NO_ADAPTER, NO_WEBGPU, PHONE, PICTURE_TIMEOUT_MS, visit
from playwright.sync_api import Browser, Page, expect

VIEWS = [
    (name, size, scheme)
    for name, size in (("desktop", DESKTOP), ("phone", PHONE))
    for scheme in ("light", "dark")
]
UNLABELLED = """() => [...document.querySelectorAll("input, textarea, button, progress")]
  .filter((one) => one.checkVisibility())
  .filter((one) => !one.labels?.length && !one.textContent.trim())
  .filter((one) => !one.ariaLabel && !one.getAttribute("aria-labelledby"))
  .map((one) => one.id)"""


def look(page: Page, shots: Path, state: str) -> None:
    """Screenshots of every view; no view may scroll sideways or hide the main button's words."""
    for name, size, scheme in VIEWS:
        page.set_viewport_size({"width": size["width"], "height": size["height"]})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.screenshot(path=shots / f"{state}-{name}-{scheme}.png", full_page=True)
        overflow = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow == 0, f"{state}, {name}: {overflow} pixels wider than the screen"
    page.set_viewport_size({"width": DESKTOP["width"], "height": DESKTOP["height"]})


def test_a_picture_from_first_visit_to_download(browser: Browser, url: str, shots: Path) -> None:
    with visit(browser, url) as one:
        page = one.open()
        assert page.evaluate("crossOriginIsolated") is True
        expect(page.locator("#make")).to_have_text(re.compile(r"^Download .+ and start$"))
        assert one.weight_paths == []
        assert page.evaluate(UNLABELLED) == []
        look(page, shots, "idle")

        one.small_picture()
        expect(page.locator("#progress-title")).to_be_visible()
        expect(page.locator("#make")).to_be_disabled()
        expect(page.locator("#cancel")).to_be_focused()
        look(page, shots, "running")

        page.wait_for_selector("#download:visible, #failure:visible", timeout=PICTURE_TIMEOUT_MS)
        expect(page.locator("#failure")).to_be_hidden()
        picture = page.locator("#picture")
        assert picture.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [16, 16]
        assert picture.get_attribute("alt") == "a red fox"
        expect(page.locator("#device")).to_contain_text("32-bit")
        expect(page.locator("#make")).to_have_text("Make the picture")
        look(page, shots, "done")

        seed = page.input_value("#seed")
        expect(page.locator("#caption")).to_contain_text(f"seed {seed}")
        with page.expect_download() as started:
            page.click("#download")
        assert started.value.suggested_filename == f"kleinbild-{seed}-16x16.png"
        data = Path(started.value.path()).read_bytes()
        assert data.startswith(b"\x89PNG")
        assert f"Seed: {seed}".encode() in data
        assert one.complaints == []


def test_cancel_takes_effect_and_the_page_goes_on(browser: Browser, url: str) -> None:
    with visit(browser, url) as one:
        page = one.open()
        page.fill("#prompt", "a red fox")
        page.fill("#steps", "100")
        page.keyboard.press("Control+Enter")
        expect(page.locator("#steps")).to_be_focused()
        page.wait_for_selector("#device:not(:empty)", state="attached", timeout=PICTURE_TIMEOUT_MS)
        page.click("#cancel")
        page.wait_for_selector("#make:enabled", timeout=PICTURE_TIMEOUT_MS)
        expect(page.locator("[data-panel=idle]")).to_be_visible()
        expect(page.locator("#cancel")).to_be_hidden()
        assert one.complaints == []


@pytest.mark.parametrize(
    ("name", "script", "title"),
    [
        ("no-webgpu", NO_WEBGPU, "This browser has no WebGPU"),
        ("no-adapter", NO_ADAPTER, "The browser found no GPU it can use"),
    ],
)
def test_a_browser_that_cannot_is_told_before_any_download(  # noqa: PLR0917
    browser: Browser, url: str, shots: Path, name: str, script: str, title: str
) -> None:
    with visit(browser, url, script=script) as one:
        page = one.open()
        expect(page.get_by_role("alert").locator("h2")).to_have_text(title)
        expect(page.get_by_role("alert")).to_contain_text("chrome://flags")
        expect(page.locator("#make")).to_be_disabled()
        assert one.weight_paths == []
        look(page, shots, f"failed-{name}")


def test_the_form_floors_sides_refuses_nonsense_and_remembers(browser: Browser, url: str) -> None:
    with visit(browser, url) as one:
        page = one.open()
        page.fill("#width", "500")
        expect(page.locator("#width-message")).to_have_text(
            "Width and height are multiples of 16: 500 becomes 496."
        )
        page.fill("#seed", "18446744073709551616")
        expect(page.locator("#seed")).to_have_attribute("aria-invalid", "true")
        page.click("#make")
        expect(page.locator("#prompt-message")).to_have_text("Describe the picture first.")
        expect(page.locator("#prompt")).to_be_focused()
        expect(page.locator("[data-panel=idle]")).to_be_visible()

        page.fill("#prompt", "<b>a fox</b> & co")
        page.fill("#seed", "18446744073709551615")
        expect(page.locator("#seed-message")).to_be_hidden()
        expect(page.locator("#seed-lock")).to_have_attribute("aria-pressed", "true")
        page.click("[data-format='768x512']")
        page.reload()
        one.settle()
        values = [page.input_value(f"#{name}") for name in ("prompt", "width", "height", "seed")]
        assert values == ["<b>a fox</b> & co", "768", "512", "18446744073709551615"]
        page.click("#dice")
        assert page.input_value("#seed") != "18446744073709551615"


def test_what_a_size_needs_of_the_memory_is_told_before_any_download(browser: Browser, url: str) -> None:
    with visit(browser, url) as one:
        page = one.open()
        needs = page.locator("#memory-needs")
        expect(needs).to_have_text(re.compile(r"^Needs [0-9.]+ MB of GPU memory\.$"))
        small = needs.text_content() or ""
        page.click("[data-format='1024x1024']")
        expect(needs).not_to_have_text(small)
        page.click(".more > summary")
        page.fill("#memory", "0.1")
        expect(page.locator("#memory-message")).to_have_text(
            "A number of GB from 0.5 to 1024, or leave it empty."
        )
        page.fill("#memory", "0.5")
        expect(page.locator("#memory-message")).to_be_hidden()
        page.fill("#width", "2048")
        page.fill("#height", "2048")
        expect(needs).to_contain_text("Kleinbild may use 500 MB. The largest of this shape that fits is")
        expect(needs).to_have_class(re.compile("field__message--error"))
        page.fill("#memory", "")
        expect(needs).to_have_text(re.compile(r"^Needs [0-9.]+ GB of GPU memory"))
        page.reload()
        one.settle()
        assert [page.input_value(f"#{name}") for name in ("width", "memory")] == ["2048", ""]
        assert one.weight_paths == []
