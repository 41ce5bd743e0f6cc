/**
 * The gallery's grid: a contact sheet, a strip of film a row. Only the rows in sight are in the document, so that thousands of pictures
 * scroll like a few. One picture takes the keyboard's focus (a roving tabindex); it stays in the document wherever the page is scrolled.
 * Shows and tells; what happens with pictures is index.js's.
 */

import { element, textElement } from "../elements.js";
import { showText } from "../localise.js";
import { GAP, STRIP_EDGE, keyTarget, layoutFor, rowsInSight } from "./grid_layout.js";
import { Thumbnails } from "./thumbnails.js";
import { cellLabel } from "./wording.js";

/** @typedef {import("../../gallery/entry.js").Entry} Entry */
/** @typedef {{ row: HTMLElement, cells: Cell[] }} Row */
/**
 * @typedef {object} Cell of the picture `id`, "" for none
 * @property {HTMLElement} cell @property {HTMLButtonElement} open @property {HTMLImageElement} image @property {HTMLElement} note
 * @property {HTMLInputElement} select
 * @property {string} id
 * @property {(noted: boolean) => string} label with the note's words or without
 */

export class Grid {
  #grid = element("gallery-grid", HTMLElement);
  #i18n;
  #actions;
  #thumbnails;
  /** @type {readonly Entry[]} */
  #entries = [];
  /** @type {Map<number, Row>} */
  #rows = new Map();
  /** @type {Set<string>} */
  #selected = new Set();
  #active = 0;
  #layout = layoutFor(0);
  #drawing = 0;

  /**
   * @param {import("../i18n.js").I18n} i18n
   * @param {object} actions
   * @param {(id: string) => Promise<Blob | null>} actions.thumbnail
   * @param {(id: string) => void} actions.onOpen
   * @param {(ids: string[]) => void} actions.onDelete
   * @param {(selected: ReadonlySet<string>) => void} actions.onSelect
   */
  constructor(i18n, actions) {
    this.#i18n = i18n;
    this.#actions = actions;
    this.#thumbnails = new Thumbnails(actions.thumbnail);
    this.#grid.addEventListener("keydown", (event) => this.#onKey(event));
    this.#grid.addEventListener("click", (event) => this.#onClick(event));
    this.#grid.addEventListener("focusin", (event) => this.#onFocus(event));
    addEventListener("scroll", () => this.#draw(), { passive: true });
    new ResizeObserver(() => this.#measure()).observe(this.#grid);
  }

  /** @returns {ReadonlySet<string>} ids */
  get selected() {
    return this.#selected;
  }

  /** @param {readonly Entry[]} entries the newest first */
  show(entries) {
    const active = this.#entries[this.#active]?.id;
    const focused = this.#grid.contains(document.activeElement);
    const here = new Set(entries.map(({ id }) => id));
    for (const { id } of this.#entries) if (!here.has(id)) this.#thumbnails.forget(id);
    this.#entries = entries;
    const found = entries.findIndex(({ id }) => id === active);
    this.#active = found >= 0 ? found : Math.max(0, Math.min(this.#active, entries.length - 1));
    const selected = [...this.#selected].filter((id) => here.has(id));
    if (selected.length !== this.#selected.size) this.select(selected);
    this.#measure();
    if (focused && entries.length > 0) this.focus();
  }

  /** @param {Iterable<string>} ids */
  select(ids) {
    this.#selected = new Set(ids);
    this.#grid.classList.toggle("sheet--selecting", this.#selected.size > 0);
    this.#fillRows();
    this.#actions.onSelect(this.#selected);
  }

  /** Focuses a picture, in sight. @param {string} [id] of which; the one that had the focus last unless given */
  focus(id) {
    const index = this.#entries.findIndex((entry) => entry.id === id);
    this.#moveTo(index >= 0 ? index : this.#active);
  }

  /** The width, and with it the columns, may have changed. */
  #measure() {
    const width = this.#grid.clientWidth;
    if (width === 0) return;                                             // hidden
    this.#layout = layoutFor(width);
    const { columns, cell, row } = this.#layout;
    const { style } = this.#grid;
    const rows = Math.ceil(this.#entries.length / columns);
    for (const [name, pixels] of Object.entries({ cell, row, gap: GAP, edge: STRIP_EDGE })) style.setProperty(`--${name}`, `${pixels}px`);
    style.setProperty("--columns", `${columns}`);
    style.blockSize = `${rows * row}px`;
    this.#grid.setAttribute("aria-rowcount", `${rows}`);
    this.#grid.setAttribute("aria-colcount", `${columns}`);
    for (const { row: old } of this.#rows.values()) if (old.childElementCount !== columns) old.remove();
    for (const [index, { row: old }] of this.#rows) if (!old.isConnected) this.#rows.delete(index);
    this.#drawNow();
    this.#fillRows();
  }

  #draw() {
    if (this.#drawing || this.#entries.length === 0) return;
    this.#drawing = requestAnimationFrame(() => this.#drawNow());
  }

  /** Brings exactly the rows in sight, and the focused one, into the document. */
  #drawNow() {
    cancelAnimationFrame(this.#drawing);
    this.#drawing = 0;
    if (this.#grid.clientWidth === 0) return;
    const top = -this.#grid.getBoundingClientRect().top;
    const { first, last } = rowsInSight(this.#layout, this.#entries.length, top, innerHeight);
    const wanted = new Set([this.#rowOf(this.#active)]);
    for (let index = first; index <= last; index++) wanted.add(index);
    const free = [...this.#rows].filter(([index]) => !wanted.has(index));
    for (const [index] of free) this.#rows.delete(index);
    for (const index of wanted) {
      if (this.#rows.has(index) || this.#entries.length === 0) continue;
      const row = free.pop()?.[1] ?? this.#newRow();
      this.#rows.set(index, row);
      this.#fillRow(index, row);
    }
    for (const [, { row }] of free) row.remove();
  }

  /** @param {number} index of a picture */
  #rowOf(index) {
    return Math.floor(index / this.#layout.columns);
  }

  /** @returns {Row} */
  #newRow() {
    const row = textElement("div", "", "sheet__row");
    row.setAttribute("role", "row");
    const cells = Array.from({ length: this.#layout.columns }, () => newCell(this.#i18n));
    row.append(...cells.map(({ cell }) => cell));
    this.#grid.append(row);
    return { row, cells };
  }

  #fillRows() {
    for (const [index, row] of this.#rows) this.#fillRow(index, row);
  }

  /** @param {number} index @param {Row} row */
  #fillRow(index, { row, cells }) {
    const { columns } = this.#layout;
    row.style.setProperty("--at", `${index * this.#layout.row}px`);
    row.setAttribute("aria-rowindex", `${index + 1}`);
    // Assistive technology reads rows in the order of the document.
    const behind = [...this.#rows].filter(([other]) => other > index).sort(([a], [b]) => a - b)[0]?.[1].row ?? null;
    if (row.nextElementSibling !== behind && !row.contains(document.activeElement)) this.#grid.insertBefore(row, behind);
    cells.forEach((cell, column) => this.#fillCell(cell, index * columns + column, column));
  }

  /** @param {Cell} parts @param {number} index @param {number} column */
  #fillCell(parts, index, column) {
    const { cell, open, select } = parts;
    const entry = this.#entries[index];
    cell.setAttribute("aria-colindex", `${column + 1}`);
    cell.hidden = !entry;
    const id = entry?.id ?? "";
    const selected = this.#selected.has(id);
    cell.setAttribute("aria-selected", `${selected}`);
    select.checked = selected;
    open.tabIndex = index === this.#active ? 0 : -1;
    cell.dataset["index"] = `${index}`;
    if (!entry || parts.id === id) return;
    parts.id = id;
    parts.label = (noted) => cellLabel(this.#i18n, entry, noted);
    this.#showThumbnail(parts, entry);
  }

  /** @param {Cell} parts @param {Entry} entry */
  #showThumbnail(parts, { id }) {
    const show = (/** @type {string | null} */ url) => {
      if (parts.id !== id) return;
      fill(parts, url === null ? "note" : "picture");
      if (url) parts.image.src = url;
    };
    const known = this.#thumbnails.known(id);
    if (known !== undefined) return show(known);
    parts.image.removeAttribute("src");
    fill(parts, "nothing");
    this.#thumbnails.ask(id, { wanted: () => parts.id === id && parts.cell.isConnected, show });
  }

  /** @param {number} index takes the focus, in sight */
  #moveTo(index) {
    this.#active = index;
    this.#drawNow();
    this.#fillRows();
    const row = this.#rows.get(this.#rowOf(index));
    const target = row?.cells[index % this.#layout.columns];
    row?.row.scrollIntoView({ block: "nearest" });
    target?.open.focus({ preventScroll: true });
  }

  /** @param {FocusEvent} event The picture that was clicked or tabbed to is the one that Tab comes back to. */
  #onFocus({ target }) {
    const index = indexOf(target);
    if (index === null || index === this.#active) return;
    this.#active = index;
    this.#fillRows();
  }

  /** @param {Event} event */
  #onClick({ target }) {
    const id = this.#entries[indexOf(target) ?? -1]?.id;
    if (!id) return;
    if (target instanceof HTMLInputElement) this.#toggle(id);
    else if (/** @type {Element} */ (target).closest("button")) this.#actions.onOpen(id);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const { key, ctrlKey, altKey, metaKey, target } = event;
    const entry = this.#entries[indexOf(target) ?? -1];
    if (!entry || altKey || metaKey) return;
    const columns = this.#layout.columns;
    const page = Math.max(1, Math.floor(innerHeight / this.#layout.row) - 1);
    const to = keyTarget(key, {
      index: this.#active, count: this.#entries.length, columns, page, rightToLeft: this.#i18n.direction === "rtl", control: ctrlKey,
    });
    if (to !== null) this.#moveTo(to);
    else if (ctrlKey) return;
    else if (key === "x") this.#toggle(entry.id);
    else if (key === "Delete") this.#actions.onDelete(this.#selected.size > 0 ? [...this.#selected] : [entry.id]);
    else if (key === "Escape" && this.#selected.size > 0) this.select([]);
    else return;
    event.preventDefault();
  }

  /** @param {string} id */
  #toggle(id) {
    const selected = new Set(this.#selected);
    if (!selected.delete(id)) selected.add(id);
    this.select(selected);
  }
}

/** @param {import("../i18n.js").I18n} i18n @returns {Cell} */
function newCell(i18n) {
  const cell = textElement("div", "", "sheet__cell");
  cell.setAttribute("role", "gridcell");
  const open = textElement("button", "", "sheet__frame");
  open.type = "button";
  const image = document.createElement("img");
  image.alt = "";
  image.decoding = "async";
  const note = textElement("span", "", "sheet__note");
  showText(note, () => i18n.t("gallery.unreadable"));
  open.append(image, note);
  const select = document.createElement("input");
  select.type = "checkbox";
  select.className = "sheet__select";
  select.tabIndex = -1;
  showText(select, () => i18n.t("gallery.select"), "aria-label");
  cell.append(open, select);
  const parts = { cell, open, image, note, select, id: "", label: () => "" };
  image.addEventListener("error", () => fill(parts, "note"));
  return parts;
}

/** @param {Cell} parts @param {"picture" | "note" | "nothing"} content what its frame shows */
function fill({ open, image, note, label }, content) {
  image.hidden = content !== "picture";
  note.hidden = content !== "note";
  showText(open, () => label(content === "note"), "aria-label");
}

/** @param {EventTarget | null} target @returns {number | null} of the picture whose cell holds it */
function indexOf(target) {
  const cell = target instanceof Element ? target.closest("[data-index]") : null;
  return cell instanceof HTMLElement ? Number(cell.dataset["index"]) : null;
}
