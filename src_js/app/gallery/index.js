/**
 * The gallery view: the grid of all pictures, one picture large, or two side by side, as the address says (`#/gallery?picture=ID`,
 * `#/gallery?compare=ID,ID`), so that Back leads where people came from. Joins those parts to the store and to the app.
 */

import { asKleinbildError } from "../../errors.js";
import { readPictureFile } from "../../image/picture_text.js";
import { element } from "../elements.js";
import { showText } from "../localise.js";
import { checkRestored } from "../restored.js";
import { routeHash } from "../router.js";
import { Compare } from "./compare.js";
import { Detail } from "./detail.js";
import { archiveOf, copyLink, download } from "./export.js";
import { Grid } from "./grid.js";
import { restoreFrom, useSettings } from "./restore.js";
import { sharedGallery } from "./shared.js";
import { countText } from "./wording.js";

/** @typedef {import("../app.js").App} App */
/** @typedef {import("../../gallery/gallery.js").Gallery} Gallery */
/** @typedef {import("../../image/picture_text.js").PictureFile} PictureFile */
/** @typedef {import("./detail.js").Shown} Shown */

const UNDO_SECONDS = 12;

/** @param {App} app */
export async function openGallery(app) {
  const view = new GalleryView(app);
  await view.start();
}

class GalleryView {
  #all = element("gallery-all", HTMLElement);
  #sheet = element("gallery-sheet", HTMLElement);
  #empty = element("gallery-empty", HTMLElement);
  #failed = element("gallery-failed", HTMLElement);
  #notice = element("gallery-notice", HTMLElement);
  #count = element("gallery-count", HTMLElement);
  #export = element("gallery-export", HTMLButtonElement);
  #compareButton = element("gallery-compare", HTMLButtonElement);
  #delete = element("gallery-delete", HTMLButtonElement);
  #app;
  #grid;
  #detail;
  #compare;
  /** @type {Gallery | null} */
  #gallery = null;
  /** The picture that was shown large last: the focus comes back to it. */
  #last = "";
  #visible = false;
  /** @type {Promise<void> | null} */
  #looking = null;
  #lookups = 0;
  /** What was deleted last and can be brought back. @type {readonly string[]} */
  #removed = [];

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    this.#grid = new Grid(app.i18n, {
      thumbnail: (id) => this.#thumbnail(id),
      onOpen: (id) => app.navigate("gallery", { picture: id }),
      onDelete: (ids) => void this.#remove(ids),
      onSelect: ({ size }) => {
        this.#showBar();
        app.announce(app.i18n.t("gallery.selected", { count: size }));
      },
    });
    this.#detail = new Detail(app.i18n, {
      onUse: (file, size) => this.#use(file, size),
      onCopyLink: ({ text, width, height }) => {
        if (text) void copyLink(app, { ...text, width: Number(text.width) || width, height: Number(text.height) || height, seed: text.seed || null, steps: Number(text.steps) || 4 });
      },
      onDelete: (id) => void this.#removeShown(id),
      onStep: (step) => this.#step(step),
      onBack: () => app.navigate("gallery"),
    });
    this.#compare = new Compare(app.i18n, { onBack: () => app.navigate("gallery") });
    this.#joinButtons();
    app.events.on("gallery-changed", () => this.#showAll());
    app.events.on("route", ({ view, params }) => {
      const wasVisible = this.#visible;
      this.#visible = view === "gallery";
      if (this.#visible) void this.#route(params);
      if (this.#visible && !wasVisible) void this.#lookAgain();
    });
    element("view-gallery", HTMLElement).addEventListener("keydown", (event) => {
      if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || event.shiftKey || this.#removed.length === 0) return;
      event.preventDefault();
      void this.#restore(this.#removed);
    });
    document.addEventListener("visibilitychange", () => void this.#lookAgain());
    addEventListener("focus", () => void this.#lookAgain());
  }

  /** Never rejected: what is wrong is on the page. */
  async start() {
    try {
      this.#gallery = await sharedGallery(this.#app);
      this.#failed.hidden = true;
    } catch (error) {
      this.#gallery = null;
      this.#failed.hidden = false;
      element("gallery-failed-detail", HTMLElement).textContent = asKleinbildError(error).message;
    }
    this.#showAll();
  }

  #joinButtons() {
    const { events } = this.#app;
    const chooser = element("gallery-file", HTMLInputElement);
    element("gallery-open", HTMLButtonElement).addEventListener("click", () => chooser.click());
    chooser.addEventListener("change", () => {
      const [file] = chooser.files ?? [];
      chooser.value = "";
      if (file) void restoreFrom(this.#app, file);
    });
    element("gallery-again", HTMLButtonElement).addEventListener("click", async () => {
      await this.start();
      events.emit("gallery-changed", {});
    });
    this.#export.addEventListener("click", () => void this.#exportPictures());
    this.#delete.addEventListener("click", () => void this.#remove([...this.#grid.selected]));
    this.#compareButton.addEventListener("click", () => this.#app.navigate("gallery", { compare: [...this.#grid.selected].join(",") }));
    element("gallery-select-none", HTMLButtonElement).addEventListener("click", () => {
      this.#grid.select([]);
      this.#grid.focus();
    });
  }

  /** @param {URLSearchParams} params */
  async #route(params) {
    const lookup = ++this.#lookups;
    const ids = (params.get("picture") ?? params.get("compare") ?? "").split(",").slice(0, 2);
    let shown = await Promise.all(ids.map((id) => this.#lookUp(id)));
    if (params.size > 0 && shown.some((one) => !one?.file)) {
      await this.#lookAgain();
      shown = await Promise.all(ids.map((id) => this.#lookUp(id)));
    }
    if (lookup !== this.#lookups) return;                                // another address since
    const [first, second] = shown;
    if (params.has("picture") && first) return this.#showOne(first);
    if (params.has("compare") && first?.file && second?.file) return this.#showTwo([first, second]);
    if (params.size > 0) {
      this.#app.toast(this.#app.i18n.t("gallery.gone"));
      history.replaceState(null, "", "#/gallery");
    }
    this.#showGrid();
  }

  /** @param {string} id */
  async #thumbnail(id) {
    const thumbnail = await this.#gallery?.thumbnail(id) ?? null;
    const entry = thumbnail ? null : this.#gallery?.entries.find((one) => one.id === id);
    if (entry && entry.width > 0) void this.#lookAgain();                // the file that should be there may be gone
    return thumbnail;
  }

  /** @param {string} id @returns {Promise<Shown | null>} null when there is no such picture */
  async #lookUp(id) {
    const entry = this.#gallery?.entries.find((one) => one.id === id);
    if (!entry || !this.#gallery) return null;
    const file = await this.#gallery.picture(id).catch(() => null);
    const about = file && await readPictureFile(file).catch(() => null);
    return { entry, file, about };
  }

  /** @param {Shown} shown */
  #showOne(shown) {
    this.#last = shown.entry.id;
    this.#all.hidden = true;
    this.#compare.close();
    this.#detail.show(shown, this.#placeOf(shown.entry.id));
    this.#detail.focus();
  }

  /** @param {[Shown, Shown]} pictures */
  #showTwo(pictures) {
    this.#last = pictures[0].entry.id;
    this.#all.hidden = true;
    this.#detail.close();
    this.#compare.show(pictures);
    this.#compare.focus();
  }

  #showGrid() {
    const wasElsewhere = this.#all.hidden;
    this.#detail.close();
    this.#compare.close();
    this.#all.hidden = false;
    this.#showAll();
    if (wasElsewhere && this.#gallery?.entries.length) this.#grid.focus(this.#last);
  }

  #showAll() {
    const entries = this.#gallery?.entries ?? [];
    this.#sheet.hidden = entries.length === 0;
    this.#empty.hidden = entries.length > 0 || !this.#gallery;
    this.#grid.show(entries);
    this.#showBar();
    if (entries.length > 0) this.#notice.hidden = true;
  }

  #showBar() {
    const { i18n } = this.#app;
    const count = this.#gallery?.entries.length ?? 0;
    const bytes = this.#gallery?.bytes ?? 0;
    const selected = this.#grid.selected.size;
    showText(this.#count, () => (count === 0 ? "" : countText(i18n, count, bytes)));
    showText(this.#export, () => (selected > 0 ? i18n.t("gallery.export.some", { count: selected }) : i18n.t("gallery.export.all")));
    showText(this.#delete, () => i18n.t("gallery.delete.some", { count: selected }));
    this.#export.hidden = count === 0;
    element("gallery-open", HTMLButtonElement).hidden = selected > 0;
    this.#delete.hidden = selected === 0;
    this.#compareButton.hidden = selected !== 2;
    element("gallery-select-none", HTMLButtonElement).hidden = selected === 0;
  }

  /** @param {string} id */
  #placeOf(id) {
    const entries = this.#gallery?.entries ?? [];
    return { index: entries.findIndex((entry) => entry.id === id), count: entries.length };
  }

  /** @param {-1 | 1} step */
  #step(step) {
    const { index } = this.#placeOf(this.#detail.id ?? "");
    const next = this.#gallery?.entries[index + step];
    if (next) showInstead(next.id);
  }

  /** @param {PictureFile} file @param {{ width: number, height: number }} [size] another one, on which no other setting depends */
  #use({ text }, size) {
    if (!text) return;
    const { settings } = checkRestored(text);
    const { i18n, toast } = this.#app;
    void useSettings(this.#app, { ...settings, ...size }).then(() => toast(i18n.t("gallery.used")));
  }

  /** @param {readonly string[]} ids @returns {Promise<boolean>} whether they are deleted */
  async #remove(ids) {
    const { i18n, toast, events } = this.#app;
    try {
      const removed = await this.#gallery?.remove(ids) ?? [];
      this.#removed = removed;
      events.emit("gallery-changed", {});
      toast(i18n.t("gallery.deleted", { count: removed.length }), {
        action: i18n.t("gallery.undo"), onAction: () => void this.#restore(removed), seconds: UNDO_SECONDS,
      });
      return true;
    } catch (error) {
      this.#tell(error);
      return false;
    }
  }

  /** The picture shown large is deleted: the one behind it takes its place. @param {string} id */
  async #removeShown(id) {
    const { index } = this.#placeOf(id);
    if (!(await this.#remove([id]))) return;
    const next = this.#gallery?.entries[index] ?? this.#gallery?.entries[index - 1];
    if (next) showInstead(next.id);
    else this.#app.navigate("gallery");
  }

  /** @param {readonly string[]} ids */
  async #restore(ids) {
    const { i18n, events, toast } = this.#app;
    this.#removed = [];
    try {
      const restored = await this.#gallery?.restore(ids) ?? [];
      events.emit("gallery-changed", {});
      toast(i18n.t("gallery.restored", { count: restored.length }));
      if (this.#visible && !this.#all.hidden && restored[0]) this.#grid.focus(restored[0]);
      else if (this.#visible && restored[0]) this.#app.navigate("gallery", { picture: restored[0] });
    } catch (error) {
      this.#tell(error);
    }
  }

  async #exportPictures() {
    const { i18n, toast } = this.#app;
    if (!this.#gallery) return;
    const { selected } = this.#grid;
    const entries = this.#gallery.entries.filter(({ id }) => selected.size === 0 || selected.has(id));
    this.#export.disabled = true;
    showText(this.#export, () => i18n.t("gallery.export.busy"));
    try {
      const { archive, name, count } = await archiveOf(this.#gallery, entries);
      if (count < entries.length) await this.#lookAgain();
      if (count > 0) download(archive, name);
      toast(i18n.t("gallery.exported", { count, bytes: i18n.bytes(archive.size) }));
    } catch (error) {
      this.#tell(error);
    } finally {
      this.#export.disabled = false;
      this.#showBar();
    }
  }

  /** Somebody may have cleared the site's data meanwhile. @returns {Promise<void>} never rejected */
  #lookAgain() {
    if (!this.#gallery || !this.#visible || document.hidden) return Promise.resolve();
    this.#looking ??= this.#look(this.#gallery).finally(() => (this.#looking = null));
    return this.#looking;
  }

  /** @param {Gallery} gallery */
  async #look(gallery) {
    try {
      const before = gallery.entries;
      const lost = await gallery.refresh();
      const { i18n } = this.#app;
      if (before.length !== gallery.entries.length) this.#app.events.emit("gallery-changed", {});
      if (lost === 0) return;
      showText(this.#notice, () => i18n.t("gallery.lost", { count: lost }));
      this.#notice.hidden = false;
      if (this.#all.hidden) this.#app.navigate("gallery");
    } catch (error) {
      this.#tell(error);
    }
  }

  /** @param {unknown} error */
  #tell(error) {
    const { code, message } = asKleinbildError(error);
    const { i18n, toast } = this.#app;
    toast(code === "storage-full" ? i18n.t("gallery.full") : i18n.t("gallery.trouble", { message }), { seconds: UNDO_SECONDS });
  }
}

/** Shows another picture in the place of this one: Back leads to where people came from, not through all of them. @param {string} id */
function showInstead(id) {
  location.replace(routeHash("gallery", { picture: id }));
}
