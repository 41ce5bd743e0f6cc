/**
 * Pictures in the words of the page's language, and the names that their files get. No DOM.
 */

import { timeOf } from "../../gallery/entry.js";

/** @typedef {import("../i18n.js").I18n} I18n */
/** @typedef {import("../../gallery/entry.js").Entry} Entry */
/** @typedef {import("../../image/picture_text.js").PictureFile} PictureFile */

const STAGES = ["text_encoder", "transformer", "vae_decoder"];

/** @param {number} width @param {number} height */
export function sizeText(width, height) {
  return `${width} \u00d7 ${height}`;
}

/**
 * @param {I18n} i18n @param {Entry} entry
 * @param {boolean} [noted] a note stands in the picture's place: its words are part of the name then (WCAG 2.5.3)
 * @returns {string} what a screen reader says of a picture in the grid
 */
export function cellLabel(i18n, entry, noted = false) {
  if (noted) return i18n.t("gallery.cell.noted", { note: i18n.t("gallery.unreadable"), picture: cellLabel(i18n, entry) });
  const date = i18n.date(timeOf(entry));
  if (entry.width === 0) return i18n.t("gallery.cell.unreadable", { date });
  const prompt = entry.prompt.trim() || i18n.t("gallery.no_prompt");
  return i18n.t("gallery.cell", { prompt, size: sizeText(entry.width, entry.height), date });
}

/** @param {I18n} i18n @param {number} count @param {number} bytes @returns {string} what the gallery holds */
export function countText(i18n, count, bytes) {
  return i18n.t("gallery.count", { count, bytes: i18n.bytes(bytes) });
}

/** @param {import("../../image/picture_text.js").PictureRecord} record @returns {number} that the picture took */
export function secondsOf({ seconds }) {
  return STAGES.reduce((sum, stage) => sum + (seconds[stage] ?? 0), 0);
}

/** @typedef {[label: string, value: string]} Fact */

/**
 * @param {I18n} i18n
 * @param {Pick<PictureFile, "width"|"height"|"text"|"record">} file
 * @returns {Fact[]} what a picture was made from, beside its prompt
 */
export function settingsOf(i18n, { width, height, text, record }) {
  /** @type {Fact[]} */
  const facts = [[i18n.t("gallery.fact.size"), sizeText(width, height)]];
  if (text?.seed) facts.push([i18n.t("gallery.fact.seed"), text.seed]);
  if (text?.steps) facts.push([i18n.t("gallery.fact.steps"), text.steps]);
  if (text?.model) facts.push([i18n.t("gallery.fact.model"), record ? `${text.model} (${record.precision})` : text.model]);
  return facts;
}

/**
 * @param {I18n} i18n
 * @param {Entry} entry
 * @param {PictureFile | null} file null where it cannot be read
 * @returns {Fact[]} what is known of a picture, beside its prompt
 */
export function factsOf(i18n, entry, file) {
  const facts = file ? settingsOf(i18n, file) : [];
  facts.push([i18n.t("gallery.fact.made"), i18n.date(timeOf(entry))]);
  const seconds = file?.record ? secondsOf(file.record) : 0;
  if (seconds > 0) facts.push([i18n.t("gallery.fact.took"), i18n.duration(seconds)]);
  facts.push([i18n.t("gallery.fact.file"), i18n.bytes(entry.bytes)]);
  return facts;
}

/** @param {{ width: number | string, height: number | string, seed: string | null }} picture @returns {string} what a download is called */
export function downloadName({ width, height, seed }) {
  return `kleinbild-${seed ? `${seed}-` : ""}${width}x${height}.png`;
}

/**
 * @param {readonly Entry[]} entries
 * @returns {string[]} names within an archive: by the time they were made, none twice
 */
export function archiveNames(entries) {
  /** @type {Map<string, number>} */
  const used = new Map();
  return entries.map((entry) => {
    const name = `kleinbild-${stamp(new Date(timeOf(entry)))}${entry.seed ? `-${entry.seed}` : ""}`;
    const times = (used.get(name) ?? 0) + 1;
    used.set(name, times);
    return times === 1 ? `${name}.png` : `${name} (${times}).png`;
  });
}

/** @param {Date} date @returns {string} "20261127-183012", local time */
export function stamp(date) {
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  const day = `${date.getFullYear()}${two(date.getMonth() + 1)}${two(date.getDate())}`;
  return `${day}-${two(date.getHours())}${two(date.getMinutes())}${two(date.getSeconds())}`;
}
