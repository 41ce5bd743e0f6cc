"""A page of the site without the app, with a worker client of its own, whose GPU a test can take away.

The worker's script is what the site serves, with `SABOTAGE` put in front of it on its way to the browser:
nothing of that is in the product.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, Route

# At the news of a step that the test names, so often, each time on another device: the device is destroyed,
# or the worker throws outside of every promise.
SABOTAGE = """
{
  const [plan, notes] = [{ step: -1, times: 0, deed: "" }, new BroadcastChannel("sabotage")];
  let device, lost, devices = 0;
  notes.onmessage = ({ data }) => Object.assign(plan, data);
  const open = GPUAdapter.prototype.requestDevice;
  GPUAdapter.prototype.requestDevice = async function (...of) {
    device = await open.apply(this, of);
    notes.postMessage({ devices: ++devices });
    return device;
  };
  const say = self.postMessage.bind(self);
  self.postMessage = (message, ...more) => {
    say(message, ...more);
    if (message.type !== "progress" || message.stage !== "transformer" || message.step !== plan.step) return;
    if (plan.times === 0 || device === lost) return;
    plan.times -= 1;
    lost = device;
    if (plan.deed === "lose") device.destroy();
    if (plan.deed === "crash") setTimeout(() => { throw new Error("sabotage"); });
  };
}
"""
# `make` gives everything that a picture's call was told, its pixels as a digest, and how it ended.
SETUP = """async () => {
  const page = await (await fetch("/")).text();
  const site = JSON.parse(/id="kleinbild">([^<]*)</.exec(page)[1]);
  const base = new URL(/src="([^"]*)\\/app\\/main\\.js"/.exec(page)[1] + "/", location.href).href;
  const { WorkerClient } = await import(base + "app/worker_client.js");
  const client = new WorkerClient(base + "worker/main.js");
  const notes = new BroadcastChannel("sabotage");
  const state = globalThis.runtime = { client, base, site, devices: 0 };
  notes.onmessage = ({ data }) => { state.devices = data.devices ?? state.devices; };
  state.sabotage = (plan) => notes.postMessage(plan);
  // Its texts tell how long the picture took: only its pixels are the same again.
  const pixelsOf = async (png) => {
    const picture = await createImageBitmap(new Blob([png]));
    const context = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
    context.drawImage(picture, 0, 0);
    return context.getImageData(0, 0, picture.width, picture.height).data;
  };
  state.start = () => client.start({ manifestUrl: site.manifest, precision: "auto" });
  state.make = async (wanted) => {
    const { seed = 1, steps = 4, side = 16, prompt = "a red fox", preview = false, cancelAt = -1 } = wanted;
    const told = { stages: [], fractions: [], previews: [], resumed: [] };
    Object.assign(told, { digest: "", code: "", message: "", cancelMs: 0 });
    let asked = 0;
    const onPreview = ({ step, width, height, rgba }) => {
      told.previews.push([step, width, height, rgba.length]);
    };
    try {
      const { png } = await client.generate(
        { prompt, width: side, height: side, seed: BigInt(seed), steps, latents: null },
        {
          onProgress: ({ stage, step, fraction }) => {
            if (told.stages.at(-1) !== stage) told.stages.push(stage);
            told.fractions.push(fraction);
            if (stage === "transformer" && step === cancelAt && !asked) {
              asked = performance.now();
              client.cancel();
            }
          },
          onResume: ({ step, losses }) => told.resumed.push([step, losses]),
          ...(preview && { onPreview }),
        },
      );
      const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", await pixelsOf(png)));
      told.digest = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    } catch (error) {
      Object.assign(told, { code: error.code ?? "", message: error.message });
    }
    if (asked) told.cancelMs = performance.now() - asked;
    return told;
  };
  await state.start();
}"""

Told = dict[str, Any]


class Runtime:
    """A started model on a page of its own."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def make(self, **asked: Any) -> Told:
        """One picture: what its call was told, its pixels' digest, `code` and `message` if there is none."""
        told: Told = self.page.evaluate("asked => runtime.make(asked)", asked)
        return told

    def usage(self) -> dict[str, int]:
        """What the worker holds of GPU and files."""
        held: dict[str, int] = self.page.evaluate("runtime.client.usage()")
        return held

    def sabotage(self, deed: str, step: int, times: int = 1) -> None:
        """From now on, at the news of a finished step, so often: "lose" the GPU or "crash" the worker."""
        self.page.evaluate("plan => runtime.sabotage(plan)", {"deed": deed, "step": step, "times": times})

    @property
    def devices(self) -> int:
        """GPU devices that the worker in hand has opened so far."""
        count: int = self.page.evaluate("runtime.devices")
        return count


@contextmanager
def runtime(browser: Browser, url: str) -> Iterator[Runtime]:
    """The model started in an empty profile."""
    context = browser.new_context(service_workers="block")
    try:
        context.route("**/src_js/worker/main.js", _sabotaged)
        page = context.new_page()
        page.set_default_timeout(0)
        page.goto(f"{url}/app.webmanifest")
        page.evaluate(SETUP)
        yield Runtime(page)
    finally:
        context.close()


def _sabotaged(route: Route) -> None:
    response = route.fetch()
    route.fulfill(response=response, body=SABOTAGE + response.text())
