/**
 * The make view: joins its form, queue, frame and roll to the studio, and the studio to the app.
 */

import { manifestPath } from "../../model_index.js";
import { findGpu } from "../capabilities.js";
import { element } from "../elements.js";
import { copyLink } from "../gallery/export.js";
import { showText } from "../localise.js";
import { chosenManifest, rememberChosen } from "../models/chosen.js";
import { tellNotice } from "../notice.js";
import { ExamplesView } from "./examples_view.js";
import { Form } from "./form.js";
import { Frame } from "./frame.js";
import { MAX_PICTURES, PictureQueue } from "./queue.js";
import { ownQueue } from "./queue_owner.js";
import { QueueRunner } from "./queue_runner.js";
import { QueueStore } from "./queue_store.js";
import { QueueView } from "./queue_view.js";
import { Rates } from "./rates.js";
import { Roll } from "./roll.js";
import { SizesView } from "./sizes_view.js";
import { Studio } from "./studio.js";
import { backgroundText, deviceText, timeText } from "./wording.js";

/** Pictures may be wrong: that is not said in passing. */
const WARNING_SECONDS = 60;

/** @param {import("../app.js").App} app */
export async function openMake(app) {
  const { announce, client, events, i18n, settings: store, site, toast } = app;
  const frame = new Frame(app);
  const roll = new Roll(app, (exposure) => studio.show(exposure));
  const sizes = new SizesView(i18n, (size) => form.setSize(size));
  const examples = new ExamplesView(i18n, (prompt) => form.suggest(prompt));
  examples.offer(site.examples);
  let asked = 0;
  const form = new Form(app, {
    onSubmit: order,
    onCancel: () => studio.cancel(),
    onForget() {
      queue.forget();
      void studio.forgetPrompts();
    },
    async onSize(picture, width, height) {
      sizes.mark(width, height);
      const number = ++asked;
      const plan = picture && known ? await studio.plan(picture) : null;
      if (number === asked) form.showMemory(plan?.needs ?? null, () => timeText(i18n, plan?.seconds ?? null, form.steps));
    },
  });
  const studio = new Studio(client, chosenManifest(store, site), new Rates(store), {
    form,
    frame,
    roll,
    showModel(info) {
      sizes.offer(info.sizes);
      examples.offer(info.examples);
      tellNotice(info.notice, i18n);
      form.showDefaults(info.defaults);
      known = true;
    },
    showReady(info) {
      rememberChosen(app.settings, manifestPath(info.model));
      showText(element("device", HTMLElement), () => deviceText(i18n, info));
      events.emit("ready", { info });
      if (!info.kernels.kinds.some(({ problem }) => problem !== "")) return;
      toast(i18n.t("make.kernels_wrong"), {
        action: i18n.t("shell.view.diagnosis"), onAction: () => app.navigate("diagnosis"), seconds: WARNING_SECONDS,
      });
    },
    showBackground(state) {
      showText(element("background", HTMLElement), () => backgroundText(i18n, state));
      events.emit("downloading", { downloading: !state.done && state.problem === "" });
    },
    pictureMade(bytes, { seed, prompt, width, height, steps }, seconds) {
      events.emit("picture-made", { png: bytes, settings: { prompt, width, height, steps, seed: `${seed}` }, seconds });
      return URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
    },
    pictureLeft: (url) => URL.revokeObjectURL(url),
    tellBusy,
    keepStorage: () => void navigator.storage?.persist?.(),
  });
  /** Whether the model is known, so that sizes can be planned. */
  let known = false;
  let busy = false;
  const owned = await ownQueue(navigator.locks);
  const queue = new PictureQueue(owned ? await QueueStore.open(store, "queue") : null, showQueue);
  const runner = new QueueRunner(queue, (settings, keepPrompt) => studio.make(settings, keepPrompt), () => {
    showQueue();
    tellBusy(studio.busy);
  });
  const queueView = new QueueView(i18n, {
    onRemove: (id) => queue.remove(id, runner.making?.seed),
    onClear: () => [...queue.orders].forEach(({ id }) => queue.remove(id, runner.making?.id === id ? runner.making.seed : undefined)),
    onPause(paused) {
      queue.paused = paused;
      if (!paused && !studio.busy) void runner.run();
    },
  });

  /** @param {Omit<import("./queue.js").Order, "id">[]} orders */
  function order(orders) {
    if (!queue.add(orders)) return toast(i18n.t("make.queue.full", { most: MAX_PICTURES }));
    if (runner.running || studio.busy) {
      announce(i18n.t("make.queue.added", { count: orders.reduce((sum, { seeds }) => sum + seeds.length, 0) }));
      return;
    }
    queue.paused = false;
    if (runner.held) toast(i18n.t("make.queue.held"));
    else void runner.run();
  }

  function showQueue() {
    queueView.show(queue, runner.making);
  }

  /** Between two pictures of a queue the GPU is not free. @param {boolean} now */
  function tellBusy(now) {
    const next = now || runner.running;
    if (next === busy) return;
    busy = next;
    events.emit("busy", { busy });
    if (busy) return;
    void runner.run();                                                   // what was added while kernels were measured
    void showSizes();
  }

  /** What each offered size needs, one after another and only while nothing else is to be done. */
  async function showSizes() {
    for (const size of sizes.sizes) {
      if (busy) return;
      const plan = await studio.plan({ ...size, steps: form.steps });
      sizes.showNeeds(size, plan, () => form.steps);
    }
    form.tellSize();
  }

  element("reuse", HTMLButtonElement).addEventListener("click", () => {
    if (studio.shown) form.take({ ...studio.shown.settings, seed: `${studio.shown.settings.seed}` });
  });
  element("copy-link", HTMLButtonElement).addEventListener("click", () => {
    if (studio.shown) void copyLink(app, studio.shown.settings);
  });
  events.onState("busy", ({ busy: now }) => runner.hold(now && !busy));  // kernels are being measured or checked
  events.on("model-chosen", ({ manifest }) => void studio.useModel(manifest));
  events.on("models-changed", () => void studio.inspectAgain());
  events.on("use-settings", (settings) => {
    form.take(settings);
    app.navigate("make");
  });
  events.on("language", () => examples.show());
  form.recall();
  const { restored, lost } = queue.recall();
  if (restored > 0) toast(i18n.t("make.queue.restored", { count: restored }));
  if (lost > 0) toast(i18n.t("make.queue.lost", { count: lost }));
  client.inspect(studio.manifestUrl).catch(() => undefined);             // the worker's scripts arrive while the GPU is found
  const { problem, adapter } = await findGpu(navigator.gpu);
  if (problem) return frame.showFailure(problem);
  studio.adapter = adapter;
  if (!(await studio.inspect()) && studio.manifestUrl !== site.manifest) {
    rememberChosen(store, undefined);                                    // neither here nor on the site any more
    await studio.useModel(site.manifest);
  }
  if (!known) return;
  form.setReady();
  /** @type {Promise<import("./loan.js").Loan> | undefined} */
  let loan;
  events.on("lend", (offer) => {
    loan ??= import("./loan_banner.js").then(({ openLoan }) => openLoan(app, studio, runner));
    void loan.then((opened) => opened.take(offer)).catch(reportError);
  });
  form.tellSize();
  void showSizes();
}
