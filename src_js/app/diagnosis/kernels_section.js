/**
 * The diagnosis' section about kernels: which were chosen on this GPU and how fast they are, measuring again, and the check of every
 * kernel against its reference.
 */

import { asKleinbildError } from "../../errors.js";
import { element, textElement } from "../elements.js";
import { flopsText } from "../wording.js";
import { fillTable, number } from "./tables.js";
import { workName } from "./work_names.js";

/**
 * @typedef {import("../../protocol.js").ReadyInfo["kernels"]} Kernels
 * @typedef {import("../../protocol.js").SelfCheckReport} SelfCheckReport
 * @typedef {import("./tables.js").Cell} Cell
 */

/** @param {string} id */
const part = (id) => element(`diagnosis-${id}`, HTMLElement);

export class KernelsSection {
  #check = element("diagnosis-check", HTMLButtonElement);
  #cancel = element("diagnosis-check-cancel", HTMLButtonElement);
  #bar = element("diagnosis-check-bar", HTMLProgressElement);
  #again = element("kernels-again", HTMLButtonElement);
  #results = element("diagnosis-check-results", HTMLDetailsElement);
  #busy = false;
  #checking = false;
  #started = false;
  #gpu = false;
  #i18n;

  /**
   * @param {import("../i18n.js").I18n} i18n
   * @param {{ onCheck: () => void, onCancel: () => void, onTune: () => void }} actions
   */
  constructor(i18n, { onCheck, onCancel, onTune }) {
    this.#i18n = i18n;
    this.#check.addEventListener("click", onCheck);
    this.#cancel.addEventListener("click", onCancel);
    this.#again.addEventListener("click", onTune);
  }

  /** @param {{ busy?: boolean, started?: boolean, gpu?: boolean }} state busy: the GPU is at work; started: a model is on it */
  setState({ busy = this.#busy, started = this.#started, gpu = this.#gpu }) {
    [this.#busy, this.#started, this.#gpu] = [busy, started, gpu];
    this.#again.disabled = busy || !started;
    this.#check.disabled = busy || !gpu;
    element("kernels-again-note", HTMLElement).hidden = started;
    part("measure").hidden = !gpu;
    part("check-part").hidden = !gpu;
  }

  /** @param {Kernels | null} kernels what was measured, null: nothing yet @param {SelfCheckReport | null} check */
  show(kernels, check) {
    this.#showKernels(kernels);
    const faults = [...new Set([...(kernels?.faults ?? []), ...(check?.faults ?? [])])];
    part("compiler").textContent = !kernels && !check ? "" : this.#t(faults.length > 0 ? "kernels.compiler_fault" : "kernels.compiler_good");
    part("faults").replaceChildren(...faults.map((fault) => textElement("li", fault)));
    if (!this.#checking) this.#showCheck(check);
  }

  /** @param {number} done @param {number} total kernels */
  showProgress(done, total) {
    this.#checking = true;
    part("check-progress").hidden = false;
    this.#cancel.hidden = false;
    this.#bar.value = total > 0 ? done / total : 0;
    part("check-count").textContent = this.#t("check.progress", { done, total });
    if (done === 0) part("check-text").textContent = this.#t("check.running");
    this.#results.hidden = true;
  }

  /** @param {unknown} [error] why the check ended early */
  endProgress(error) {
    this.#checking = false;
    part("check-progress").hidden = true;
    if (document.activeElement === this.#cancel) this.#check.focus();
    this.#cancel.hidden = true;
    if (error === undefined) return;
    const { code, message } = asKleinbildError(error);
    part("check-text").textContent = code === "cancelled" ? this.#t("check.cancelled") : this.#t("check.failed", { reason: message });
  }

  /** @param {Kernels | null} kernels */
  #showKernels(kernels) {
    const kinds = kernels?.kinds ?? [];
    const candidates = kinds.flatMap((kind) => kind.candidates.map((candidate) => ({ ...candidate, kind: kind.kind, chosen: candidate.name === kind.chosen })));
    const timed = candidates.some(({ tflops }) => tflops > 0);
    part("kernels-text").textContent = !kernels ? this.#t("kernels.unmeasured") : !timed ? this.#t("kernels.untimed")
      : this.#t("kernels.measured", { count: candidates.length, duration: this.#i18n.duration(kernels.seconds) });
    const speed = (/** @type {typeof candidates[number]} */ { dropped, tflops }) => (
      dropped ? this.#t("kernels.left_out") : tflops > 0 ? flopsText(tflops) : this.#t("kernels.not_timed"));
    const row = (/** @type {typeof candidates[number]} */ one, /** @type {string} */ mark) => [
      workName(this.#i18n, one.kind), { text: one.name, code: true }, number([speed(one), mark].filter(Boolean).join(", ")),
      one.dropped ? { text: one.dropped, code: true, className: "facts__wrap" } : number(errorText(one.error)),
    ];
    const shapes = kinds.flatMap((kind) => kind.shapes.flatMap((shape) => (
      shape.candidates.filter(({ name }) => name === shape.chosen).map((candidate) => ({ ...candidate, kind: shape.kind, chosen: true })))));
    const chosen = [...candidates.filter((one) => one.chosen), ...shapes];
    part("chosen").hidden = chosen.length === 0;
    part("candidates").hidden = candidates.length <= chosen.length;
    fillTable(part("chosen-rows"), chosen.map((one) => row(one, "")));
    fillTable(part("candidates-rows"), candidates.map((one) => row(one, one.chosen ? this.#t("kernels.chosen") : "")));
  }

  /** @param {SelfCheckReport | null} check */
  #showCheck(check) {
    this.#results.hidden = !check;
    if (!check) return;
    const duration = this.#i18n.duration(check.seconds);
    const bad = check.checks.filter(({ error, limit, problem }) => problem !== "" || error > limit).length;
    const total = check.checks.length;
    part("check-text").textContent = bad > 0
      ? this.#t("check.some_wrong", { count: bad, total, duration }) : this.#t("check.all_right", { count: total, duration });
    this.#results.open ||= bad > 0;
    fillTable(part("check-rows"), check.checks.map(({ kind, name, chosen, error, limit, problem }) => {
      const result = problem !== "" ? "not_run" : error > limit ? "wrong" : "right";
      const words = [this.#t(`check.${result}`), chosen && name ? this.#t("kernels.chosen") : ""].filter(Boolean).join(", ");
      return [
        workName(this.#i18n, kind), { text: name || "–", code: true }, { text: words, className: result === "right" ? "" : "facts__bad" },
        problem !== "" ? { text: problem, code: true, className: "facts__wrap" }
          : number(this.#t("check.error_of", { error: errorText(error), limit: errorText(limit) })),
      ];
    }));
  }

  /** @param {string} key @param {Record<string, string | number>} [values] */
  #t(key, values = {}) {
    return this.#i18n.t(`diagnosis.${key}`, values);
  }
}

/** @param {number} error relative @returns {string} as engineers write it, the same in every language */
function errorText(error) {
  return error === 0 ? "0" : error.toExponential(1);
}
