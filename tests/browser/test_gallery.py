"""The gallery in Chromium: pictures made and kept, the grid and its keys, faults."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe import violations
from browser_visits import DESKTOP, PHONE, PICTURE_TIMEOUT_MS, Visit, settings, speak, visit
from PIL import Image
from playwright.sync_api import Browser, Page, expect

MANY = 2000
FEW = 24
FEW_NODES = 1500
# Writes pictures beside the app, as an earlier visit would have left them, with or without an index.
FILL = """async ([count, withIndex]) => {
  const base = "/v/" + JSON.parse(document.getElementById("kleinbild").text).build + "/src_js";
  const { encodePng } = await import(base + "/image/png.js");
  const { pictureText } = await import(base + "/image/picture_text.js");
  const { describe, writeIndex } = await import(base + "/gallery/entry.js");
  const top = await (await navigator.storage.getDirectory()).getDirectoryHandle("gallery", { create: true });
  const folder = await top.getDirectoryHandle("pictures", { create: true });
  const write = async (parent, name, content) => {
    const stream = await (await parent.getFileHandle(name, { create: true })).createWritable();
    await stream.write(content);
    await stream.close();
  };
  const picture = async (i) => {
    const [width, height] = [[64, 64], [96, 64], [64, 96]][i % 3];
    const colour = (n) => [i * 37, (n >> 2) / 16, n % width * 3, 255][n % 4];
    const rgba = Uint8Array.from({ length: width * height * 4 }, (_, n) => colour(n));
    const prompt = `picture number ${i}`;
    const settings = { prompt, width, height, seed: BigInt(i), steps: 4, latents: null };
    const made = { model: "klein", revision: "r", precision: "f16" };
    return encodePng({ width, height, rgba, ...pictureText(settings, made, { transformer: 2 }) });
  };
  const kinds = await Promise.all(Array.from({ length: Math.min(count, 48) }, (_, i) => picture(i)));
  const entries = [];
  const numbers = Array(count).keys();
  await Promise.all(Array.from({ length: 32 }, async () => {
    for (const i of numbers) {
      const id = `${1795800000000 + i * 60000}-${i.toString(16).padStart(8, "0")}`;
      const png = kinds[i % kinds.length];
      await write(folder, id + ".png", png);
      if (withIndex) entries.push(await describe(id, new Blob([png])));
    }
  }));
  if (withIndex) await write(top, "index.json", writeIndex(entries));
}"""
# Cuts one picture short and overwrites all pixels of another.
DAMAGE = """async () => {
  const top = await (await navigator.storage.getDirectory()).getDirectoryHandle("gallery");
  const folder = await top.getDirectoryHandle("pictures");
  const names = [];
  for await (const name of folder.keys()) names.push(name);
  const [cut, overwritten] = names.sort();
  const change = async (name, edit) => {
    const handle = await folder.getFileHandle(name);
    const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
    const stream = await handle.createWritable();
    await stream.write(edit(bytes));
    await stream.close();
  };
  await change(cut, (bytes) => bytes.subarray(0, 60));
  await change(overwritten, (bytes) => {
    const data = new TextDecoder("latin1").decode(bytes).indexOf("IDAT") + 4;
    return bytes.fill(0x55, data, bytes.length - 16);
  });
}"""
LOST_CANVAS = """
  OffscreenCanvas.prototype.convertToBlob = async () => { throw new DOMException("", "InvalidStateError"); };
"""
# Adds a picture of 3 MB; what became of it, and the names of all files then.
ADD = """async () => {
  const base = "/v/" + JSON.parse(document.getElementById("kleinbild").text).build + "/src_js";
  const { sharedGallery } = await import(base + "/app/gallery/shared.js");
  const gallery = await sharedGallery();
  const { encodePng } = await import(base + "/image/png.js");
  const rgba = new Uint8Array(65536);
  const noise = new Uint8Array(1024 * 1024 * 4);
  for (let at = 0; at < noise.length; at += rgba.length) noise.set(crypto.getRandomValues(rgba), at);
  const png = await encodePng({ width: 1024, height: 1024, rgba: noise });
  const kept = await gallery.add(png).then(() => "kept", (error) => error.code);
  const top = await (await navigator.storage.getDirectory()).getDirectoryHandle("gallery");
  const names = [];
  for await (const name of (await top.getDirectoryHandle("pictures")).keys()) names.push(name);
  return [kept, names.length];
}"""
SCROLL = """() => new Promise((done) => {
  const times = [];
  const most = document.documentElement.scrollHeight - innerHeight;
  let last = performance.now();
  let nodes = 0;
  const step = (now) => {
    times.push(now - last);
    last = now;
    nodes = Math.max(nodes, document.querySelectorAll("#view-gallery *").length);
    if (times.length <= 120) {
      scrollTo(0, most * times.length / 120);
      requestAnimationFrame(step);
    } else done({ median: times.sort((a, b) => a - b)[60], nodes, most });
  };
  requestAnimationFrame(step);
})"""
OPEN_MS = """async () => {
  const base = "/v/" + JSON.parse(document.getElementById("kleinbild").text).build + "/src_js/gallery";
  const { Gallery } = await import(base + "/gallery.js");
  const { browserPlace } = await import(base + "/browser_place.js");
  const times = [];
  for (let i = 0; i < 3; i++) {
    const gallery = new Gallery(browserPlace(() => {}));
    const began = performance.now();
    await gallery.open();
    times.push(performance.now() - began);
  }
  return Math.min(...times);
}"""


@pytest.fixture
def look(tmp_path: Path) -> Callable[[Page, str], None]:
    """look(page, state): axe-core finds nothing, nothing scrolls sideways; shots in $KLEINBILD_SHOTS."""
    folder = Path(os.environ.get("KLEINBILD_SHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)

    def take(page: Page, state: str) -> None:
        for name, size, scheme in (("desktop", DESKTOP, "light"), ("phone", PHONE, "dark")):
            page.set_viewport_size({"width": size["width"], "height": size["height"]})
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            page.screenshot(path=folder / f"gallery-{state}-{name}-{scheme}.png")
            wide = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert wide == 0, f"{state}, {name}: {wide} pixels wider than the screen"
            assert violations(page) == [], f"{state}, {name}"
        page.set_viewport_size({"width": DESKTOP["width"], "height": DESKTOP["height"]})
        page.emulate_media(color_scheme="light")

    return take


@pytest.fixture
def filled(browser: Browser, url: str) -> Iterator[Visit]:
    """A visit to a gallery of FEW pictures, which no index lists."""
    with visit(browser, f"{url}/#/gallery") as one:
        page = one.page
        page.goto(one.url)
        expect(page.locator("#gallery-empty")).to_be_visible()
        page.evaluate(FILL, [FEW, False])
        page.reload()
        expect(page.locator("#gallery-count")).to_contain_text(f"{FEW} pictures")
        yield one
        assert one.complaints == []


def frame(page: Page, number: int) -> Any:
    """The frame of picture number `number`; the last one stands first."""
    return page.get_by_role("button", name=f"picture number {number},")


def picture(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def test_a_picture_made_is_kept_shared_and_used_again(browser: Browser, url: str) -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    with visit(browser, url, permissions=permissions) as one:
        page = one.open()
        one.small_picture()
        page.wait_for_selector("#download:visible, #failure:visible", timeout=PICTURE_TIMEOUT_MS)
        made = settings(page)
        expect(page.locator("#roll-list li")).to_have_count(1)
        page.click("#copy-link")
        expect(page.locator("#toast")).to_contain_text("Link copied")
        link = page.evaluate("navigator.clipboard.readText()")
        assert link == f"{url}/#/make?prompt=a+red+fox&seed={made['seed']}&width=16&height=16&steps=1"

        page.reload()
        one.settle()
        expect(page.locator("#roll-list li img")).to_be_visible()
        page.locator("#roll-list button").click()
        expect(page.locator("#caption")).to_contain_text(f"seed {made['seed']}")
        expect(page.locator("#frame-number")).to_contain_text("1")
        page.click("[data-link=gallery]")
        expect(page.locator("#gallery-count")).to_contain_text("1 picture, ")
        page.get_by_role("button", name="a red fox, 16 × 16").click()
        expect(page.locator("#gallery-detail-title")).to_have_text("Picture 1 of 1")
        expect(page.locator("#gallery-detail-facts")).to_contain_text(made["seed"])
        with page.expect_download() as started:
            page.click("#gallery-download")
        assert started.value.suggested_filename == f"kleinbild-{made['seed']}-16x16.png"
        kept = picture(Path(started.value.path()).read_bytes())
        assert kept.size == (16, 16)
        record = json.loads(kept.info["kleinbild"])
        expected = {"schema": 1, "prompt": "a red fox", "seed": made["seed"], "steps": 1, "width": 16}
        assert record | expected == record
        assert set(record["seconds"]) >= {"text_encoder", "transformer", "vae_decoder"}
        assert kept.info["parameters"].startswith("a red fox\nSteps: 1, ")

        page.click("#gallery-delete-one")
        expect(page.locator("#gallery-empty")).to_be_visible()
        page.get_by_role("button", name="Undo").click()
        expect(page.locator("#gallery-detail-title, .sheet__frame").first).to_be_visible()
        page.goto(f"{url}/#/make")
        page.fill("#prompt", "another")
        page.fill("#seed", "5")
        page.goto(link)
        expect(page.locator("#toast")).to_contain_text("The link’s settings are in the form.")
        assert settings(page) == made
        assert page.url == f"{url}/#/make", "a reload keeps what is changed in the form since"
        expect(page.locator("#cancel")).to_be_hidden()
        assert one.complaints == []


def test_the_grid_by_keyboard(filled: Visit, look: Callable[[Page, str], None]) -> None:
    page = filled.page
    keys = page.keyboard
    look(page, "grid")
    expect(page.locator("#gallery-grid")).to_have_attribute("aria-colcount", "7")
    columns = 7
    assert page.locator("#gallery-grid [tabindex='0']").count() == 1, "one stop of the Tab key"
    page.locator("#gallery-export").focus()
    keys.press("Tab")
    keys.press("Tab")
    expect(frame(page, 23)).to_be_focused()
    for key, number in (
        ("ArrowRight", 22),
        ("ArrowDown", 22 - columns),
        ("ArrowLeft", 23 - columns),
        ("Control+End", 0),
        ("Control+Home", 23),
        ("End", 24 - columns),
        ("Home", 23),
    ):
        keys.press(key)
        expect(frame(page, number)).to_be_focused()
    keys.press("Enter")
    expect(page.locator("#gallery-detail-title")).to_have_text(f"Picture 1 of {FEW}")
    expect(page.locator("#gallery-detail-title")).to_be_focused()
    keys.press("ArrowRight")
    expect(page.locator("#gallery-detail-title")).to_have_text(f"Picture 2 of {FEW}")
    assert page.evaluate("document.getElementById('gallery-detail-image').decode().then(() => true)")
    look(page, "detail")
    keys.press("Escape")
    expect(frame(page, 22)).to_be_focused()


def test_two_pictures_compared_and_deleted(filled: Visit, look: Callable[[Page, str], None]) -> None:
    page = filled.page
    keys = page.keyboard
    frame(page, 22).focus()
    keys.press("x")
    keys.press("ArrowRight")
    keys.press("x")
    expect(page.locator("#gallery-delete")).to_have_text("Delete 2 pictures")
    look(page, "selected")
    page.click("#gallery-compare")
    expect(page.locator("#gallery-compared-title")).to_be_focused()
    expect(page.locator(".compare__differs")).to_have_count(3)
    look(page, "compare")
    page.get_by_label("Slider").check()
    page.get_by_label("Share of the first picture").press("Home")
    clip = "getComputedStyle(document.getElementById('gallery-compared-second')).clipPath"
    assert page.evaluate(clip) == "inset(0px 0px 0px 0%)"
    keys.press("PageUp")
    assert page.evaluate(clip) == "inset(0px 0px 0px 10%)"
    look(page, "slider")
    page.get_by_label("Fade").check()
    page.get_by_label("Share of the second picture").press("Home")
    expect(page.locator("#gallery-compared-range")).to_have_attribute("aria-valuetext", "0%")
    keys.press("Escape")
    expect(frame(page, 22)).to_be_focused()

    keys.press("Delete")
    expect(page.locator("#toast")).to_contain_text("2 pictures deleted.")
    expect(page.locator("#gallery-count")).to_contain_text(f"{FEW - 2} pictures")
    expect(frame(page, 20)).to_be_focused()
    keys.press("Control+z")
    expect(page.locator("#gallery-count")).to_contain_text(f"{FEW} pictures")
    expect(frame(page, 22)).to_be_focused()
    keys.press("Delete")
    expect(frame(page, 22)).to_have_count(0)
    page.reload()
    expect(page.locator("#gallery-count")).to_contain_text(f"{FEW - 1} pictures")


def test_pictures_leave_as_one_archive(filled: Visit) -> None:
    page = filled.page
    with page.expect_download() as started:
        page.click("#gallery-export")
    with zipfile.ZipFile(started.value.path()) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len(names) == FEW
        assert picture(archive.read(names[0])).info["parameters"].startswith("picture number 23\n")
    frame(page, 20).focus()
    page.keyboard.press("x")
    expect(page.locator("#gallery-export")).to_have_text("Download 1 as ZIP")
    with page.expect_download() as started:
        page.click("#gallery-export")
    with zipfile.ZipFile(started.value.path()) as archive:
        assert [name.rpartition("-")[2] for name in archive.namelist()] == ["20.png"]


@pytest.mark.parametrize("language", ["de", "ar"])
def test_other_languages(filled: Visit, look: Callable[[Page, str], None], language: str) -> None:
    page = filled.page
    speak(page, language)
    look(page, f"grid-{language}")
    page.locator(".sheet__frame").first.focus()
    page.keyboard.press("ArrowLeft" if language == "ar" else "ArrowRight")
    expect(page.get_by_role("button", name="picture number 22")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#gallery-detail-title")).to_be_focused()
    look(page, f"detail-{language}")


def test_two_thousand_pictures_scroll_like_a_few(browser: Browser, url: str) -> None:
    with visit(browser, f"{url}/#/gallery") as one:
        page = one.page
        page.goto(one.url)
        expect(page.locator("#gallery-empty")).to_be_visible()
        page.evaluate(FILL, [MANY, True])
        page.reload()
        expect(page.locator("#gallery-count")).to_contain_text("2,000 pictures")
        scrolled = page.evaluate(SCROLL)
        opened = page.evaluate(OPEN_MS)
        print(f"frames {scrolled['median']:.1f} ms, {scrolled['nodes']} nodes; index {opened:.0f} ms")
        assert scrolled["nodes"] < FEW_NODES
        assert scrolled["most"] > 10 * DESKTOP["height"]
        # Pictures of one name stand 48 apart: while the page scrolls, rows of both ends are in the document.
        expect(frame(page, 0).last).to_be_visible()
        page.locator(".sheet__frame[tabindex='0']").focus()
        page.keyboard.press("Control+End")
        expect(frame(page, 0).last).to_be_focused()
        expect(page.locator(".sheet__row").last).to_have_attribute(
            "aria-rowindex", page.get_attribute("#gallery-grid", "aria-rowcount") or ""
        )
        assert one.complaints == []


def test_damaged_pictures_say_so_and_whole_ones_need_no_canvas(
    browser: Browser, url: str, look: Callable[[Page, str], None]
) -> None:
    with visit(browser, f"{url}/#/gallery", script=LOST_CANVAS) as one:
        page = one.page
        page.goto(one.url)
        expect(page.locator("#gallery-empty")).to_be_visible()
        page.evaluate(FILL, [FEW, False])
        page.evaluate(DAMAGE)
        page.reload()
        expect(page.locator(".sheet__frame img:visible")).to_have_count(FEW - 2)
        expect(page.get_by_role("button", name="Cannot be shown: Damaged picture, ")).to_have_count(1)
        expect(page.get_by_role("button", name="Cannot be shown: picture number 1,")).to_have_count(1)
        look(page, "damaged")
        assert one.complaints == []


def test_a_store_cleared_meanwhile_is_told_and_the_gallery_goes_on(
    filled: Visit, url: str, look: Callable[[Page, str], None]
) -> None:
    page = filled.page
    session = filled.context.new_cdp_session(page)
    session.send("Storage.clearDataForOrigin", {"origin": url, "storageTypes": "file_systems"})
    page.evaluate("location.hash = document.querySelector('.sheet__cell') && '#/gallery?picture=x'")
    expect(page.locator("#gallery-notice")).to_contain_text(f"{FEW} pictures are no longer on this device")
    expect(page.locator("#gallery-empty")).to_be_visible()
    look(page, "cleared")
    page.evaluate(FILL, [2, False])
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(page.locator("#gallery-count")).to_contain_text("2 pictures")
    expect(page.locator("#gallery-notice")).to_be_hidden()


def test_where_the_disk_is_full_nothing_is_half_kept(filled: Visit, url: str) -> None:
    page = filled.page
    session = filled.context.new_cdp_session(page)
    session.send("Storage.overrideQuotaForOrigin", {"origin": url, "quotaSize": 1_000_000})
    assert page.evaluate(ADD) == ["storage-full", FEW]
    session.send("Storage.overrideQuotaForOrigin", {"origin": url})
    assert page.evaluate(ADD) == ["kept", FEW + 1]


def test_a_browser_without_storage_is_told(
    browser: Browser, url: str, look: Callable[[Page, str], None]
) -> None:
    script = """
      const { getDirectory } = StorageManager.prototype;
      StorageManager.prototype.getDirectory = async function () {
        if (globalThis.allowed) return getDirectory.call(this);
        throw new DOMException("storage is blocked", "SecurityError");
      };
    """
    with visit(browser, f"{url}/#/gallery", script=script) as one:
        page = one.page
        page.goto(one.url)
        expect(page.locator("#gallery-failed")).to_contain_text("storage is blocked")
        expect(page.locator("#gallery-empty")).to_be_hidden()
        look(page, "failed")
        page.evaluate("globalThis.allowed = true")
        page.click("#gallery-again")
        expect(page.locator("#gallery-failed")).to_be_hidden()
        expect(page.locator("#gallery-empty")).to_be_visible()
        look(page, "empty")
