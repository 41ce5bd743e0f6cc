"""Kernels are measured at the first start, kept on the device, shown, and measured again when asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from browser_visits import PICTURE_TIMEOUT_MS, visit
from playwright.sync_api import Browser, Page, expect
from server.raw_http import Server

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
MEASURING = "Measuring kernels on your GPU"


@pytest.fixture(scope="session")
def url(tiny_site: Path, serve: Callable[[Path], Server]) -> str:
    """Where the small model's site is served."""
    return f"http://{serve(tiny_site).authority}"


def wait_for_picture(page: Page) -> None:
    page.wait_for_selector("#download:visible, #failure:visible", timeout=PICTURE_TIMEOUT_MS)
    expect(page.locator("#failure")).to_be_hidden()


def test_kernels_are_measured_once_and_again_when_asked(browser: Browser, url: str) -> None:
    with visit(browser, url) as one:
        page = one.open()
        expect(page.locator("#kernels")).to_be_hidden()
        page.evaluate(TITLES)
        one.small_picture()
        wait_for_picture(page)
        assert MEASURING in page.evaluate("window.titles")
        kept = page.evaluate(KEPT)
        assert kept, "the report is kept"

        page.click("#kernels summary")
        expect(page.locator("#kernels-text")).to_have_text(re.compile(r"nothing was measured"))
        expect(page.locator("#kernels-list dt")).to_have_text(re.compile(r"^linear\."))
        expect(page.locator("#kernels-list dd.kernels__chosen")).to_contain_text("error")

        page.evaluate("window.titles.length = 0")
        page.click("#kernels-again")
        expect(page.locator("#kernels-again")).to_be_disabled()
        expect(page.locator("#kernels-again")).to_be_enabled(timeout=PICTURE_TIMEOUT_MS)
        expect(page.locator("#picture")).to_be_visible()
        assert MEASURING in page.evaluate("window.titles")
        assert page.evaluate(KEPT) != kept, "and kept again"

        page.reload()
        one.settle()
        page.evaluate(TITLES)
        one.small_picture()
        wait_for_picture(page)
        assert MEASURING not in page.evaluate("window.titles")
        expect(page.locator("#kernels-list dt")).to_have_text(re.compile(r"^linear\."))
        assert one.complaints == []
