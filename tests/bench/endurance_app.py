"""Whether anything grows while the app itself makes one picture after another: queue, frame, roll, gallery.

    endurance_app.py --site dist [--pictures 300] [--side 64] [--steps 2] [--json out.json]

Like endurance.py, but through the page that people use, with previews and a gallery that keeps every picture.
JavaScript's memory is page and workers after a collection; what the engine holds of the GPU is told by the
worker, whose script gets a few lines more on its way to the browser. Megabytes; seconds of a picture are the
median of the last ten.
"""

from __future__ import annotations

import argparse
import time
from itertools import pairwise
from statistics import median

from app_browser import add_pictures, launch, options_of, write_result
from browser_visits import READY_TIMEOUT_MS
from endurance import MEASURE_HEAP, PROMPT_MEASURE, Figures, resident_bytes
from playwright.sync_api import Browser, Page, Route, sync_playwright
from server.raw_http import running_server

MOST_AT_ONCE = 100
POINTS = (10, 30, 100, 200, 300)
WORKER = """
{
  const [notes, say, job] = [new BroadcastChannel("endurance"), self.postMessage.bind(self), -1];
  self.postMessage = (message, ...more) => {
    if (message.type === "usage" && message.job === job) notes.postMessage(message.usage);
    else say(message, ...more);
  };
  notes.onmessage = () => self.dispatchEvent(new MessageEvent("message", { data: { type: "usage", job } }));
}
"""
# A finished picture writes a new caption and asks the gallery to keep it.
WATCH = """() => {
  const notes = new BroadcastChannel("endurance");
  const times = [];
  const made = new MutationObserver(() => times.push(performance.now()));
  made.observe(document.querySelector("#caption"), { childList: true });
  globalThis.endurance = {
    times,
    usage: () => new Promise((resolve) => {
      notes.onmessage = ({ data }) => resolve(data);
      notes.postMessage("tell");
    }),
    nodes: () => document.querySelectorAll("*").length,
  };
}"""
COLUMNS = (
    ("pictures", 1),
    ("s/picture", 1),
    ("heap", 1e6),
    ("nodes", 1),
    ("GPU", 1e6),
    ("buffers", 1),
    ("bind groups", 1),
    ("pipelines", 1),
    ("reads", 1),
    ("files", 1),
    ("page MB", 1e6),
    ("GPU MB", 1e6),
)


def with_lines(route: Route) -> None:
    """The worker's script with WORKER before it."""
    response = route.fetch()
    route.fulfill(response=response, body=WORKER + response.text())


def order(page: Page, options: argparse.Namespace) -> None:
    """Puts all pictures into the queue; the first begins."""
    page.fill("#prompt", "a red circle on a white background")
    for name, value in (("width", options.side), ("height", options.side), ("steps", options.steps)):
        page.fill(f"#{name}", str(value))
    for first in range(0, options.pictures, MOST_AT_ONCE):
        page.fill("#count", str(min(MOST_AT_ONCE, options.pictures - first)))
        page.click("#make" if first == 0 else "#enqueue")


def measure(browser: Browser, page: Page, made: int) -> Figures:
    """What page, worker and browser hold now, and the seconds of a picture."""
    times: list[float] = page.evaluate("endurance.times")
    last = times[max(0, made - 11) : made]
    usage: Figures = page.evaluate("endurance.usage()")
    resident = resident_bytes(browser)
    return {
        "pictures": made,
        "s/picture": median(b - a for a, b in pairwise(last)) / 1000,
        "heap": page.evaluate(MEASURE_HEAP),
        "nodes": page.evaluate("endurance.nodes()"),
        "GPU": usage["bytes"],
        "buffers": usage["buffers"],
        "bind groups": usage["bindGroups"],
        "pipelines": usage["pipelines"],
        "reads": usage["reads"],
        "files": usage["files"],
        "page MB": resident["renderer"],
        "GPU MB": resident["gpu"],
    }


def endure(browser: Browser, url: str, options: argparse.Namespace) -> list[Figures]:
    """The pictures, and the figures at POINTS."""
    context = browser.new_context(service_workers="block")
    context.route("**/src_js/worker/main.js", with_lines)
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("#make:enabled, #failure:visible", timeout=READY_TIMEOUT_MS)
    page.evaluate(WATCH)
    order(page, options)
    print(" ".join(f"{title:>11}" for title, _ in COLUMNS), flush=True)
    rows: list[Figures] = []
    for point in [*(one for one in POINTS if one < options.pictures), options.pictures]:
        while page.evaluate("endurance.times.length") < point:
            if page.locator("#failure").is_visible():
                raise SystemExit(page.locator("#failure").inner_text())
            time.sleep(0.2)
        row = measure(browser, page, point)
        rows.append(row)
        print(" ".join(f"{row[title] / unit:>11.4g}" for title, unit in COLUMNS), flush=True)
    return rows


def main() -> None:
    """Measure and print."""
    parser = options_of(__doc__)
    add_pictures(parser, pictures=max(POINTS), side=64, steps=2)
    options = parser.parse_args()
    with running_server(options.site.resolve()) as server, sync_playwright() as playwright:
        browser = launch(playwright, PROMPT_MEASURE)
        rows = endure(browser, f"http://{server.authority}/", options)
        browser.close()
    write_result(options.json, rows)


if __name__ == "__main__":
    main()
