/**
 * The diagnosis below the page: which kernels were chosen on this GPU, how fast they are, which were dropped and why, and a button that
 * measures again. Closed until somebody opens it, or no kernel computes right.
 */

import { element, textElement } from "../elements.js";
import { showText } from "../localise.js";
import { candidateText, kernelsText, shapeText } from "./wording.js";

/** @typedef {import("../../protocol.js").ReadyInfo} ReadyInfo */

export class KernelsView {
  #details = element("kernels", HTMLDetailsElement);
  #summary = element("kernels-text", HTMLElement);
  #problems = element("kernels-problems", HTMLElement);
  #list = element("kernels-list", HTMLElement);
  #again = element("kernels-again", HTMLButtonElement);

  #i18n;

  /** @param {import("../i18n.js").I18n} i18n @param {{ onTune: () => void }} actions */
  constructor(i18n, { onTune }) {
    this.#i18n = i18n;
    this.#again.addEventListener("click", onTune);
  }

  /** @param {ReadyInfo["kernels"]} kernels */
  show(kernels) {
    const { kinds, faults } = kernels;
    const problems = [...kinds.map(({ problem }) => problem), ...faults].filter(Boolean);
    showText(this.#summary, () => kernelsText(this.#i18n, kernels));
    this.#problems.replaceChildren(...problems.map((problem) => textElement("li", problem)));
    this.#list.replaceChildren(...kinds.flatMap(({ kind, chosen, candidates, shapes }) => [
      textElement("dt", kind),
      ...candidates.map((candidate) => this.#line("", candidate, candidate.name === chosen)),
      ...shapes.flatMap((shape) => shape.candidates.slice(0, 1).map((best) => this.#line(`${shapeText(shape.kind, kind)}: `, best, true))),
    ]));
    this.#details.hidden = false;
    this.#details.open ||= kinds.some(({ problem }) => problem !== "");   // pictures may be wrong: nobody should have to look for that
  }

  /**
   * @param {string} before in front of the candidate's name @param {ReadyInfo["kernels"]["kinds"][number]["candidates"][number]} candidate
   * @param {boolean} chosen
   */
  #line(before, candidate, chosen) {
    const line = textElement("dd", "", chosen ? "kernels__chosen" : "kernels__other");
    showText(line, () => `${before}${candidate.name}: ${candidateText(this.#i18n, candidate)}`);
    return line;
  }

  /** @param {boolean} enabled whether measuring again can begin */
  setEnabled(enabled) {
    this.#again.disabled = !enabled;
  }
}
