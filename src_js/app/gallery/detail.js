/**
 * One picture of the gallery, large, with what is known of it and what can be done with it.
 */

import { element, textElement } from "../elements.js";
import { showText } from "../localise.js";
import { download } from "./export.js";
import { downloadName, factsOf } from "./wording.js";

/** @typedef {import("../../gallery/entry.js").Entry} Entry */
/** @typedef {import("../../image/picture_text.js").PictureFile} PictureFile */

/** The sizes that a picture is made again in, in order of their pixels. */
const SIZES = [[256, 256], [512, 512], [768, 512], [512, 768], [768, 768], [1024, 768], [768, 1024], [1024, 1024]];

/** Of the picture's alternative text; the whole prompt stands beside it. */
const MAX_ALT = 300;

/**
 * @typedef {object} Shown
 * @property {Entry} entry
 * @property {File | null} file null when it is gone, or cannot be read
 * @property {PictureFile | null} about null when it cannot be read
 */

/**
 * @typedef {object} DetailActions
 * @property {(file: PictureFile, size?: { width: number, height: number }) => void} onUse
 * @property {(file: PictureFile) => void} onCopyLink
 * @property {(id: string) => void} onDelete
 * @property {(step: -1 | 1) => void} onStep to the picture before, which is newer, or behind
 * @property {() => void} onBack
 */

export class Detail {
  #panel = element("gallery-detail", HTMLElement);
  #title = element("gallery-detail-title", HTMLElement);
  #image = element("gallery-detail-image", HTMLImageElement);
  #note = element("gallery-detail-note", HTMLElement);
  #prompt = element("gallery-detail-prompt", HTMLElement);
  #facts = element("gallery-detail-facts", HTMLElement);
  #use = element("gallery-use", HTMLButtonElement);
  #other = element("gallery-other-size", HTMLDetailsElement);
  #sizes = element("gallery-sizes", HTMLElement);
  #link = element("gallery-link", HTMLButtonElement);
  #download = element("gallery-download", HTMLButtonElement);
  #newer = element("gallery-newer", HTMLButtonElement);
  #older = element("gallery-older", HTMLButtonElement);
  #i18n;
  #actions;
  #url = "";
  /** @type {Shown | null} */
  #shown = null;

  /** @param {import("../i18n.js").I18n} i18n @param {DetailActions} actions */
  constructor(i18n, actions) {
    this.#i18n = i18n;
    this.#actions = actions;
    const about = (/** @type {(file: PictureFile) => void} */ act) => () => {
      if (this.#shown?.about) act(this.#shown.about);
    };
    this.#use.addEventListener("click", about((file) => actions.onUse(file)));
    this.#link.addEventListener("click", about((file) => actions.onCopyLink(file)));
    this.#download.addEventListener("click", () => {
      const { file, about: told, entry } = this.#shown ?? {};
      if (file && entry) download(file, downloadName({ width: entry.width, height: entry.height, seed: told?.text?.seed ?? "" }));
    });
    element("gallery-delete-one", HTMLButtonElement).addEventListener("click", () => this.#delete());
    element("gallery-back", HTMLButtonElement).addEventListener("click", () => actions.onBack());
    this.#newer.addEventListener("click", () => actions.onStep(-1));
    this.#older.addEventListener("click", () => actions.onStep(1));
    this.#panel.addEventListener("keydown", (event) => this.#onKey(event));
    this.#image.addEventListener("error", () => this.#showNote());
  }

  get id() {
    return this.#shown?.entry.id;
  }

  /**
   * @param {Shown} shown
   * @param {{ index: number, count: number }} place of the picture in the gallery
   */
  show(shown, { index, count }) {
    const { file, about } = shown;
    const t = this.#i18n.t.bind(this.#i18n);
    this.close();
    this.#shown = shown;
    this.#panel.hidden = false;
    this.#url = file ? URL.createObjectURL(file) : "";
    showText(this.#title, () => t("gallery.detail.title", { number: index + 1, count }));
    this.#image.hidden = this.#note.hidden = false;
    this.#image.src = this.#url;
    this.#image.alt = (about?.text?.prompt ?? "").slice(0, MAX_ALT);
    this.#image.width = about?.width ?? 0;
    this.#image.height = about?.height ?? 0;
    this.#panel.style.setProperty("--picture-width", `${about?.width ?? 3}`);
    this.#panel.style.setProperty("--picture-height", `${about?.height ?? 2}`);
    if (file && about) this.#note.hidden = true;
    else this.#showNote();
    const prompt = about?.text?.prompt.trim();
    showText(this.#prompt, prompt ? prompt : () => t("gallery.no_prompt"));
    this.#prompt.classList.toggle("detail__prompt--none", !prompt);
    this.#showFacts(shown);
    this.#showSizes(about);
    const told = Boolean(about?.text);
    this.#use.disabled = this.#link.disabled = !told;
    this.#other.hidden = !about?.text?.seed;
    this.#download.disabled = !file;
    this.#newer.disabled = index === 0;
    this.#older.disabled = index >= count - 1;
  }

  /** Puts the focus where reading begins. */
  focus() {
    this.#title.focus({ preventScroll: true });
    scrollTo(0, 0);
  }

  close() {
    this.#panel.hidden = true;
    this.#other.open = false;
    this.#shown = null;
    this.#image.removeAttribute("src");
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = "";
  }

  #showNote() {
    if (!this.#shown) return;
    this.#image.hidden = true;
    this.#note.hidden = false;
  }

  /** @param {Shown} shown */
  #showFacts({ entry, about }) {
    const facts = () => factsOf(this.#i18n, entry, about);
    this.#facts.replaceChildren(...facts().map((_, i) => {
      const pair = textElement("div", "", "detail__fact");
      const [label, cell, value] = [document.createElement("dt"), document.createElement("dd"), document.createElement("bdi")];
      showText(label, () => facts()[i]?.[0] ?? "");
      showText(value, () => facts()[i]?.[1] ?? "");
      cell.append(value);
      pair.append(label, cell);
      return pair;
    }));
  }

  /** @param {PictureFile | null} about */
  #showSizes(about) {
    this.#sizes.replaceChildren(...SIZES.filter(([width, height]) => width !== about?.width || height !== about?.height).map(([width = 0, height = 0]) => {
      const button = textElement("button", `${width} \u00d7 ${height}`, "button");
      button.type = "button";
      button.dir = "ltr";
      button.addEventListener("click", () => {
        if (about) this.#actions.onUse(about, { width, height });
      });
      return button;
    }));
  }

  #delete() {
    if (this.#shown) this.#actions.onDelete(this.#shown.entry.id);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const { key, ctrlKey, altKey, metaKey } = event;
    if (ctrlKey || altKey || metaKey) return;
    const forwards = this.#i18n.direction === "rtl" ? "ArrowLeft" : "ArrowRight";
    if (key === "Escape") this.#actions.onBack();
    else if (key === "Delete") this.#delete();
    else if (key === "ArrowLeft" || key === "ArrowRight") this.#actions.onStep(key === forwards ? 1 : -1);
    else return;
    event.preventDefault();
  }
}
