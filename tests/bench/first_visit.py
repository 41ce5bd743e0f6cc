"""How soon a first visit sees the page and can use it: cold profile, cold cache, a browser process each time.

    first_visit.py --site dist [--visits 7] [--cpu-rate 1] [--json out.json]

Drives a headless Chromium ($CHROMIUM, else the one on PATH) with the packaged site. `paint` is the first
contentful paint. `input` is when the form answers: a side that is no multiple of 16 gets its message. `ready`
is when a picture can be asked for: the GPU is found, the worker runs and has looked what is on this device.
All milliseconds since the navigation began. The machine's load is told: it tells how much they mean.
"""

from __future__ import annotations

import os
import sys
from statistics import median

from app_browser import launch, options_of, write_result
from browser_visits import READY_TIMEOUT_MS
from playwright.sync_api import Playwright, sync_playwright
from server.raw_http import running_server

GOALS_MS = {"paint": 1000.0, "input": 2000.0}
# As somebody who types as soon as there is a field, again and again until the page answers.
WATCH = """
  globalThis.visit = {};
  new PerformanceObserver((list) => {
    visit.paint ??= list.getEntriesByName("first-contentful-paint")[0]?.startTime;
  }).observe({ type: "paint", buffered: true });
  const timer = setInterval(() => {
    const ids = ["make", "width", "width-message"];
    const [make, width, message] = ids.map((id) => document.getElementById(id));
    if (!message) return;
    if (visit.input === undefined) {
      width.value = "500";
      width.dispatchEvent(new Event("input", { bubbles: true }));
      if (message.textContent) visit.input = performance.now();
    }
    if (!make.disabled && visit.ready === undefined) visit.ready = performance.now();
    if (visit.input !== undefined && visit.ready !== undefined) clearInterval(timer);
  }, 5);
"""


def visit(playwright: Playwright, url: str, rate: float) -> dict[str, float]:
    """One first visit."""
    browser = launch(playwright)
    try:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.add_init_script(WATCH)
        requests: list[str] = []
        page.context.on("request", lambda request: requests.append(request.url))
        if rate != 1:
            session = page.context.new_cdp_session(page)
            session.send("Emulation.setCPUThrottlingRate", {"rate": rate})
        page.goto(url, wait_until="commit")
        page.wait_for_selector("#make:enabled", timeout=READY_TIMEOUT_MS)
        while not all((found := page.evaluate("visit")).get(name) for name in ("paint", "input", "ready")):
            page.wait_for_timeout(50)
        return {name: round(found[name]) for name in ("paint", "input", "ready")} | {
            "requests": len(requests)
        }
    finally:
        browser.close()


def main() -> None:
    """Measure and print; the status is 0 when the medians are within GOALS_MS."""
    parser = options_of(__doc__)
    parser.add_argument("--visits", type=int, default=7)
    parser.add_argument("--cpu-rate", type=float, default=1, help="so many times slower, as Chromium does it")
    options = parser.parse_args()
    visits = []
    with running_server(options.site.resolve()) as server, sync_playwright() as playwright:
        for _ in range(options.visits):
            load = os.getloadavg()[0]
            visits.append(
                {**visit(playwright, f"http://{server.authority}/", options.cpu_rate), "load": load}
            )
            print("  ".join(f"{name} {value:g}" for name, value in visits[-1].items()), flush=True)
    medians = {name: median(one[name] for one in visits) for name in visits[0]}
    print("median: " + ", ".join(f"{name} {value:g}" for name, value in medians.items()))
    write_result(options.json, {"median": medians, "visits": visits})
    late = [name for name, goal in GOALS_MS.items() if medians[name] > goal]
    if late:
        sys.exit(f"later than {', '.join(f'{name}: {GOALS_MS[name]:g} ms' for name in late)}")


if __name__ == "__main__":
    main()
