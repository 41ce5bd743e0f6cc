/**
 * Prompts to begin with: those that the model suggests, else some general ones in the page's language. A few at a time.
 */

import { element, textElement } from "../elements.js";

const SHOWN = 3;
/** As many as the catalogues have: make.example.1 and so on. */
const GENERAL = 6;

export class ExamplesView {
  #list = element("examples", HTMLElement);
  #more = element("examples-more", HTMLButtonElement);
  #i18n;
  #onChoose;
  /** @type {readonly string[]} */
  #suggested = [];
  #first = 0;

  /** @param {import("../i18n.js").I18n} i18n @param {(prompt: string) => void} onChoose */
  constructor(i18n, onChoose) {
    this.#i18n = i18n;
    this.#onChoose = onChoose;
    this.#more.addEventListener("click", () => {
      this.#first += SHOWN;
      this.show();
    });
  }

  /** @param {readonly string[]} prompts of the model; none: the general ones */
  offer(prompts) {
    this.#suggested = prompts;
    this.#first = 0;
    this.show();
  }

  /** Shows them in the page's language. */
  show() {
    const all = this.#suggested.length > 0 ? this.#suggested : Array.from({ length: GENERAL }, (_, i) => this.#i18n.t(`make.example.${i + 1}`));
    const shown = Array.from({ length: Math.min(SHOWN, all.length) }, (_, i) => all[(this.#first + i) % all.length] ?? "");
    this.#list.replaceChildren(...shown.map((prompt) => {
      const item = document.createElement("li");
      const button = textElement("button", prompt, "example");
      button.type = "button";
      button.dir = "auto";
      button.addEventListener("click", () => this.#onChoose(prompt));
      item.append(button);
      return item;
    }));
    element("prompt", HTMLTextAreaElement).placeholder = all.at(-1) ?? "";
    this.#more.hidden = all.length <= SHOWN;
  }
}
