"""Whether anything grows while one picture after another is made in a page.

    endurance.py --site dist [--pictures 300] [--side 64] [--steps 4] [--previews] [--json out.json]

Drives a headless Chromium ($CHROMIUM, else the one on PATH) with the packaged site in a page without the
app, and tells at some pictures: JavaScript's memory in page and worker after a collection, what the engine
holds of the GPU (bytes, buffers, bind groups, pipelines, reads under way), files held open, and the resident
memory of the renderer's and the GPU's process. Prompts repeat: what is kept of them is a bounded cache, which
tells nothing of growth while it fills.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

from app_browser import add_pictures, launch, options_of, write_result
from playwright.sync_api import Browser, sync_playwright
from runtime_visit import Runtime, runtime
from server.raw_http import running_server

PROMPT_MEASURE = "--enable-blink-features=ForceEagerMeasureMemory"
MEASURE_HEAP = "async () => (await performance.measureUserAgentSpecificMemory()).bytes"
PROMPTS = ("a red fox", "two boats on a lake", "a lighthouse at dusk", "rain")
POINTS = (3, 10, 30, 100, 200, 300)
COLUMNS = (
    ("heap kB", "heap", 1e3),
    ("GPU kB", "bytes", 1e3),
    ("buffers", "buffers", 1),
    ("bind groups", "bindGroups", 1),
    ("pipelines", "pipelines", 1),
    ("reads", "reads", 1),
    ("files", "files", 1),
    ("renderer MB", "renderer", 1e6),
    ("GPU process MB", "gpu", 1e6),
    ("s/picture", "seconds", 1),
)

Figures = dict[str, float]


def resident_bytes(browser: Browser) -> dict[str, float]:
    """Resident memory of the browser's processes, summed by type."""
    sums = {"renderer": 0.0, "gpu": 0.0}
    for process in browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]:
        kind = str(process["type"]).lower()
        if kind in sums:
            pages = Path(f"/proc/{process['id']}/statm").read_text(encoding="ascii").split()[1]
            sums[kind] += int(pages) * os.sysconf("SC_PAGE_SIZE")
    return sums


def measure(browser: Browser, one: Runtime) -> Figures:
    """What page, worker and browser hold now."""
    heap: float = one.page.evaluate(MEASURE_HEAP)
    usage: Figures = one.page.evaluate("runtime.client.usage()")
    return {"heap": heap, **usage, **resident_bytes(browser)}


def endure(browser: Browser, url: str, options: argparse.Namespace) -> list[Figures]:
    """The pictures, and the figures at POINTS."""
    rows: list[Figures] = []
    print(" ".join(f"{name:>14}" for name in ("pictures", *(title for title, _, _ in COLUMNS))))
    with runtime(browser, url) as one:
        began, before = time.monotonic(), 0
        for made in range(1, options.pictures + 1):
            prompt = PROMPTS[made % len(PROMPTS)]
            asked: dict[str, Any] = {"seed": made, "side": options.side, "steps": options.steps}
            told = one.make(prompt=prompt, preview=options.previews, **asked)
            if told["message"]:
                raise SystemExit(f"picture {made}: {told['message']}")
            if made in POINTS or made == options.pictures:
                seconds = (time.monotonic() - began) / (made - before)
                row = {"pictures": made, "seconds": seconds, **measure(browser, one)}
                rows.append(row)
                cells = [
                    f"{row[key] / unit:.1f}" if unit > 1 else f"{row[key]:.4g}" for _, key, unit in COLUMNS
                ]
                print(" ".join(f"{cell:>14}" for cell in (str(made), *cells)), flush=True)
                began, before = time.monotonic(), made
    return rows


def main() -> None:
    """Measure and print."""
    parser = options_of(__doc__)
    add_pictures(parser, pictures=max(POINTS), side=64, steps=4)
    parser.add_argument("--previews", action="store_true")
    options = parser.parse_args()
    with running_server(options.site.resolve()) as server, sync_playwright() as playwright:
        browser = launch(playwright, PROMPT_MEASURE)
        rows = endure(browser, f"http://{server.authority}", options)
        browser.close()
    write_result(options.json, rows)


if __name__ == "__main__":
    main()
