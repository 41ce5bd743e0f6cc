/**
 * The screens that show a picture: while it is made, with its previews, and when it is there, with the way to take it home.
 */

import { element } from "../elements.js";
import { showText } from "../localise.js";
import { drawQr } from "./qr_view.js";

/** @typedef {import("../../protocol.js").Progress} Progress */
/** @typedef {import("./visit.js").Preview} Preview */
/** @typedef {import("./visit.js").Made} Made */
/** @typedef {(key: string, values?: Record<string, string | number>) => string} Translate */

export class MakingView {
  #canvas = element("preview", HTMLCanvasElement);
  #bar = element("making-bar", HTMLProgressElement);
  #text = element("making-text", HTMLElement);
  #said = "";

  /** @param {{ t: Translate, announce: (text: string) => void }} parts */
  constructor(parts) {
    this.parts = parts;
  }

  /** @param {{ prompt: string, width: number, height: number }} settings */
  begin({ prompt, width, height }) {
    element("making-prompt", HTMLElement).textContent = prompt;
    shape(this.#canvas, width, height);
    this.clear();
    this.#bar.removeAttribute("value");
    this.#say(() => this.parts.t("kiosk.starting.title"));
  }

  /** Nothing of the picture is left. */
  clear() {
    this.#canvas.width = this.#canvas.height = 1;
    this.#said = "";
  }

  /** @param {Progress} progress */
  progress({ stage, step, steps, fraction }) {
    this.#bar.value = fraction;
    if (stage === "transformer") this.#say(() => this.parts.t("kiosk.making.transformer", { step: Math.min(step + 1, steps), steps }));
    else if (stage === "text_encoder" || stage === "vae_decoder") this.#say(() => this.parts.t(`kiosk.making.${stage}`));
    else this.#say(() => this.parts.t("kiosk.starting.title"));
  }

  again() {
    this.#say(() => this.parts.t("kiosk.making.again"));
  }

  /** @param {Preview} preview */
  preview({ width, height, rgba }) {
    this.#canvas.width = width;
    this.#canvas.height = height;
    this.#canvas.getContext("2d")?.putImageData(new ImageData(rgba, width, height), 0, 0);
  }

  /** @param {() => string} words */
  #say(words) {
    showText(this.#text, words);
    const text = words();
    if (text !== this.#said) this.parts.announce((this.#said = text));
  }
}

export class ResultView {
  #picture = element("picture", HTMLImageElement);
  #panel = element("take-panel", HTMLElement);
  #button = element("take", HTMLButtonElement);
  #message = element("take-message", HTMLElement);
  /** @type {Made | null} */
  #made = null;

  /**
   * @param {{ takeHome: { qr: boolean } | null, t: Translate, upload: (png: Uint8Array<ArrayBuffer>) => Promise<string> }} parts
   */
  constructor(parts) {
    this.parts = parts;
    this.#button.addEventListener("click", () => void this.#take());
  }

  get made() {
    return this.#made;
  }

  /** @param {Made} made */
  show(made) {
    this.clear();
    this.#made = made;
    const { prompt, width, height } = made.settings;
    shape(this.#picture, width, height);
    this.#picture.src = URL.createObjectURL(new Blob([made.png], { type: "image/png" }));
    this.#picture.alt = prompt;
    element("result-prompt", HTMLElement).textContent = prompt;
    this.#button.hidden = this.parts.takeHome === null;
  }

  /** Nothing of the picture is left. */
  clear() {
    if (this.#picture.src.startsWith("blob:")) URL.revokeObjectURL(this.#picture.src);
    this.#picture.removeAttribute("src");
    this.#picture.alt = "";
    this.#made = null;
    this.#panel.hidden = true;
    this.#message.textContent = "";
    element("qr", SVGSVGElement).replaceChildren();
    element("take-url", HTMLElement).textContent = "";
    element("result-prompt", HTMLElement).textContent = "";
  }

  async #take() {
    const made = this.#made;
    if (!made || !this.parts.takeHome) return;
    this.#button.disabled = true;
    this.#message.textContent = "";
    try {
      const url = await this.parts.upload(made.png);
      if (made !== this.#made) return;
      const { qr } = this.parts.takeHome;
      const code = element("qr", SVGSVGElement);
      code.toggleAttribute("hidden", !qr);
      if (qr) drawQr(code, url);
      showText(element("take-text", HTMLElement), () => this.parts.t(qr ? "kiosk.result.scan" : "kiosk.result.address"));
      element("take-url", HTMLElement).textContent = url;
      this.#panel.hidden = false;
      this.#button.hidden = true;
    } catch {
      this.#message.textContent = this.parts.t("kiosk.result.take_failed");
    } finally {
      this.#button.disabled = false;
    }
  }
}

/** @param {HTMLElement} picture @param {number} width @param {number} height */
function shape(picture, width, height) {
  picture.parentElement?.style.setProperty("--picture-width", String(width));
  picture.parentElement?.style.setProperty("--picture-height", String(height));
}
