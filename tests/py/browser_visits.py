"""A visit to the page as the browser tests see it: its context, what it asked for, what it complained of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect

from kleinbild.server.generate.chromium import adapter_flags

# Of every Chromium that the tests start, whatever computes.
COMMON_FLAGS = [
    "--no-sandbox",
    "--enable-unsafe-webgpu",
    "--disable-gpu-watchdog",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A Chromium without a GPU: WebGPU on SwiftShader.
FLAGS = [*COMMON_FLAGS, *adapter_flags(software=True)]
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
# SwiftShader compiles and computes on the CPU that runs everything else, too.
PICTURE_TIMEOUT_MS = 600_000
READY_TIMEOUT_MS = 120_000

WHOLE_MODEL = "The whole model is on this device"

NOTE_VIOLATIONS = """
  globalThis.violations = [];
  addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
    violations.push(violatedDirective + " " + blockedURI);
  });
"""
NO_WEBGPU = "delete Navigator.prototype.gpu;"
NO_ADAPTER = "GPU.prototype.requestAdapter = async () => null;"


@dataclass
class Visit:
    """An open page; `weight_paths` are the paths below /w/ it asked for, `complaints` its logged errors."""

    context: BrowserContext
    page: Page
    url: str
    weight_paths: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self) -> Page:
        """Loads the page and waits until it takes input or says why it does not."""
        self.page.goto(self.url)
        self.settle()
        return self.page

    def settle(self) -> None:
        self.page.wait_for_selector("#make:enabled, #failure:visible", timeout=READY_TIMEOUT_MS)

    def small_picture(self, prompt: str = "a red fox") -> None:
        """Asks for the smallest picture there is."""
        self.page.fill("#prompt", prompt)
        for name, value in (("width", "16"), ("height", "16"), ("steps", "1")):
            self.page.fill(f"#{name}", value)
        self.page.click("#make")

    def whole_model(self) -> None:
        """Makes a picture and waits until the rest of the model arrived in the background."""
        self.small_picture()
        self.page.wait_for_selector(
            f"#background:has-text('{WHOLE_MODEL}'), #failure:visible", timeout=PICTURE_TIMEOUT_MS
        )
        self.settle()

    def load_model(self) -> None:
        """Downloads what every picture needs and starts it, then cancels the picture that asked for it."""
        self.small_picture()
        self.page.wait_for_selector("#device:not(:empty)", state="attached", timeout=READY_TIMEOUT_MS)
        self.page.keyboard.press("Escape")
        self.settle()

    def violations(self) -> list[str]:
        """What the Content-Security-Policy blocked."""
        found: list[str] = self.page.evaluate("globalThis.violations")
        return found


@contextmanager
def visit(browser: Browser, url: str, *, script: str = "", **options: Any) -> Iterator[Visit]:
    """A visit with an empty store, closed at the end; fails when the page broke its own security policy.

    The service worker is blocked unless `options` say otherwise: it would fetch all of the page once more.
    """
    context = browser.new_context(**{"viewport": DESKTOP, "service_workers": "block"} | options)
    context.add_init_script(NOTE_VIOLATIONS + script)
    page = context.new_page()
    opened = Visit(context, page, url)
    context.on("request", lambda request: _note_weight(opened, request.url))
    page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    page.on(
        "console",
        lambda message: opened.complaints.append(message.text) if message.type == "error" else None,
    )
    try:
        yield opened
        assert opened.violations() == []
    finally:
        context.close()


def speak(page: Page, language: str) -> None:
    """Chooses the page's language and waits until its words and its direction are there: they are fetched."""
    page.select_option("#language", language)
    expect(page.locator("html")).to_have_attribute("lang", language)


def settings(page: Page) -> dict[str, str]:
    """What the form of the make view says of the next picture."""
    return {name: page.input_value(f"#{name}") for name in ("prompt", "width", "height", "seed", "steps")}


def _note_weight(opened: Visit, url: str) -> None:
    if "/w/" in url:
        opened.weight_paths.append(url[url.index("/w/") + 1 :])
