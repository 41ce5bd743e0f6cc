"""The models view in a browser: what it does with models, and the faults of downloads, disks and sticks."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import pytest
from axe import violations
from browser_visits import PHONE, Visit, speak
from model_visits import (
    DONE_MS,
    STICK,
    act,
    build,
    card,
    expect_failure,
    expect_outcome,
    kept_name,
    models_visit,
    spoil,
    stored,
    wait_until,
)
from own_browser import own_browser
from playwright.sync_api import Browser, Error, Page, Route, expect
from server.raw_http import Server, running_server

from kleinbild.checkpoint.tiny import write_tiny_checkpoint
from kleinbild.package.model_index import read_manifests

LOOKS: tuple[tuple[str, Literal["light", "dark"]], ...] = (("en", "light"), ("ar", "dark"))
READ_STICK = """async () => {
  const files = [];
  const walk = async (folder, prefix) => {
    for await (const [name, handle] of folder.entries()) {
      if (handle.kind === "directory") await walk(handle, `${prefix}${name}/`);
      else {
        const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
        let text = "";
        for (let i = 0; i < bytes.length; i += 32768) {
          text += String.fromCharCode(...bytes.subarray(i, i + 32768));
        }
        files.push([prefix + name, btoa(text)]);
      }
    }
  };
  await walk(await (await navigator.storage.getDirectory()).getDirectoryHandle("stick"), "");
  return files;
}"""
SPOIL_STICK = """async (path) => {
  let folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("stick");
  const parts = path.split("/");
  for (const part of parts.slice(0, -1)) folder = await folder.getDirectoryHandle(part);
  const handle = await folder.getFileHandle(parts.at(-1));
  const writable = await handle.createWritable({ keepExistingData: true });
  await writable.write({ type: "write", position: 50, data: new Uint8Array([1, 2, 3]) });
  await writable.close();
}"""


@pytest.fixture(scope="session")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model in 16 bits, which the page opens, and in 4 bits: half of their bytes are shared."""
    dist = tmp_path_factory.mktemp("two") / "dist"
    build("site", "tiny", "--out", dist)
    build("site", "tiny", "--weights", "q4", "--out", dist, "--add")
    return dist


@pytest.fixture(scope="session")
def url(two_models: Path, serve: Callable[[Path], Server]) -> str:
    """Where that site is served."""
    return f"http://{serve(two_models).authority}"


class Hold:
    """A route that lets `free` requests for weights pass and holds the others until `release`."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.held: list[Route] = []

    def __call__(self, route: Route) -> None:
        if self.free > 0:
            self.free -= 1
            route.continue_()
        else:
            self.held.append(route)

    def release(self) -> None:
        """Answers what was held, and everything from now on."""
        self.free = 1_000_000
        for route in self.held:
            with suppress(Error):  # of a page that is closed
                route.continue_()
        self.held.clear()


def change_weight(path: Path, name: str) -> None:
    """Gives the first number of a tensor of bfloat16 another value."""
    data = bytearray(path.read_bytes())
    begin = 8 + int.from_bytes(data[:8], "little")
    at = begin + json.loads(data[8:begin])[name]["data_offsets"][0]
    data[at : at + 2] = b"\x00\x3f"
    path.write_bytes(data)


def whole_parts(page: Page) -> set[str]:
    """The names of stored files that are not in the middle of being written."""
    return {name for name in stored(page) if not name.endswith(".part")}


def names(one: Visit) -> list[str]:
    """What was fetched, under the names of the store."""
    return sorted(kept_name(path) for path in one.weight_paths)


def install(page: Page, index: int = 0) -> None:
    """Downloads a model and waits for it."""
    act(page, "install", index)
    expect_outcome(page, "is on this device.")


def test_models_share_what_is_equal_and_can_be_chosen_and_removed(browser: Browser, url: str) -> None:
    with models_visit(browser, url) as (one, page):
        expect(card(page)).to_contain_text("Not on this device")
        expect(page.locator("#models-summary")).to_have_text("No model is on this device yet.")
        install(page)
        first = stored(page)
        assert sorted(first) == names(one)
        expect(card(page)).to_contain_text("Verified byte for byte on")
        one.weight_paths.clear()
        expect(card(page, 1)).to_contain_text("as part of another model")
        install(page, 1)
        assert set(names(one)) == set(stored(page)) - set(first)
        expect(page.locator("#models-summary")).to_contain_text("2 models on this device")

        act(page, "use", 1)
        expect(card(page, 1)).to_contain_text("Chosen")
        page.click("[data-link=make]")
        expect(page.locator("#make")).to_have_text("Make the picture")
        page.reload()
        one.settle()
        page.click("[data-link=models]")
        expect(card(page, 1)).to_contain_text("Chosen")

        act(page, "remove", 1)
        page.keyboard.press("Escape")
        assert set(stored(page)) > set(first)
        act(page, "remove", 1)
        expect(page.locator("#models-remove-text")).to_contain_text(
            "It is the model that makes the pictures."
        )
        page.click("#models-remove button[value=remove]")
        expect_outcome(page, "was removed.")
        assert stored(page) == first
        act(page, "verify")
        expect_outcome(page, f"all its {len(first)} parts are right")
        page.click("[data-link=make]")
        expect(page.locator("#make")).to_contain_text("Download")
        assert one.complaints == []


def test_damaged_parts_are_named_set_aside_and_fetched_again(browser: Browser, url: str) -> None:
    with models_visit(browser, url) as (one, page):
        install(page)
        whole = stored(page)
        large = sorted(name for name, size in whole.items() if size > 1000)[:2]
        for name, cut in zip(large, (False, True), strict=True):
            spoil(page, name, cut=cut)
        act(page, "verify")
        expect_outcome(page, "2 parts of Tiny are damaged.")
        assert card(page).locator("code").all_text_contents() == large
        assert {f"{name}.damaged" for name in large} <= set(stored(page))
        one.weight_paths.clear()
        card(page).locator("li").filter(has_text=large[1]).get_by_role("button", name="Fetch again").click()
        expect_outcome(page, "is repaired.")
        assert names(one) == [large[1]]
        act(page, "repair")
        expect(card(page).locator("code")).to_have_count(0, timeout=DONE_MS)
        assert names(one) == sorted(large)
        assert stored(page) == whole
        assert one.complaints == []


def test_a_pause_outlives_the_page_and_a_killed_tab_goes_on_by_itself(browser: Browser, url: str) -> None:
    with models_visit(browser, url) as (one, page):
        hold = Hold(2)
        one.context.route("**/w/*", hold)
        act(page, "install")
        wait_until(page, lambda: len(whole_parts(page)) == 2, "two parts are stored")
        act(page, "pause")
        expect(card(page)).to_contain_text("Paused.", timeout=DONE_MS)
        one.weight_paths.clear()
        page.reload()
        expect(card(page)).to_contain_text("Paused.", timeout=DONE_MS)
        assert one.weight_paths == []

        hold.free = 1
        act(page, "install")
        wait_until(page, lambda: len(whole_parts(page)) == 3, "another part is stored")
        kept = whole_parts(page)
        page.close()  # runs nothing of the page
        hold.release()
        one.weight_paths.clear()
        one.page = one.context.new_page()
        one.page.goto(one.url)
        expect_outcome(one.page, "is on this device.")
        assert not set(names(one)) & kept
        assert set(names(one)) | kept == set(stored(one.page))


def test_a_download_goes_on_with_the_page_and_makes_way_for_a_picture(browser: Browser, url: str) -> None:
    with models_visit(browser, url) as (one, page):
        hold = Hold(2)
        one.context.route("**/w/*", hold)
        act(page, "install")
        wait_until(page, lambda: len(hold.held) > 0, "two parts are stored, others asked for")
        page.goto("about:blank")
        page.goto(f"{url}/#/make")
        expect(page.locator(".toast")).to_contain_text("The download of Tiny goes on.", timeout=DONE_MS)
        one.settle()
        page.fill("#prompt", "a red fox")
        page.click("#make")
        expect(page.locator("#cancel")).to_be_visible()
        page.click("[data-link=models]")
        expect(card(page)).to_contain_text("Interrupted.", timeout=DONE_MS)
        page.click("[data-link=make]")
        page.click("#cancel")
        page.click("[data-link=models]")
        hold.release()
        expect_outcome(page, "is on this device.")
        assert one.complaints == []


def test_a_killed_browser_goes_on_with_what_is_missing(
    browser: Browser, launch_flags: list[str], url: str, tmp_path: Path
) -> None:
    fetched: list[str] = []
    with own_browser(browser, launch_flags, tmp_path) as page:
        page.context.route("**/w/*", Hold(3))
        page.goto(f"{url}/#/models")
        act(page, "install")
        wait_until(page, lambda: len(whole_parts(page)) == 3, "three parts are stored")
        kept = whole_parts(page)
    with own_browser(browser, launch_flags, tmp_path) as page:
        page.context.on("request", lambda request: fetched.append(request.url))
        page.goto(f"{url}/#/models")
        expect_outcome(page, "is on this device.")
        weights = {kept_name(address) for address in fetched if "/w/" in address}
        assert weights
        assert not weights & kept
        assert weights | kept == set(stored(page))


def test_a_server_that_is_gone_slow_or_wrong_is_told_and_waited_for(browser: Browser, url: str) -> None:
    with models_visit(browser, url) as (one, page):
        one.context.route("**/w/*", lambda route: route.abort())
        act(page, "install")
        expect(card(page)).to_contain_text("Asking again: the connection failed.", timeout=DONE_MS)
        hold = Hold(1)  # goes before the other: no request slips through between them
        one.context.route("**/w/*", hold)
        expect(card(page)).to_contain_text("Nothing has come from the server for", timeout=DONE_MS)
        hold.release()
        expect_outcome(page, "is on this device.")
        one.context.unroute("**/w/*")

        def spoiled(route: Route) -> None:
            body = bytearray(route.fetch().body())
            body[20] ^= 1
            route.fulfill(status=200, body=bytes(body))

        before = stored(page)
        one.context.route("**/w/*", spoiled)
        act(page, "install", 1)
        panel = expect_failure(page, "A part of the model is damaged")
        expect(panel).to_contain_text("The copy on the server is damaged")
        assert stored(page) == before
        expect(card(page, 1)).to_contain_text("Interrupted.")
        one.context.unroute("**/w/*")
        one.context.route("**/w/*", lambda route: route.fulfill(status=404))
        act(page, "install", 1)
        expect_failure(page, "The download stopped")
        one.context.unroute("**/w/*")
        install(page, 1)


def test_a_full_disk_is_told_and_what_is_there_stays_usable(browser: Browser, url: str) -> None:
    with models_visit(browser, url) as (one, page):
        install(page)
        whole = stored(page)
        session = one.context.new_cdp_session(page)
        origin = {"origin": url}
        used = page.evaluate("navigator.storage.estimate().then(({ usage }) => usage)")
        session.send("Storage.overrideQuotaForOrigin", {**origin, "quotaSize": used + 100_000})
        act(page, "install", 1)
        panel = expect_failure(page, "There is no room left for the model")
        expect(panel).to_contain_text("Remove a model or leftovers on this page.")
        assert whole.items() <= stored(page).items()
        act(page, "verify")
        expect_outcome(page, "is whole")
        session.send("Storage.overrideQuotaForOrigin", origin)
        install(page, 1)
        assert not [name for name in stored(page) if name.endswith(".part")]


def test_every_state_is_for_everybody(browser: Browser, url: str) -> None:
    with models_visit(browser, url) as (one, page):

        def look(state: str) -> None:
            for language, scheme in LOOKS:
                speak(page, language)
                page.emulate_media(color_scheme=scheme)
                assert violations(page) == [], f"{state}, {language}, {scheme}"
            speak(page, "en")

        look("empty")
        hold = Hold(2)
        one.context.route("**/w/*", hold)
        act(page, "install")
        wait_until(page, lambda: len(whole_parts(page)) == 2, "two parts are stored")
        look("downloading")
        hold.release()
        expect_outcome(page, "is on this device.")
        look("installed")
        one.context.unroute("**/w/*")
        one.context.route("**/w/*", lambda route: route.fulfill(status=404))
        act(page, "install", 1)
        expect_failure(page, "The download stopped")
        look("failed")


def test_storage_that_was_cleared_under_the_page_is_told_and_filled_again(browser: Browser, url: str) -> None:
    with models_visit(browser, url) as (one, page):
        install(page)
        whole = stored(page)
        session = one.context.new_cdp_session(page)
        session.send("Storage.clearDataForOrigin", {"origin": url, "storageTypes": "file_systems"})
        assert stored(page) == {}
        act(page, "verify")
        expect_failure(page, "A part of the model is not on this device yet")
        expect(card(page)).to_contain_text("Not on this device")
        install(page)
        assert stored(page) == whole


def test_an_export_is_a_site_and_comes_back_without_the_network(
    browser: Browser, url: str, tmp_path: Path
) -> None:
    with models_visit(browser, url) as (one, page):
        install(page, 1)
        whole = stored(page)
        act(page, "export", 1)
        expect_outcome(page, "was written to kleinbild-tiny-q4-")
        for path, content in page.evaluate(READ_STICK):
            target = tmp_path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(base64.b64decode(content))
        (site,) = tmp_path.iterdir()
        build("check", site)
        (manifest,) = read_manifests(site)
        assert manifest.weights == "q4"

        act(page, "remove", 1)
        page.click("#models-remove button[value=remove]")
        expect_outcome(page, "was removed.")
        assert stored(page) == {}
        broken = max(manifest.shards, key=lambda shard: shard.bytes).path
        page.evaluate(SPOIL_STICK, f"{site.name}/{broken}")
        one.weight_paths.clear()
        page.click("#models-folder-button")
        expect_outcome(page, "1 part of Tiny is missing.")
        expect(page.locator("#models-outcome")).to_contain_text(broken)
        assert one.weight_paths == []
        act(page, "install", 1)
        expect_outcome(page, "is on this device.")
        assert names(one) == [kept_name(broken)]
        assert stored(page) == whole
        with running_server(site) as server:
            copy = one.context.new_page()
            copy.goto(f"http://{server.authority}/#/models")
            expect(copy.locator(".model")).to_have_count(1, timeout=DONE_MS)
            act(copy, "install")
            expect_outcome(copy, "is on this device.")
            copy.close()


def test_a_new_revision_fetches_what_changed_and_the_old_one_works_until_then(
    browser: Browser, two_models: Path, tmp_path: Path
) -> None:
    dist = Path(shutil.copytree(two_models, tmp_path / "dist"))
    checkpoint = tmp_path / "checkpoint"
    write_tiny_checkpoint(checkpoint)
    change_weight(next((checkpoint / "vae").glob("*.safetensors")), "decoder.conv_norm_out.weight")
    with (
        running_server(dist) as server,
        models_visit(browser, f"http://{server.authority}") as (one, page),
    ):
        install(page)
        old = stored(page)
        build("site", checkpoint, "--weights", "f16", "--out", dist, "--add")
        page.goto(f"http://{server.authority}/#/gallery")
        page.reload()
        expect(page.locator("#model-update")).to_contain_text("A new version of Tiny", timeout=DONE_MS)
        page.click("#model-update-show")
        expect(page.locator("#models-title")).to_be_focused()
        expect(page.locator("#model-update")).to_be_hidden()
        expect(card(page)).to_contain_text("New version", timeout=DONE_MS)
        expect(card(page, 2)).to_contain_text("This site has a newer version of this model.")
        one.weight_paths.clear()
        hold = Hold(0)
        one.context.route("**/w/*", hold)
        act(page, "update")
        wait_until(page, lambda: len(hold.held) == 1, "the changed part is asked for")
        page.click("[data-link=make]")
        expect(page.locator("#model-update")).to_be_hidden()
        expect(page.locator("#make")).to_have_text("Make the picture")
        assert old.items() <= stored(page).items()
        page.click("[data-link=models]")
        hold.release()
        expect_outcome(page, "is up to date.")
        expect(page.locator(".model")).to_have_count(2)
        expect(card(page)).to_contain_text("Chosen")
        assert len(one.weight_paths) == 1
        new = stored(page)
        assert len(new) == len(old)
        assert len(new.keys() - old.keys()) == 1


def test_the_view_fits_and_reads_right_to_left(browser: Browser, url: str) -> None:
    with models_visit(browser, url, viewport=PHONE) as (one, page):
        for language in ("de", "ar"):
            speak(page, language)
            wide = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert wide == 0
        expect(page.locator("html")).to_have_attribute("dir", "rtl")
        expect(card(page)).to_contain_text("ليس على هذا الجهاز")
        act(page, "install")
        expect(page.locator("#models-outcome")).to_contain_text("على هذا الجهاز الآن", timeout=DONE_MS)
        speak(page, "en")
        expect(page.locator("#models-outcome")).to_contain_text("is on this device.")
        assert one.complaints == []


def test_a_stick_needs_no_picker(browser: Browser, url: str, two_models: Path) -> None:
    script = STICK + "delete globalThis.showDirectoryPicker;"
    with models_visit(browser, url) as (one, page):
        page.add_init_script(script)
        page.reload()
        expect(card(page)).to_be_visible(timeout=DONE_MS)
        with page.expect_file_chooser() as chooser:
            page.click("#models-folder-button")
        chooser.value.set_files(two_models)
        expect_outcome(page, "Tiny is whole")
        assert one.weight_paths == []
        expect(page.locator("[data-action=export]")).to_have_count(0)
