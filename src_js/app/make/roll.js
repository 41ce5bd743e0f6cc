/**
 * The roll: the pictures of this visit as a strip of small frames; choosing one shows it again. Nothing of it
 * outlives the visit, and the oldest go first, so that memory stays bounded.
 */

import { element } from "../elements.js";
import { showText } from "../localise.js";

/** @typedef {import("./frame.js").Exposure} Exposure */

const MAX_EXPOSURES = 36;

export class Roll {
  #section = element("roll", HTMLElement);
  #list = element("roll-list", HTMLElement);
  #onChoose;
  #i18n;
  /** @type {{ exposure: Exposure, item: HTMLElement, button: HTMLButtonElement }[]} */
  #entries = [];
  #count = 0;

  /** @param {import("../i18n.js").I18n} i18n @param {(exposure: Exposure) => void} onChoose */
  constructor(i18n, onChoose) {
    this.#i18n = i18n;
    this.#onChoose = onChoose;
  }

  /** The number that the next picture gets. */
  get next() {
    return this.#count + 1;
  }

  /** @param {Exposure} exposure */
  add(exposure) {
    this.#count += 1;
    const item = document.createElement("li");
    const button = document.createElement("button");
    const image = document.createElement("img");
    button.type = "button";
    button.className = "roll__frame";
    const { number, settings: { prompt } } = exposure;
    showText(button, () => this.#i18n.t("make.roll.picture", { number, prompt }), "aria-label");
    image.src = exposure.url;
    image.alt = "";
    button.append(image);
    button.addEventListener("click", () => this.#onChoose(exposure));
    item.append(button);
    this.#list.prepend(item);
    this.#entries.push({ exposure, item, button });
    if (this.#entries.length > MAX_EXPOSURES) {
      const oldest = this.#entries.shift();
      oldest?.item.remove();
      if (oldest) URL.revokeObjectURL(oldest.exposure.url);
    }
    this.#section.hidden = this.#entries.length < 2;
  }

  /** @param {Exposure | null} current the one that the frame shows */
  mark(current) {
    for (const { exposure, button } of this.#entries) {
      if (exposure === current) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }

  /** @param {boolean} enabled while a picture is being made the frame shows its progress */
  setEnabled(enabled) {
    for (const { button } of this.#entries) button.disabled = !enabled;
  }
}
