"""A prompt asked for again: no text encoder, the same picture, and nothing kept that was not to be."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from browser_visits import PICTURE_TIMEOUT_MS, Visit, visit
from playwright.sync_api import Browser, Page, expect
from png_pixels import pixels

FORGET_SECONDS = 10.0
READING = "Reading the prompt"
PROMPT = "a quokka under a parasol"
NOTE_TITLES = """
  globalThis.titles = [];
  addEventListener("DOMContentLoaded", () => {
    const title = document.querySelector("#progress-title");
    new MutationObserver(() => titles.push(title.textContent)).observe(title, { childList: true });
  });
"""
LIST_PROMPTS = """async () => {
  let folder = await navigator.storage.getDirectory();
  for (const part of ["kleinbild", "prompts"]) {
    folder = await folder.getDirectoryHandle(part, { create: true });
  }
  const files = {};
  for await (const [name, handle] of folder.entries()) {
    files[name] = new TextDecoder("latin1").decode(await (await handle.getFile()).arrayBuffer());
  }
  return files;
}"""
DAMAGE_PROMPT = """async (name) => {
  let folder = await navigator.storage.getDirectory();
  for (const part of ["kleinbild", "prompts"]) folder = await folder.getDirectoryHandle(part);
  const writable = await (await folder.getFileHandle(name)).createWritable({ keepExistingData: true });
  await writable.write({ type: "write", position: 1000, data: new Uint8Array(64).fill(255) });
  await writable.close();
}"""


def picture(one: Visit) -> tuple[bytes, bool]:
    """The pixels of PROMPT under a fixed seed, and whether the text encoder ran for it."""
    page = one.page
    page.evaluate("titles.length = 0")
    for name, value in (
        ("prompt", PROMPT),
        ("width", "16"),
        ("height", "16"),
        ("steps", "1"),
        ("seed", "11"),
    ):
        page.fill(f"#{name}", value)
    pictures = page.locator("#roll-list > li").count()
    page.click("#make")
    done = f"#roll-list > li:nth-child({pictures + 1}), #failure:visible"
    page.wait_for_selector(done, state="attached", timeout=PICTURE_TIMEOUT_MS)
    expect(page.locator("#failure")).to_be_hidden()
    one.settle()
    with page.expect_download() as started:
        page.click("#download")
    titles: list[str] = page.evaluate("titles")
    assert any(title.startswith("Exposing") for title in titles), titles
    return pixels(Path(started.value.path()).read_bytes()), READING in titles


def kept(page: Page) -> dict[str, str]:
    """Files of the prompt cache: contents as latin-1, by name."""
    files: dict[str, Any] = page.evaluate(LIST_PROMPTS)
    return files


def until_empty(page: Page) -> None:
    """Waits until the prompt cache has no file."""
    end = time.monotonic() + FORGET_SECONDS
    while kept(page):
        assert time.monotonic() < end, "what was kept of prompts is still there"
        time.sleep(0.05)


def test_a_repeated_prompt_skips_the_text_encoder_and_draws_the_same(browser: Browser, url: str) -> None:
    with visit(browser, url, script=NOTE_TITLES) as one:
        page = one.open()
        first, encoded = picture(one)
        assert encoded
        assert picture(one) == (first, False)

        (name,) = kept(page)
        page.reload()
        one.settle()
        assert picture(one) == (first, False)

        (name,) = kept(page)
        page.evaluate(DAMAGE_PROMPT, name)
        page.reload()
        one.settle()
        assert picture(one) == (first, True)
        (mended,) = kept(page).values()
        assert len(mended) > 1064
        assert one.complaints == []


def test_what_is_not_to_be_kept_is_not_and_what_was_kept_goes(browser: Browser, url: str) -> None:
    with visit(browser, url, script=NOTE_TITLES) as one:
        page = one.open()
        first, encoded = picture(one)
        assert encoded
        (name, contents), *others = kept(page).items()
        assert not others
        assert PROMPT not in name + contents
        assert PROMPT in page.evaluate("JSON.stringify(localStorage)")

        page.click(".more > summary")
        page.uncheck("#keep-prompts")
        expect(page.locator("#failure")).to_be_hidden()
        until_empty(page)
        assert PROMPT not in page.evaluate("JSON.stringify(localStorage)")
        assert picture(one) == (first, True)
        assert picture(one) == (first, False)  # in memory, as long as the page is open
        assert kept(page) == {}
        page.reload()
        one.settle()
        expect(page.locator("#keep-prompts")).not_to_be_checked()
        expect(page.locator("#prompt")).to_have_value("")
        assert picture(one) == (first, True)
        assert kept(page) == {}
