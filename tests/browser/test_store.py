"""The model on the device: downloaded once, first and later parts, repaired, enough for an offline visit."""

from __future__ import annotations

import time
from collections.abc import Callable

from browser_visits import PICTURE_TIMEOUT_MS, WHOLE_MODEL, visit
from playwright.sync_api import Browser, Page, Route, expect

LIST_FILES = """async () => {
  let folder = await navigator.storage.getDirectory();
  for (const name of ["kleinbild", "weights"]) folder = await folder.getDirectoryHandle(name);
  const sizes = {};
  for await (const [name, handle] of folder.entries()) sizes[name] = (await handle.getFile()).size;
  return sizes;
}"""
LIST_SHARDS = """async (name) => {
  const { manifest: path } = JSON.parse(document.querySelector("#kleinbild").textContent);
  const manifest = await (await fetch(path)).json();
  return manifest.stages.find((stage) => stage.name === name).shards.map((i) => manifest.shards[i].path);
}"""
WRITE_FILE = """async ([name, bytes]) => {
  let folder = await navigator.storage.getDirectory();
  for (const part of ["kleinbild", "weights"]) folder = await folder.getDirectoryHandle(part);
  const writable = await (await folder.getFileHandle(name, { create: true })).createWritable();
  await writable.write(new Uint8Array(bytes));
  await writable.close();
}"""


def stored(page: Page) -> dict[str, int]:
    """Bytes of every file in the store, by name."""
    sizes: dict[str, int] = page.evaluate(LIST_FILES)
    return sizes


def shards(page: Page, stage: str) -> list[str]:
    """The paths of a stage's shards on the server."""
    paths: list[str] = page.evaluate(LIST_SHARDS, stage)
    return paths


def kept_name(path: str) -> str:
    """The name under which a file of the server is kept: plain."""
    return path.rpartition("/")[2].removesuffix(".gz")


def failing_first_shard(answer: Callable[[Route], None]) -> tuple[Callable[[Route], None], list[str]]:
    """A route that answers requests for the first shard it meets with `answer`; and that shard's address."""
    chosen: list[str] = []

    def handle(route: Route) -> None:
        if not chosen:
            chosen.append(route.request.url)
        if route.request.url in chosen:
            answer(route)
        else:
            route.continue_()

    return handle, chosen


def test_a_second_visit_fetches_no_weight_byte(browser: Browser, url: str) -> None:
    with visit(browser, url) as one:
        page = one.open()
        one.whole_model()
        files = stored(page)
        assert sorted(files) == sorted(kept_name(path) for path in one.weight_paths)
        assert not any(name.endswith(".part") for name in files)
        one.weight_paths.clear()
        page.reload()
        one.settle()
        expect(page.locator("#make")).to_have_text("Make the picture")
        expect(page.locator("#later")).to_be_empty()
        one.load_model()
        assert one.weight_paths == []


# As if there were room for two models: the store does not rely on one tab at a time.
EVERY_TAB_HAS_THE_GPU = """
  const request = LockManager.prototype.request;
  LockManager.prototype.request = function (name, ...more) {
    return name === "kleinbild-gpu" ? more.at(-1)({}) : request.call(this, name, ...more);
  };
"""


def test_two_tabs_download_a_model_once_between_them(browser: Browser, url: str) -> None:
    with visit(browser, url, script=EVERY_TAB_HAS_THE_GPU) as one:
        one.context.route("**/w/*", slowly)
        first = one.open()
        other = one.context.new_page()
        for page in (first, other):
            page.goto(url)
            page.wait_for_selector("#make:enabled")
        for page in (first, other):
            page.fill("#prompt", "a red fox")
            page.click("#make")
        for page in (first, other):
            page.wait_for_selector("#device:not(:empty)", state="attached", timeout=PICTURE_TIMEOUT_MS)
            page.keyboard.press("Escape")
            page.wait_for_selector("#make:enabled", timeout=PICTURE_TIMEOUT_MS)
            expect(page.locator("#failure")).to_be_hidden()
        rows = shards(first, "embedding")  # of the pictures, which were cancelled
        paths = [path for path in one.weight_paths if path not in rows]
        assert len(paths) > 1
        assert sorted(paths) == sorted(set(paths))


def slowly(route: Route) -> None:
    """Answers late enough that another tab asks meanwhile."""
    time.sleep(0.2)
    route.continue_()


def test_an_interrupted_download_continues(browser: Browser, url: str) -> None:
    with visit(browser, url) as one:
        page = one.open()
        handle, chosen = failing_first_shard(lambda route: route.fulfill(status=404))
        one.context.route("**/w/*.bin*", handle)
        one.small_picture()
        expect(page.get_by_role("alert").locator("h2")).to_have_text("The download stopped")
        kept = set(stored(page))
        failed = kept_name(chosen[0])
        assert failed not in kept
        one.context.unroute("**/w/*.bin*")
        one.weight_paths.clear()
        one.whole_model()
        fetched = {kept_name(path) for path in one.weight_paths}
        assert failed in fetched
        assert not fetched & kept
        assert set(stored(page)) == fetched | kept


def test_damaged_bytes_are_refused_by_name_and_never_kept(browser: Browser, url: str) -> None:
    with visit(browser, url) as one:
        page = one.open()

        def spoil(route: Route) -> None:
            body = bytearray(route.fetch().body())
            body[0] ^= 1
            route.fulfill(status=200, body=bytes(body))

        handle, chosen = failing_first_shard(spoil)
        one.context.route("**/w/*.bin*", handle)
        one.small_picture()
        expect(page.get_by_role("alert").locator("h2")).to_have_text("A part of the model is damaged")
        name = chosen[0].rsplit("/", 1)[1]
        expect(page.get_by_role("alert")).to_contain_text(f"w/{name}")
        assert kept_name(name) not in stored(page)
        assert one.weight_paths.count(f"w/{name}") == 2


def test_leftovers_go_and_a_short_file_is_fetched_again(browser: Browser, url: str) -> None:
    with visit(browser, url) as one:
        page = one.open()
        one.whole_model()
        whole = stored(page)
        path = shards(page, "text_encoder")[0]
        name = kept_name(path)
        page.goto("about:blank")
        page.goto(one.url + "/app.webmanifest")
        page.evaluate(WRITE_FILE, [name, whole[name] - 1])
        page.evaluate(WRITE_FILE, ["0.bin.part", 10])
        one.weight_paths.clear()
        page = one.open()
        assert "0.bin.part" not in stored(page)
        expect(page.locator("#make")).to_contain_text("Download")
        one.load_model()
        assert one.weight_paths == [path]
        assert stored(page) == whole


def test_what_comes_later_may_fail_and_is_told_when_a_picture_needs_it(browser: Browser, url: str) -> None:
    with visit(browser, url) as one:
        page = one.open()
        expect(page.locator("#later")).to_contain_text("in the background after the first picture")
        path = shards(page, "modulation")[0]
        one.context.route(f"**/{path}", lambda route: route.fulfill(status=404))
        one.small_picture()
        stopped = page.locator("#background")
        expect(stopped).to_contain_text("goes on after the next picture", timeout=PICTURE_TIMEOUT_MS)
        expect(page.locator("#failure")).to_be_hidden()
        assert kept_name(path) not in stored(page)

        page.fill("#steps", "3")  # of no preset: the modulation's weights are needed
        page.click("#make")
        alert = page.get_by_role("alert")
        expect(alert.locator("h2")).to_have_text("A part of the model is not on this device yet")
        expect(alert).to_contain_text(
            "Not on this device yet: the part of the model that this size and number of steps need."
        )

        one.context.unroute(f"**/{path}")
        page.click("#make")
        expect(stopped).to_contain_text(WHOLE_MODEL, timeout=PICTURE_TIMEOUT_MS)
        expect(page.locator("#failure")).to_be_hidden()
        assert kept_name(path) in stored(page)
