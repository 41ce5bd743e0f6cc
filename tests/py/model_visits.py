"""What tests of the models view share: opening it, its cards, the browser's store, a folder as a stick."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from browser_visits import Visit, visit
from playwright.sync_api import Browser, Locator, Page, expect

from kleinbild.package.cli import main

DONE_MS = 15_000
LIST_FILES = """async () => {
  const root = await navigator.storage.getDirectory();
  try {
    let folder = root;
    for (const name of ["kleinbild", "weights"]) folder = await folder.getDirectoryHandle(name);
    const sizes = {};
    for await (const [name, handle] of folder.entries()) sizes[name] = (await handle.getFile()).size;
    return sizes;
  } catch (error) {
    return {};
  }
}"""
# The picker of the test: a folder in the origin's own store, since no test can click the browser's dialog.
STICK = """
  globalThis.showDirectoryPicker = async () => {
    const root = await navigator.storage.getDirectory();
    return root.getDirectoryHandle("stick", { create: true });
  };
"""
SPOIL_FILE = """async ([name, cut]) => {
  let folder = await navigator.storage.getDirectory();
  for (const part of ["kleinbild", "weights"]) folder = await folder.getDirectoryHandle(part);
  const handle = await folder.getFileHandle(name);
  const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
  bytes[100] ^= 1;
  const writable = await handle.createWritable();
  await writable.write(cut ? bytes.subarray(0, bytes.length - 7) : bytes);
  await writable.close();
}"""


def build(*arguments: str | Path) -> None:
    """Runs build.py in this process."""
    assert main([*map(str, arguments)]) == 0


@contextmanager
def models_visit(browser: Browser, url: str, **options: Any) -> Iterator[tuple[Visit, Page]]:
    """A visit with an empty store whose page shows the models."""
    with visit(browser, f"{url}/#/models", script=STICK, **options) as one:
        one.page.goto(one.url)
        expect(one.page.locator(".model").first).to_be_visible(timeout=DONE_MS)
        yield one, one.page


def stored(page: Page) -> dict[str, int]:
    """Bytes of every file of the models' store, by name."""
    sizes: dict[str, int] = page.evaluate(LIST_FILES)
    return sizes


def spoil(page: Page, name: str, *, cut: bool) -> None:
    """Changes one byte of a stored file, or cuts off its end."""
    page.evaluate(SPOIL_FILE, [name, cut])


def card(page: Page, index: int = 0) -> Locator:
    """A model of the list."""
    return page.locator(".model").nth(index)


def act(page: Page, action: str, index: int = 0) -> None:
    """Clicks a button of a model."""
    card(page, index).locator(f"[data-action={action}]").first.click()


def expect_outcome(page: Page, text: str) -> None:
    """Waits until the view says what was done, and that nothing failed."""
    expect(page.locator("#models-outcome")).to_contain_text(text, timeout=DONE_MS)
    expect(page.locator("#models-failure")).to_be_hidden()


def expect_failure(page: Page, title: str) -> Locator:
    """Waits until the view says what failed."""
    panel = page.locator("#models-failure")
    expect(panel.locator("h2")).to_have_text(title, timeout=DONE_MS)
    return panel


def kept_name(path: str) -> str:
    """The name under which a file of the server is kept: plain."""
    return path.rpartition("/")[2].removesuffix(".gz")


def wait_until(page: Page, met: Callable[[], bool], what: str) -> None:
    """Waits until `met` says so, while the page goes on."""
    for _ in range(600):
        if met():
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"waited in vain: {what}")
