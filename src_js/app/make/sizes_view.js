/**
 * The sizes that suit the model as buttons by shape, each with what it needs of the GPU's memory and, once that is known, how long it
 * takes. The packager writes the first ones into the page; another model brings others.
 */

import { element, textElement } from "../elements.js";
import { showText } from "../localise.js";
import { pictureSeconds } from "./rates.js";
import { roughDuration } from "./wording.js";

/** @typedef {{ width: number, height: number }} Size */
/** @typedef {import("../../protocol.js").MemoryNeeds} MemoryNeeds */
/** @typedef {import("./stage_clock.js").StageSeconds} StageSeconds */

const SVG = "http://www.w3.org/2000/svg";
const ICON_SIDE = 22;

export class SizesView {
  #group = element("formats", HTMLElement);
  #i18n;
  #onChoose;

  /** @param {import("../i18n.js").I18n} i18n @param {(size: Size) => void} onChoose */
  constructor(i18n, onChoose) {
    this.#i18n = i18n;
    this.#onChoose = onChoose;
    this.#group.addEventListener("click", ({ target }) => {
      const button = target instanceof Element ? target.closest("button") : null;
      if (button) this.#onChoose(sizeOf(button));
    });
  }

  /** @returns {Size[]} */
  get sizes() {
    return this.#buttons.map(sizeOf);
  }

  /** @param {readonly Size[]} sizes none: those that are shown stay */
  offer(sizes) {
    const names = sizes.map(formatName);
    if (sizes.length === 0 || names.join() === this.sizes.map(formatName).join()) return;
    const largest = Math.max(...sizes.flatMap(({ width, height }) => [width, height]));
    this.#group.replaceChildren(...sizes.map((size) => makeButton(size, largest)));
  }

  /** @param {string} width @param {string} height what the fields hold */
  mark(width, height) {
    for (const button of this.#buttons) button.setAttribute("aria-pressed", String(button.dataset["format"] === `${width}x${height}`));
  }

  /**
   * @param {Size} size
   * @param {{ needs: MemoryNeeds, seconds: StageSeconds | null } | null} plan null: not known; seconds: null before anything was measured
   * @param {() => number} steps
   */
  showNeeds(size, plan, steps) {
    const button = this.#buttons.find((one) => one.dataset["format"] === formatName(size));
    if (!button) return;
    const memory = /** @type {HTMLElement} */ (button.querySelector(".format__memory"));
    const time = /** @type {HTMLElement} */ (button.querySelector(".format__time"));
    const { needs, seconds } = plan ?? { needs: null, seconds: null };
    const refused = Boolean(needs?.refusal);
    button.classList.toggle("format--refused", refused);
    showText(memory, needs ? () => this.#memory(needs) : "");
    showText(time, refused || !seconds ? "" : () => roughDuration(this.#i18n, pictureSeconds(seconds, steps())));
  }

  /** @param {MemoryNeeds} needs */
  #memory({ refusal, whole, least, budget }) {
    return refusal ? this.#i18n.t("make.format.too_large") : this.#i18n.bytes(whole <= budget ? whole : least);
  }

  get #buttons() {
    return [...this.#group.querySelectorAll("button")];
  }
}

/** @param {Size} size */
function formatName({ width, height }) {
  return `${width}x${height}`;
}

/** @param {HTMLElement} button @returns {Size} */
function sizeOf(button) {
  const [width = 0, height = 0] = (button.dataset["format"] ?? "").split("x").map(Number);
  return { width, height };
}

/** @param {Size} size @param {number} largest side of all @returns {HTMLButtonElement} as index.html has them */
function makeButton({ width, height }, largest) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset["format"] = `${width}x${height}`;
  button.setAttribute("aria-pressed", "false");
  const icon = document.createElementNS(SVG, "svg");
  const shape = document.createElementNS(SVG, "rect");
  const [w, h] = [(ICON_SIDE * width) / largest, (ICON_SIDE * height) / largest];
  for (const [name, value] of Object.entries({ viewBox: "0 0 24 24", "aria-hidden": "true" })) icon.setAttribute(name, value);
  for (const [name, value] of Object.entries({ x: 12 - w / 2, y: 12 - h / 2, width: w, height: h, rx: 1.5 })) shape.setAttribute(name, String(value));
  icon.append(shape);
  const name = textElement("span", `${width} \u00d7 ${height}`, "format__size");
  name.dir = "ltr";
  button.append(icon, name, textElement("span", "", "format__memory"),
    textElement("span", "", "format__time"));
  return button;
}
