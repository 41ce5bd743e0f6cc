"""A day of a kiosk: visitors make pictures by touch, leave, take them home; things break; the operator comes.

One kiosk for all tests, in this order: each goes on where the one before has left the screen.
"""

from __future__ import annotations

import io
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zxingcpp
from axe import violations
from kiosk_run import SCREEN, Kiosk, descendants, free_port, running_kiosk
from PIL import Image
from playwright.sync_api import Playwright

# The model, what is known of it, and measurements: nothing of anybody.
KEPT_WHEN_A_VISITOR_LEAVES = ("kleinbild/weights/", "kleinbild/models/", "kleinbild/kernels/")
PROMPT = "zq fox"
OPERATOR: dict[str, Any] = {
    "pin": "271828",
    "languages": ["de", "en", "ar"],
    "idle_seconds": 5,
    "countdown_seconds": 3,
    "sizes": ["64x64", "96x64"],
    "steps": 1,
    "refused_words": ["blood"],
    "cards": [{"title": "Fuchs", "prompt": "a red fox", "size": "96x64", "seed": 7}],
    "keep_pictures": "kept",
    "attract": "recent",
}
LIST_FILES = """async () => {
  const paths = [];
  const walk = async (folder, path) => {
    for await (const [name, entry] of folder.entries()) {
      if (entry.kind === "directory") await walk(entry, `${path}${name}/`);
      else paths.push(path + name);
    }
  };
  await walk(await navigator.storage.getDirectory(), "");
  return paths;
}"""


@pytest.fixture(scope="module")
def kiosk(
    tiny_site: Path, tmp_path_factory: pytest.TempPathFactory, playwright: Playwright
) -> Iterator[Kiosk]:
    folder = tmp_path_factory.mktemp("kiosk")
    take_home = {"address": "127.0.0.1", "port": free_port(), "minutes": 1, "downloads": 2}
    operator = {**OPERATOR, "take_home": take_home}
    with running_kiosk(
        tiny_site, folder, operator, playwright, "--take-home", "--page-timeout", "10"
    ) as running:
        yield running


def is_browser(line: str) -> bool:
    """Whether a command line is the browser's, and none of its helpers'."""
    return " --kiosk" in line and "--type=" not in line


def for_everybody(kiosk: Kiosk, state: str) -> None:
    """No violation of axe's rules on what the screen shows."""
    assert violations(kiosk.page) == [], state


def make_by_card(kiosk: Kiosk) -> None:
    """From the screen for the visitor's words, or, on a slow machine, from the one that came after it."""
    if kiosk.page.evaluate("() => document.body.dataset.screen") == "attract":
        kiosk.touch("#begin")
    kiosk.touch(".kcards__card")
    kiosk.touch("#make")
    kiosk.wait_for("result")


def test_a_picture_by_touch_alone(kiosk: Kiosk) -> None:
    hosts: set[str] = set()
    kiosk.page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    assert kiosk.page.evaluate("() => crossOriginIsolated && document.documentElement.lang === 'de'")
    for_everybody(kiosk, "attract")
    kiosk.touch("#begin")
    kiosk.wait_for("compose")
    for_everybody(kiosk, "cards")
    kiosk.touch("#make")
    kiosk.page.get_by_text("Wählen Sie zuerst eine Idee").wait_for()
    kiosk.type_with_keys("blood")
    kiosk.touch("#make")
    kiosk.page.get_by_text("Mit diesen Worten macht dieses Gerät keine Bilder").wait_for()
    for _ in "blood":
        kiosk.touch(".kkey[data-action=backspace]")
    kiosk.type_with_keys(PROMPT)
    assert kiosk.page.locator("#prompt").input_value() == PROMPT
    kiosk.touch("#languages [data-language=ar]")
    kiosk.page.locator("html[dir=rtl]").wait_for()
    for_everybody(kiosk, "keyboard")
    kiosk.touch("#make")
    kiosk.wait_for("result")
    for_everybody(kiosk, "result")
    assert kiosk.page.evaluate("() => document.getElementById('picture').naturalWidth") == 64
    assert hosts <= {"kleinbild.localhost", ""}  # a blob: address has no host


def test_taking_it_home(kiosk: Kiosk) -> None:
    kiosk.touch("#take")
    kiosk.page.locator("#take-panel").wait_for()
    url = kiosk.page.locator("#take-url").inner_text()
    with Image.open(io.BytesIO(kiosk.page.screenshot())) as shot:
        codes = zxingcpp.read_barcodes(np.asarray(shot.convert("L")))
    assert [code.text for code in codes] == [url]

    def fetch(address: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, b""

    first = fetch(url)
    with Image.open(io.BytesIO(first[1])) as picture:
        assert (first[0], picture.size) == (200, (64, 64))
    assert fetch(url)[0] == 200
    assert fetch(url)[0] == 404  # twice, as the operator said
    for path in ("/", "/kiosk.html", "/kiosk/config.json"):
        assert fetch(url.partition("/p/")[0] + path)[0] == 404


def test_whoever_leaves_is_forgotten(kiosk: Kiosk) -> None:
    assert PROMPT in kiosk.page.content()
    kiosk.page.locator("#still").wait_for()  # the countdown
    kiosk.wait_for("attract")
    assert kiosk.page.evaluate("() => document.documentElement.lang") == "de"
    assert PROMPT not in kiosk.page.content()
    assert kiosk.page.locator("#prompt").input_value() == ""
    assert kiosk.page.evaluate("() => document.getElementById('picture').getAttribute('src')") is None
    kept = kiosk.page.evaluate("() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }])")
    assert PROMPT not in kept
    files = kiosk.page.evaluate(LIST_FILES)
    assert files
    assert all(path.startswith(KEPT_WHEN_A_VISITOR_LEAVES) for path in files), files
    # The operator keeps pictures, and the screen shows them.
    kiosk.page.locator(".kattract__picture--shown").first.wait_for()


def test_no_way_out(kiosk: Kiosk) -> None:
    page = kiosk.page
    kiosk.touch("#begin")
    kiosk.wait_for("compose")
    address = page.url
    for keys in ("F5", "Control+l", "Control+n", "Control+p", "Alt+ArrowLeft", "F11", "Control+Shift+i"):
        page.keyboard.press(keys)
    page.mouse.click(10, 300, button="right")
    page.evaluate("() => history.back()")
    assert page.locator("a, iframe, input[type=file]").count() == 0
    assert (page.url, len(page.context.pages)) == (address, 1)
    page.keyboard.type("rät")  # a physical keyboard writes
    page.keyboard.press("Control+a")
    assert page.locator("#prompt").input_value() == "rät"
    too_small = page.evaluate(
        """() => [...document.querySelectorAll("button")].filter((button) => {
          const { width, height } = button.getBoundingClientRect();
          return width > 0 && Math.min(width, height) < 44;
        }).map((button) => button.outerHTML)"""
    )
    assert too_small == []
    # On a small screen, too, everything can be reached, and nothing lies over anything else.
    page.set_viewport_size({"width": 800, "height": 480})
    out_of_reach = page.evaluate(
        """() => [...document.querySelectorAll("#prompt, #make, #sizes button, .kkey")].filter((one) => {
          const { x, y, width, height } = one.getBoundingClientRect();
          const touched = document.elementFromPoint(x + width / 2, y + height / 2);
          return Math.min(width, height) < 44 || !one.contains(touched);
        }).map((one) => one.outerHTML)"""
    )
    assert out_of_reach == []
    page.set_viewport_size({"width": SCREEN[0], "height": SCREEN[1]})
    kiosk.touch("#operator")
    for_everybody(kiosk, "PIN")
    kiosk.enter_pin("271828")
    page.locator("#desk").wait_for()
    for_everybody(kiosk, "desk")
    assert "webgpu: google swiftshader" in page.locator("#desk-text").inner_text()
    kiosk.touch("#desk-back")


def test_a_lost_gpu_process(kiosk: Kiosk) -> None:
    os.kill(kiosk.find_process(lambda line: "--type=gpu-process" in line), signal.SIGKILL)
    make_by_card(kiosk)
    assert kiosk.page.evaluate("() => document.getElementById('picture').naturalWidth") == 96


def test_wrong_pins_lock_and_the_right_one_leaves(kiosk: Kiosk) -> None:
    kiosk.touch("#operator")
    for left in (4, 3, 2, 1):
        kiosk.enter_pin("000000")
        kiosk.page.get_by_text(f"Falsche PIN. Noch {left} Versuch").wait_for()
    kiosk.enter_pin("000000")
    kiosk.page.get_by_text("Gesperrt für").wait_for()
    assert kiosk.page.locator("[data-digit='2']").is_disabled()
    # A killed server is started again, and knows of no wrong PIN. The page comes without it, at the address
    # that people know.
    os.kill(kiosk.find_process(lambda line: "kleinbild.server.kiosk.server" in line), signal.SIGKILL)
    kiosk.page.goto("http://kleinbild.localhost/?kiosk=1")
    kiosk.page.wait_for_url("**/kiosk.html")
    kiosk.wait_for("attract")
    kiosk.touch("#operator")
    kiosk.enter_pin("271828")
    kiosk.touch("#desk-leave")
    assert kiosk.process.wait(30) == 0
    assert descendants(kiosk.process.pid) == []
    assert "server: ended with status -9; started again in 1 s" in kiosk.words()
