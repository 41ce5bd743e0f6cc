/**
 * The diagnosis: looks at machine and browser when it is shown, says what is in the way and what to do, checks kernels, and gives all of
 * it as text. It works where nothing else does: without WebGPU, without a GPU, without storage.
 */

import { element } from "../elements.js";
import { showText } from "../localise.js";
import { readMemoryBudget, recallSettings } from "../make/settings.js";
import { collectFacts } from "./facts.js";
import { showFacts } from "./facts_view.js";
import { findingsOf, verdict } from "./findings.js";
import { showFindings } from "./findings_view.js";
import { KernelsSection } from "./kernels_section.js";
import { reportText } from "./report.js";

/** @typedef {import("./facts.js").Facts} Facts */

/** @param {import("../app.js").App} app */
export async function openDiagnosis(app) {
  const view = new Diagnosis(app);
  app.events.onState("busy", ({ busy }) => view.setBusy(busy));
  app.events.onState("ready", ({ info }) => view.showReady(info));
  app.events.on("language", () => view.render());
  app.events.on("route", ({ view: shown }) => {
    if (shown === "diagnosis") void view.look();
  });
}

class Diagnosis {
  /** @type {Facts | undefined} */
  #facts;
  /** @type {import("../../protocol.js").SelfCheckReport | null} */
  #check = null;
  #looking = false;
  #copy = element("diagnosis-copy", HTMLButtonElement);
  #kernels;
  #app;

  /** @param {import("../app.js").App} app */
  constructor(app) {
    this.#app = app;
    this.#kernels = new KernelsSection(app.i18n, {
      onCheck: () => void this.checkKernels(),
      onCancel: () => app.client.cancel(),
      onTune: () => void this.measureAgain(),
    });
    element("diagnosis-again", HTMLButtonElement).addEventListener("click", () => void this.look());
    this.#copy.addEventListener("click", () => void this.copyReport());
  }

  /** @param {boolean} busy whether the GPU is at work */
  setBusy(busy) {
    this.#kernels.setState({ busy });
  }

  /** @param {import("../../protocol.js").ReadyInfo} info of the model that was started or measured */
  showReady({ kernels }) {
    this.#kernels.setState({ started: true });
    if (!this.#facts) return;
    this.#facts = { ...this.#facts, kernels };
    this.render();
  }

  /** Collects the facts and shows them. */
  async look() {
    if (this.#looking) return;
    this.#looking = true;
    const { client, site, settings } = this.#app;
    try {
      const facts = await collectFacts({
        client, manifestUrl: site.manifest, navigator, window,
        versions: { version: element("view-diagnosis", HTMLElement).dataset["version"] ?? "", build: site.build },
        memoryBudget: readMemoryBudget(recallSettings(settings).memory ?? "").bytes,
      });
      this.#facts = { ...facts, check: this.#check, kernels: facts.kernels ?? this.#facts?.kernels ?? null };
    } finally {
      this.#looking = false;
    }
    this.render();
  }

  /** Shows what is known, in the language of the moment. */
  render() {
    const facts = this.#facts;
    if (!facts) return;
    const { i18n } = this.#app;
    const findings = findingsOf(facts);
    const level = verdict(findings);
    const line = element("diagnosis-verdict", HTMLElement);
    line.dataset["level"] = level;
    line.removeAttribute("data-t");
    showText(line, () => i18n.t(`diagnosis.verdict.${level}`));
    showFindings(element("diagnosis-findings", HTMLElement), findings, i18n);
    showFacts(facts, i18n);
    this.#kernels.setState({ gpu: facts.adapter !== null });
    this.#kernels.show(facts.kernels, facts.check);
    element("diagnosis-sections", HTMLElement).hidden = false;
    this.#copy.disabled = false;
  }

  /** Runs every kernel against its reference. */
  async checkKernels() {
    const { client, site, events } = this.#app;
    events.emit("busy", { busy: true });
    this.#kernels.showProgress(0, 0);
    let failure;
    try {
      this.#check = await client.selfCheck({ manifestUrl: site.manifest, precision: "auto" }, ({ step, steps }) => (
        this.#kernels.showProgress(step, steps)));
    } catch (error) {
      failure = error;
    }
    events.emit("busy", { busy: false });
    this.#kernels.endProgress(failure);
    if (failure !== undefined || !this.#facts) return;
    this.#facts = { ...this.#facts, check: this.#check };
    this.render();
  }

  /** Measures the kernels of the started model again. */
  async measureAgain() {
    const { client, events, i18n, toast } = this.#app;
    events.emit("busy", { busy: true });
    try {
      events.emit("ready", { info: await client.tune() });
    } catch (error) {
      toast(i18n.t("diagnosis.check.failed", { reason: error instanceof Error ? error.message : String(error) }));
    } finally {
      events.emit("busy", { busy: false });
    }
  }

  /** Puts the report into the clipboard, or where the browser forbids that, on the page. */
  async copyReport() {
    if (!this.#facts) return;
    const { i18n, toast } = this.#app;
    const text = reportText(this.#facts);
    try {
      await navigator.clipboard.writeText(text);
      toast(i18n.t("diagnosis.copied"));
    } catch {
      const area = element("diagnosis-report", HTMLTextAreaElement);
      element("diagnosis-report-field", HTMLElement).hidden = false;
      area.value = text;
      area.focus();
      area.select();
      area.scrollTop = 0;
      toast(i18n.t("diagnosis.not_copied"));
    }
  }
}
