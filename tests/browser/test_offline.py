"""Installed and offline: what browsers ask of an app, the journey without a server, no way out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from browser_visits import DESKTOP, FLAGS, NOTE_VIOLATIONS, PICTURE_TIMEOUT_MS, WHOLE_MODEL, Visit, speak
from playwright.sync_api import Browser, BrowserContext, Page, expect
from server.raw_http import Server, running_server

LEAST_SIDE = 320
MOST_SIDE = 3840
MOST_RATIO = 2.3
MEASURE = """async (sources) => Promise.all(sources.map(async (source) => {
  const image = new Image();
  image.src = source;
  await image.decode();
  return [image.naturalWidth, image.naturalHeight];
}))"""
LIST_CACHED = """async () => {
  const paths = [];
  for (const name of await caches.keys()) {
    for (const request of await (await caches.open(name)).keys()) paths.push(new URL(request.url).pathname);
  }
  return paths;
}"""
VIEWS = "JSON.parse(document.querySelector('#kleinbild').textContent).views"
WAYS_OUT = """async (elsewhere) => {
  const tried = {};
  tried.fetch = await fetch(elsewhere).then(() => "open", () => "blocked");
  tried.image = await new Promise((resolve) => {
    const image = new Image();
    image.onload = () => resolve("open");
    image.onerror = () => resolve("blocked");
    image.src = `${elsewhere}icons/icon.svg`;
  });
  tried.socket = await new Promise((resolve) => {
    try {
      const socket = new WebSocket(elsewhere.replace("http", "ws"));
      socket.onopen = () => resolve("open");
      socket.onerror = () => resolve("blocked");
    } catch {
      resolve("blocked");
    }
  });
  tried.beacon = navigator.sendBeacon(elsewhere, "x") ? "asked" : "blocked";
  const frame = document.createElement("iframe");
  frame.src = elsewhere;
  document.body.append(frame);
  await new Promise((resolve) => setTimeout(resolve, 100));
  frame.remove();
  return tried;
}"""


@pytest.fixture
def net_log(tmp_path: Path) -> Path:
    """Where Chromium writes every request that it makes, service worker and workers included."""
    return tmp_path / "net-log.json"


@pytest.fixture
def installed(browser: Browser, tmp_path: Path, net_log: Path) -> Iterator[BrowserContext]:
    """A browser with a profile on the disk, as people have: a private one installs no apps."""
    context = browser.browser_type.launch_persistent_context(
        tmp_path / "profile",
        executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
        args=[*FLAGS, f"--log-net-log={net_log}"],
        viewport={"width": DESKTOP["width"], "height": DESKTOP["height"]},
    )
    context.add_init_script(NOTE_VIOLATIONS)
    yield context
    context.close()


@pytest.fixture
def own_server(short_site: Path) -> Iterator[Server]:
    """A server that the test may stop."""
    with running_server(short_site) as server:
        yield server


def test_the_app_works_with_the_server_stopped_and_asks_nobody_else(
    installed: BrowserContext, own_server: Server, net_log: Path
) -> None:
    page = installed.pages[0]
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    one = Visit(installed, page, f"http://{own_server.authority}")
    one.open()
    check_installable(installed, page)
    one.whole_model()
    expect(page.locator("#background")).to_contain_text(WHOLE_MODEL)
    cached: list[str] = page.evaluate(LIST_CACHED)
    for kept in ("/", "/app.webmanifest", "/i18n/de.json", "/i18n/ar.json"):
        assert any(path.endswith(kept) for path in cached), f"{kept} is kept"
    assert not [path for path in cached if path.startswith("/w/")], "weights lie elsewhere"

    own_server.process.terminate()
    own_server.process.wait(30)
    page.reload()
    one.settle()
    assert page.evaluate("crossOriginIsolated") is True
    assert page.evaluate("navigator.serviceWorker.controller !== null") is True
    expect(page.locator("#make")).to_have_text("Make the picture")
    page.fill("#prompt", "zebras, quite another prompt")
    page.fill("#steps", "2")
    page.click("#make")
    page.wait_for_selector("#download:visible, #failure:visible", timeout=PICTURE_TIMEOUT_MS)
    expect(page.locator("#failure")).to_be_hidden()
    for view in page.evaluate(
        "[...document.querySelectorAll('[data-link]')].map((link) => link.dataset.link)"
    ):
        page.click(f"[data-link={view}]")
        expect(page.locator(f"#view-{view}")).to_be_visible()
        expect(page.locator("#trouble")).to_be_hidden()
    for language in ("de", "ar"):
        speak(page, language)
    page.goto(f"{one.url}/#/diagnosis")
    page.reload()
    page.wait_for_selector("#diagnosis-sections:not([hidden])")
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    assert complaints == []
    assert one.violations() == []

    installed.close()
    origin = urlsplit(one.url)
    asked = requests_of(net_log, one.url)
    assert len(asked) > 100, "the log saw the journey"
    assert {urlsplit(url)[:2] for url in asked} == {origin[:2]}


def check_installable(context: BrowserContext, page: Page) -> None:
    """The browser finds nothing against installing it; what its manifest names is as it says."""
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    session = context.new_cdp_session(page)
    assert session.send("Page.getInstallabilityErrors")["installabilityErrors"] == []
    answer = session.send("Page.getAppManifest")
    assert answer["errors"] == []
    manifest: dict[str, Any] = json.loads(answer["data"])
    assert {icon["purpose"] for icon in manifest["icons"]} == {"any", "maskable"}
    shots = manifest["screenshots"]
    assert {shot["form_factor"] for shot in shots} == {"wide", "narrow"}
    pictures = [*shots, *(icon for icon in manifest["icons"] if icon["sizes"] != "any")]
    sizes = page.evaluate(MEASURE, [picture["src"] for picture in pictures])
    assert [f"{width}x{height}" for width, height in sizes] == [picture["sizes"] for picture in pictures]
    for width, height in sizes[: len(shots)]:
        assert min(width, height) >= LEAST_SIDE
        assert max(width, height) <= min(MOST_SIDE, MOST_RATIO * min(width, height))
    views = page.evaluate(VIEWS)
    for shortcut in manifest["shortcuts"]:
        assert shortcut["url"].removeprefix("/#/") in views or len(views) < 4, shortcut["url"]


def requests_of(net_log: Path, origin: str) -> list[str]:
    """The addresses that anything of the site asked for: page, workers, service worker."""
    log = json.loads(net_log.read_text(encoding="utf-8"))
    begun = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    parameters = [event.get("params", {}) for event in log["events"] if event["type"] == begun]
    return [one["url"] for one in parameters if one.get("initiator") == origin]


def test_the_policy_lets_nothing_out(page: Page, serve: Callable[[Path], Server], short_site: Path) -> None:
    server = serve(short_site)
    page.add_init_script(NOTE_VIOLATIONS)
    page.goto(f"http://{server.authority}")
    elsewhere = f"http://localhost:{server.port}/"
    asked: list[str] = []
    page.context.on("response", lambda response: asked.append(response.url))
    tried = page.evaluate(WAYS_OUT, elsewhere)
    assert {name: tried[name] for name in ("fetch", "image", "socket")} == dict.fromkeys(
        ("fetch", "image", "socket"), "blocked"
    )
    assert [url for url in asked if url.startswith(elsewhere)] == []
    directives = {violation.split()[0] for violation in page.evaluate("violations")}
    assert directives >= {"connect-src", "img-src", "frame-src"}
