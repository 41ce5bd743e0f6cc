/**
 * The diagnosis below the page: which kernels were chosen on this GPU, how fast they are, which were dropped and why, and a button that
 * measures again. Closed until somebody opens it, or no kernel computes right.
 */

import { element, textElement } from "./elements.js";
import { candidateText, kernelsText } from "./wording.js";

/** @typedef {import("../protocol.js").ReadyInfo} ReadyInfo */

export class KernelsView {
  #details = element("kernels", HTMLDetailsElement);
  #summary = element("kernels-text", HTMLElement);
  #problems = element("kernels-problems", HTMLElement);
  #list = element("kernels-list", HTMLElement);
  #again = element("kernels-again", HTMLButtonElement);

  /** @param {{ onTune: () => void }} actions */
  constructor({ onTune }) {
    this.#again.addEventListener("click", onTune);
  }

  /** @param {ReadyInfo["kernels"]} kernels */
  show(kernels) {
    const { kinds, faults } = kernels;
    const problems = [...kinds.map(({ problem }) => problem), ...faults].filter(Boolean);
    this.#summary.textContent = kernelsText(kernels);
    this.#problems.replaceChildren(...problems.map((problem) => textElement("li", problem)));
    this.#list.replaceChildren(...kinds.flatMap(({ kind, chosen, candidates }) => [
      textElement("dt", kind),
      ...candidates.map((candidate) => {
        const className = candidate.name === chosen ? "kernels__chosen" : "kernels__other";
        return textElement("dd", `${candidate.name}: ${candidateText(candidate)}`, className);
      }),
    ]));
    this.#details.hidden = false;
    this.#details.open ||= kinds.some(({ problem }) => problem !== "");   // pictures may be wrong: nobody should have to look for that
  }

  /** @param {boolean} enabled whether measuring again can begin */
  setEnabled(enabled) {
    this.#again.disabled = !enabled;
  }
}
