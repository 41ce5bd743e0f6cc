/**
 * The page's entry: builds the views, joins them to the worker, and decides between a page for people and a
 * headless run.
 */

import { asKleinbildError } from "../errors.js";
import { gpuProblem } from "./capabilities.js";
import { element } from "./elements.js";
import { Form } from "./form.js";
import { Frame } from "./frame.js";
import { KernelsView } from "./kernels_view.js";
import { Update, keepOffline } from "./offline.js";
import { Roll } from "./roll.js";
import { Studio } from "./studio.js";
import { backgroundText, deviceText } from "./wording.js";
import { WorkerClient } from "./worker_client.js";

/** @type {{ manifest: string, build: string }} */
const site = JSON.parse(element("kleinbild", HTMLScriptElement).text);
const client = new WorkerClient(new URL("../worker/main.js", import.meta.url));

/** A page for people. */
async function openStudio() {
  const frame = new Frame();
  const roll = new Roll((exposure) => studio.show(exposure));
  const form = new Form({
    onSubmit: (settings) => void studio.make(settings, form.keepPrompts),
    onCancel: () => studio.cancel(),
    onForget: () => void studio.forgetPrompts(),
    onSize: (picture) => void studio.plan(picture),
  });
  const kernels = new KernelsView({ onTune: () => void studio.tune() });
  const studio = new Studio(client, site.manifest, {
    form,
    frame,
    kernels,
    roll,
    showDevice: (info) => (element("device", HTMLElement).textContent = deviceText(info)),
    showBackground: (state) => (element("background", HTMLElement).textContent = backgroundText(state)),
    pictureUrl: (bytes) => URL.createObjectURL(new Blob([bytes], { type: "image/png" })),
    keepStorage: () => void navigator.storage?.persist?.(),
  });
  element("reuse", HTMLButtonElement).addEventListener("click", () => {
    const settings = studio.shown?.settings;
    if (!settings) return;
    const { prompt, width, height, seed, steps } = settings;
    form.show({ prompt, width: `${width}`, height: `${height}`, seed: `${seed}`, steps: `${steps}`, newSeed: false });
  });
  form.recall();
  const update = new Update({
    reload: () => location.reload(),
    onChange: () => (element("update", HTMLElement).hidden = false),
  });
  element("update-accept", HTMLButtonElement).addEventListener("click", () => update.accept());
  void keepOffline(site.build, update);
  const problem = await gpuProblem(navigator.gpu);
  if (problem) return frame.showFailure(problem);
  await studio.inspect();
  form.setBusy(false);
}

/** A run that `serve.py generate` drives. @param {string} token */
async function runHeadless(token) {
  document.body.dataset["state"] = "headless";
  const headless = await import("./headless.js");
  await headless.runHeadless(token, { client, manifestUrl: site.manifest });
}

const token = /^#headless=([A-Za-z0-9_-]+)$/.exec(location.hash)?.[1];
const opened = token === undefined ? openStudio() : runHeadless(token);
opened.catch((error) => new Frame().showFailure(asKleinbildError(error)));
