/**
 * The roll: the newest pictures of the gallery as a strip of small frames; choosing one shows it again. Keeps none itself.
 */

import { readPictureFile } from "../../image/picture_text.js";
import { element } from "../elements.js";
import { sharedGallery } from "../gallery/shared.js";
import { cellLabel, secondsOf } from "../gallery/wording.js";
import { showText } from "../localise.js";

/** @typedef {import("./frame.js").Exposure} Exposure */
/** @typedef {import("../../gallery/entry.js").Entry} Entry */
/** @typedef {import("../../gallery/gallery.js").Gallery} Gallery */

const MOST = 24;

export class Roll {
  #section = element("roll", HTMLElement);
  #list = element("roll-list", HTMLElement);
  #app;
  #onChoose;
  /** @type {Gallery | null} */
  #gallery = null;
  /** @type {Map<string, { item: HTMLElement, button: HTMLButtonElement, url: string }>} */
  #frames = new Map();
  /** The gallery's ids of exposures that the frame showed. @type {WeakMap<Exposure, string>} */
  #ids = new WeakMap();
  /** A picture made just now, which the gallery does not have yet. @type {Exposure | null} */
  #fresh = null;
  /** @type {Exposure | null} */
  #current = null;
  #enabled = true;
  /** Of the picture that was chosen last. */
  #url = "";

  /** @param {import("../app.js").App} app @param {(exposure: Exposure) => void} onChoose */
  constructor(app, onChoose) {
    this.#app = app;
    this.#onChoose = onChoose;
    app.events.on("gallery-changed", () => void this.#show());
    sharedGallery(app).then(() => this.#show(), () => {});                // the gallery itself says what is wrong
  }

  /** The number that the next picture gets. */
  get next() {
    return (this.#gallery?.entries.length ?? 0) + 1;
  }

  /** @param {Exposure} exposure made just now; the gallery keeps it by itself */
  add(exposure) {
    this.#fresh = exposure;
  }

  /** @param {Exposure | null} current the one that the frame shows */
  mark(current) {
    this.#current = current;
    const id = current && this.#ids.get(current);
    for (const [one, { button }] of this.#frames) {
      if (one === id) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }

  /** @param {boolean} enabled while a picture is being made the frame shows its progress */
  setEnabled(enabled) {
    this.#enabled = enabled;
    for (const { button } of this.#frames.values()) button.disabled = !enabled;
  }

  async #show() {
    this.#gallery = await sharedGallery(this.#app);
    const entries = this.#gallery.entries.slice(0, MOST);
    const [newest] = entries;
    if (this.#fresh && newest && !this.#frames.has(newest.id)) {
      this.#ids.set(this.#fresh, newest.id);
      this.#fresh = null;
    }
    const wanted = new Set(entries.map(({ id }) => id));
    for (const [id, { item, url }] of this.#frames) {
      if (wanted.has(id)) continue;
      item.remove();
      URL.revokeObjectURL(url);
      this.#frames.delete(id);
    }
    entries.forEach((entry, i) => {
      const frame = this.#frames.get(entry.id) ?? this.#newFrame(entry);
      if (this.#list.children[i] !== frame.item) this.#list.insertBefore(frame.item, this.#list.children[i] ?? null);
    });
    this.#section.hidden = entries.length === 0;
    this.mark(this.#current);
  }

  /** @param {Entry} entry */
  #newFrame(entry) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    const image = document.createElement("img");
    const frame = { item, button, url: "" };
    button.type = "button";
    button.className = "roll__frame";
    button.disabled = !this.#enabled;
    showText(button, () => cellLabel(this.#app.i18n, entry), "aria-label");
    image.alt = "";
    button.append(image);
    button.addEventListener("click", () => void this.#choose(entry));
    item.append(button);
    this.#frames.set(entry.id, frame);
    this.#gallery?.thumbnail(entry.id).then((thumbnail) => {
      if (!thumbnail || this.#frames.get(entry.id) !== frame) return;
      frame.url = URL.createObjectURL(thumbnail);
      image.src = frame.url;
    }, () => {});
    return frame;
  }

  /** @param {Entry} entry */
  async #choose(entry) {
    const file = await this.#gallery?.picture(entry.id).catch(() => null);
    const about = file && await readPictureFile(file).catch(() => null);
    if (!file || !about?.record) return this.#app.navigate("gallery", { picture: entry.id });
    const { prompt, width, height, seed, steps } = about.record;
    const entries = this.#gallery?.entries ?? [];
    URL.revokeObjectURL(this.#url);
    this.#url = URL.createObjectURL(file);
    /** @type {Exposure} */
    const exposure = {
      number: entries.length - entries.findIndex(({ id }) => id === entry.id),
      settings: { prompt, width, height, seed: BigInt(seed ?? 0), steps, latents: null },
      url: this.#url,
      seconds: secondsOf(about.record),
    };
    this.#ids.set(exposure, entry.id);
    this.#onChoose(exposure);
  }
}
