"""Settings that come from outside: out of pictures of any kind, files of the system, and links."""

from __future__ import annotations

import base64
import io

from browser_visits import settings, visit
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Browser, expect

DROP = """([name, base64]) => {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name, { type: "image/png" }));
  const options = { dataTransfer, bubbles: true, cancelable: true };
  document.body.dispatchEvent(new DragEvent("dragover", options));
  document.body.dispatchEvent(new DragEvent("drop", options));
}"""
# The installed app gets the file that it was opened with through a queue, which a test cannot fill.
CATCH_CONSUMER = """
  Object.defineProperty(window, "launchQueue", { value: { setConsumer: (take) => (window.launch = take) } });
"""
LAUNCH = """async ([name, base64]) => {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  await launch({ files: [{ getFile: async () => new File([bytes], name) }] });
}"""


def png(**texts: str) -> bytes:
    info = PngInfo()
    for keyword, text in texts.items():
        info.add_itxt(keyword, text)
    file = io.BytesIO()
    Image.new("RGB", (32, 16)).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def test_settings_come_out_of_any_picture_and_of_no_other_file(browser: Browser, url: str) -> None:
    facts = "Steps: 7, Sampler: Euler a, CFG scale: 7, Seed: 77, Size: 500x768, Model: other"
    wrong = "Steps: 700, Seed: -1, Size: 99999x16, Model: other"
    damaged = png(parameters=f"a cat\n{facts}")
    files: list[tuple[str, bytes, str, dict[str, str]]] = [
        (
            "other.png",
            png(parameters=f"a cat <b>\nNegative prompt: dogs\n{facts}"),
            "The settings of other.png are in the form.",
            {"prompt": "a cat <b>", "width": "496", "height": "768", "seed": "77", "steps": "7"},
        ),
        (
            "wrong.png",
            png(parameters=f"a \u202edog\n{wrong}"),
            "The settings of wrong.png are in the form. "
            "Left out, because it cannot be used here: width, seed, and steps. "
            "Hidden characters were taken out of the description.",
            {"prompt": "a dog", "width": "496", "height": "16", "seed": "77", "steps": "7"},
        ),
        ("plain.png", png(), "plain.png holds no settings", {}),
        ("cut.png", damaged[:-20], "cut.png holds no settings that can be read", {}),
        ("page.png", b"<script>alert(1)</script>" * 9, "page.png holds no settings that can be read", {}),
        ("<img src=x>.png", b"", "<img src=x>.png holds no settings that can be read", {}),
    ]
    with visit(browser, f"{url}/#/gallery", script=CATCH_CONSUMER) as one:
        page = one.page
        page.goto(one.url)
        expect(page.locator("#gallery-empty")).to_be_visible()
        name, data, sentence, before = files[0]
        page.set_input_files("#gallery-file", {"name": name, "mimeType": "image/png", "buffer": data})
        expect(page.locator("#toast")).to_contain_text(sentence)
        expect(page.locator("#view-make")).to_be_visible()
        assert settings(page) == before
        for name, data, sentence, expected in files[1:]:
            page.evaluate(DROP, [name, base64.b64encode(data).decode()])
            expect(page.locator("#toast")).to_contain_text(sentence)
            before = before | expected
            assert settings(page) == before
            expect(page.locator(".drop-hint")).to_be_hidden()
        page.evaluate(LAUNCH, ["other.png", base64.b64encode(files[0][1]).decode()])
        expect(page.locator("#toast")).to_contain_text(files[0][2])
        assert settings(page) == files[0][3]
        expect(page.locator("#cancel")).to_be_hidden()
        assert page.locator("#toast img, #toast script").count() == 0
        assert one.weight_paths == []
        assert one.complaints == []


def test_hostile_links_change_nothing_they_should_not(browser: Browser, url: str) -> None:
    with visit(browser, f"{url}/#/make?prompt=%3Cimg+src%3Dx%3E%E2%80%AE&seed=-1&width=1e9&steps=%00") as one:
        page = one.open()
        expect(page.locator("#toast")).to_contain_text("Left out, because it cannot be used here")
        assert page.input_value("#prompt") == "<img src=x>"
        assert page.locator("#view-make img[src=x]").count() == 0
        before = settings(page)
        for link in (
            "#/make?prompt=" + "x" * 70_000,
            "#/gallery?picture=../../x",
            "#/gallery?compare=,",
            "#/%00?",
        ):
            page.goto(f"{url}/{link}")
            page.goto(f"{url}/#/make")
            assert settings(page) == before
        assert one.weight_paths == []
        assert one.complaints == []
