/**
 * Two pictures of the gallery: side by side, one over the other with a slider between them, or one fading into the other; and where their
 * settings differ.
 */

import { element } from "../elements.js";
import { showText } from "../localise.js";
import { settingsOf } from "./wording.js";

/** @typedef {import("./detail.js").Shown} Shown */
/** @typedef {"beside"|"slider"|"fade"} Mode */

/** Of the table; the whole of a long one stands with the picture itself. */
const MAX_PROMPT = 2000;
/** Of a picture's alternative text. */
const MAX_ALT = 300;

export class Compare {
  #panel = element("gallery-compared", HTMLElement);
  #title = element("gallery-compared-title", HTMLElement);
  #stage = element("gallery-compared-stage", HTMLElement);
  #images = [element("gallery-compared-first", HTMLImageElement), element("gallery-compared-second", HTMLImageElement)];
  #range = element("gallery-compared-range", HTMLInputElement);
  #rangeLabel = element("gallery-compared-range-label", HTMLElement);
  #slide = element("gallery-compared-slide", HTMLElement);
  #table = element("gallery-compared-facts", HTMLTableSectionElement);
  #modes = /** @type {HTMLInputElement[]} */ ([...this.#panel.querySelectorAll("input[name=gallery-compare-mode]")]);
  #i18n;
  /** @type {string[]} */
  #urls = [];

  /** @param {import("../i18n.js").I18n} i18n @param {{ onBack: () => void }} actions */
  constructor(i18n, { onBack }) {
    this.#i18n = i18n;
    element("gallery-compared-back", HTMLButtonElement).addEventListener("click", onBack);
    for (const mode of this.#modes) mode.addEventListener("change", () => this.#showMode());
    this.#range.addEventListener("input", () => this.#showShare());
    this.#panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      onBack();
    });
  }

  /** @param {[Shown, Shown]} pictures whose files can be read */
  show(pictures) {
    this.close();
    this.#panel.hidden = false;
    pictures.forEach(({ file, about }, i) => {
      const image = this.#images[i];
      if (!image || !file) return;
      const url = URL.createObjectURL(file);
      this.#urls.push(url);
      image.src = url;
      showText(image, () => this.#i18n.t("gallery.compare.picture", { number: i + 1, prompt: (about?.text?.prompt ?? "").slice(0, MAX_ALT) }), "alt");
    });
    const widest = pictures.map(({ entry }) => entry).sort((a, b) => b.width / b.height - a.width / a.height)[0];
    this.#panel.style.setProperty("--picture-width", `${widest?.width ?? 1}`);
    this.#panel.style.setProperty("--picture-height", `${widest?.height ?? 1}`);
    this.#showFacts(pictures);
    this.#showMode();
  }

  focus() {
    this.#title.focus({ preventScroll: true });
    scrollTo(0, 0);
  }

  close() {
    this.#panel.hidden = true;
    for (const image of this.#images) image.removeAttribute("src");
    for (const url of this.#urls) URL.revokeObjectURL(url);
    this.#urls = [];
  }

  #showMode() {
    const mode = /** @type {Mode} */ (this.#modes.find(({ checked }) => checked)?.value ?? "beside");
    this.#stage.dataset["mode"] = mode;
    this.#slide.hidden = mode === "beside";
    // The slider's knob stands below the edge between the pictures, so it tells how much of the first is to be seen.
    showText(this.#rangeLabel, () => this.#i18n.t(mode === "slider" ? "gallery.compare.share_first" : "gallery.compare.share_second"));
    this.#showShare();
  }

  #showShare() {
    this.#stage.style.setProperty("--share", `${Number(this.#range.value) / 100}`);
    showText(this.#range, () => this.#i18n.percent(Number(this.#range.value) / 100), "aria-valuetext");
  }

  /** @param {[Shown, Shown]} pictures */
  #showFacts(pictures) {
    const rows = () => {
      const columns = pictures.map(({ about }) => new Map([
        [this.#i18n.t("gallery.setting.prompt"), (about?.text?.prompt.trim() ?? "").slice(0, MAX_PROMPT)],
        ...(about ? settingsOf(this.#i18n, about) : []),
      ]));
      const labels = [...new Set(columns.flatMap((column) => [...column.keys()]))];
      return labels.map((label) => [label, ...columns.map((column) => column.get(label) ?? "")]);
    };
    this.#table.replaceChildren(...rows().map((cells, row) => {
      const line = document.createElement("tr");
      line.classList.toggle("compare__differs", cells[1] !== cells[2]);
      line.append(...cells.map((_, column) => {
        const cell = document.createElement(column === 0 ? "th" : "td");
        const text = document.createElement("bdi");
        if (column === 0) cell.setAttribute("scope", "row");
        const mark = column === 0 && cells[1] !== cells[2] ? " \u2260" : "";
        showText(text, () => (rows()[row]?.[column] ?? "") + mark);
        cell.append(text);
        return cell;
      }));
      return line;
    }));
  }
}
