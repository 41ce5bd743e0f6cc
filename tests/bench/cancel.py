"""How long a cancel takes: from the click until the page takes the next order, and until the GPU is idle.

    cancel.py --site dist [--pictures 40] [--side 256] [--steps 4] [--json out.json]

Drives a headless Chromium ($CHROMIUM, else the one on PATH) with the packaged page, and cancels each picture
at another moment of its making: text encoder, steps, previews, decoder. The GPU is idle when all that was
submitted to its queue is done, and nothing is submitted any more; the worker's script is told to say so, on
its way to the browser.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from app_browser import add_pictures, launch, options_of, write_result
from browser_visits import READY_TIMEOUT_MS
from playwright.sync_api import Page, Route, sync_playwright
from server.raw_http import running_server

GOAL_MS = 200.0
FRACTIONS = (0.5, 0.9, 1.0)
# Tells when the work submitted last was done, and the longest that one submit took alone at the queue's head,
# with its kernels.
WATCH = """
{
  const notes = new BroadcastChannel("cancel-bench");
  const submit = GPUQueue.prototype.submit;
  const now = () => performance.timeOrigin + performance.now();
  const setPipeline = GPUComputePassEncoder.prototype.setPipeline;
  let open = 0, idle = 0, longest = 0, slowest = "", kernels = [];
  GPUComputePassEncoder.prototype.setPipeline = function (pipeline) {
    kernels.push(pipeline.label);
    setPipeline.call(this, pipeline);
  };
  GPUQueue.prototype.submit = function (...of) {
    submit.apply(this, of);
    const names = kernels.splice(0);
    const began = now();
    open += 1;
    this.onSubmittedWorkDone().finally(() => {
      const took = now() - Math.max(began, idle);
      if (took > longest) [longest, slowest] = [took, `${names.length} x ${[...new Set(names)].slice(0, 2)}`];
      idle = now();
      open -= 1;
    });
  };
  notes.onmessage = ({ data }) => {
    if (data === "tell") notes.postMessage({ idle, open, longest, slowest });
    if (data === "tell") longest = 0;
  };
}
"""
SETUP = """() => {
  const notes = new BroadcastChannel("cancel-bench");
  const now = () => performance.timeOrigin + performance.now();
  const turn = () => new Promise((resolve) => setTimeout(resolve));
  const [make, cancel] = ["make", "cancel"].map((id) => document.getElementById(id));
  const tell = () => new Promise((resolve) => {
    notes.onmessage = ({ data }) => resolve(data);
    notes.postMessage("tell");
  });
  globalThis.wholePicture = async () => {
    const began = now();
    make.click();
    do await turn(); while (!cancel.hidden);
    return now() - began;
  };
  globalThis.cancelAfter = async (milliseconds) => {
    await tell();
    make.click();
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    if (cancel.hidden) return null;

    const clicked = now();
    cancel.click();
    while (!cancel.hidden || make.disabled) await turn();
    const ready = now();
    const { idle, open, longest, slowest } = await tell();
    return { ready: ready - clicked, idle: open ? NaN : Math.max(0, idle - clicked), longest, slowest };
  };
}"""


def watched(route: Route) -> None:
    """The worker's script with WATCH before it."""
    response = route.fetch()
    route.fulfill(response=response, body=WATCH + response.text())


def order(page: Page, options: argparse.Namespace) -> float:
    """Fills in the form and makes a picture, so that all is loaded and compiled; returns its milliseconds."""
    page.fill("#prompt", "a red circle on a white background")
    for name, value in (("width", options.side), ("height", options.side), ("steps", options.steps)):
        page.fill(f"#{name}", str(value))
    page.evaluate(SETUP)
    taken = 0.0
    for _ in range(2):  # the first one measures kernels
        taken = page.evaluate("wholePicture()")
        if page.locator("#failure").is_visible():
            raise SystemExit(page.locator("#failure").inner_text())
    return taken


def quantiles(values: list[float]) -> dict[str, float]:
    """Milliseconds that half, nine in ten and all of `values` are within."""
    ordered = sorted(values)
    return {f"{part:.0%}": ordered[max(0, round(part * len(ordered)) - 1)] for part in FRACTIONS}


def cancels(page: Page, options: argparse.Namespace) -> list[dict[str, Any]]:
    """What each cancel took; pictures that were done before it are none."""
    whole = order(page, options)
    print(f"a picture takes {whole / 1000:.2f} s")
    told = []
    for number in range(options.pictures):
        at = whole * (number + 0.5) / options.pictures
        one = page.evaluate("milliseconds => cancelAfter(milliseconds)", at)
        if one is None:
            page.wait_for_selector("#make:enabled", timeout=0)
            continue
        told.append({"at": at / whole, **one})
        times = " ".join(f"{key} {one[key]:6.0f}" for key in ("ready", "idle", "longest"))
        print(f"{at / whole:5.0%} {times}  {one['slowest']}", flush=True)
    return told


def main() -> None:
    """Measure and print; the status is 0 when every cancel was within GOAL_MS."""
    parser = options_of(__doc__)
    add_pictures(parser, pictures=40, side=256, steps=4)
    options = parser.parse_args()
    with running_server(options.site.resolve()) as server, sync_playwright() as playwright:
        browser = launch(playwright)
        context = browser.new_context(service_workers="block")
        context.route("**/src_js/worker/main.js", watched)
        page = context.new_page()
        page.goto(f"http://{server.authority}/")
        page.wait_for_selector("#make:enabled, #failure:visible", timeout=READY_TIMEOUT_MS)
        told = cancels(page, options)
        browser.close()
    result = {key: quantiles([one[key] for one in told]) for key in ("ready", "idle", "longest")}
    for key, found in result.items():
        print(f"{key:>8} ms: " + ", ".join(f"{part} within {value:.0f}" for part, value in found.items()))
    write_result(options.json, {**result, "cancels": told})
    if result["ready"]["100%"] > GOAL_MS or result["idle"]["100%"] > GOAL_MS:
        sys.exit(f"not every cancel was within {GOAL_MS:.0f} ms")


if __name__ == "__main__":
    main()
