/**
 * The touch keyboard without its looks: which layer is up, and what a press does to a text and its selection. A character is what people
 * take for one: backspace removes an emoji or a letter with its accents whole.
 */

import { LAYOUTS, SYMBOLS } from "./keyboard_layouts.js";

/** @typedef {import("./keyboard_layouts.js").Language} Language */
/** @typedef {{ text: string, start: number, end: number }} Field a text and its selection, in UTF-16 units */
/** @typedef {"shift"|"symbols"|"backspace"|"space"|"back"|"forward"|"language"|"clear"} Action */
/** @typedef {"letters"|"shifted"|"symbols"} Layer */

export class Keyboard {
  /** @type {Language} */
  #language;
  /** @type {Layer} */
  #layer = "letters";
  /** Shift pressed twice stays. */
  #locked = false;

  /** @param {Language[]} languages that it can switch between @param {number} maxCharacters of the text */
  constructor(languages, maxCharacters) {
    const [first] = languages;
    if (first === undefined) throw new RangeError("a keyboard needs a language");
    /** Those that it can switch between. */
    this.languages = languages;
    this.#language = first;
    this.maxCharacters = maxCharacters;
  }

  get language() {
    return this.#language;
  }

  /** @param {Language} language */
  set language(language) {
    this.#language = language;
    this.reset();
  }

  get layer() {
    return this.#layer;
  }

  /** Whether shift stays until it is pressed again. */
  get locked() {
    return this.#locked;
  }

  /** @returns {string[][]} the keys with characters, by row */
  get rows() {
    const { letters, shifted } = LAYOUTS[this.#language];
    const rows = this.#layer === "symbols" ? SYMBOLS : this.#layer === "shifted" ? (shifted ?? letters) : letters;
    return rows.map((row) => Array.from(row));
  }

  /** The letters again, without shift. */
  reset() {
    this.#layer = "letters";
    this.#locked = false;
  }

  /** @param {Field} field @param {string} character of a key @returns {Field} */
  type(field, character) {
    const next = insert(field, character, this.maxCharacters);
    if (this.#layer === "shifted" && !this.#locked) this.reset();
    return next;
  }

  /** @param {Field} field @param {Action} action @returns {Field} */
  act(field, action) {
    switch (action) {
      case "space":
        return this.type(field, " ");
      case "backspace":
        return backspace(field);
      case "clear":
        return { text: "", start: 0, end: 0 };
      case "back":
        return caret(field, field.start < field.end ? field.start : before(field.text, field.start));
      case "forward":
        return caret(field, field.start < field.end ? field.end : after(field.text, field.end));
      case "shift":
        this.#shift();
        return field;
      case "symbols":
        this.#layer = this.#layer === "symbols" ? "letters" : "symbols";
        this.#locked = false;
        return field;
      case "language":
        this.language = this.languages[(this.languages.indexOf(this.#language) + 1) % this.languages.length] ?? this.#language;
        return field;
    }
  }

  #shift() {
    if (this.#layer !== "shifted") this.#layer = "shifted";
    else if (!this.#locked) this.#locked = true;
    else this.reset();
  }
}

/** @param {Field} field @param {string} piece @param {number} most UTF-16 units of the text @returns {Field} */
function insert({ text, start, end }, piece, most) {
  if (text.length - (end - start) + piece.length > most) return { text, start, end };
  const at = start + piece.length;
  return { text: text.slice(0, start) + piece + text.slice(end), start: at, end: at };
}

/** @param {Field} field @returns {Field} */
function backspace({ text, start, end }) {
  const from = start < end ? start : before(text, start);
  return { text: text.slice(0, from) + text.slice(end), start: from, end: from };
}

/** @param {Field} field @param {number} at @returns {Field} */
function caret({ text }, at) {
  return { text, start: at, end: at };
}

/** @param {string} text @param {number} at @returns {number} where the character before `at` begins */
function before(text, at) {
  const last = [...new Intl.Segmenter().segment(text.slice(0, at))].at(-1);
  return last?.index ?? 0;
}

/** @param {string} text @param {number} at @returns {number} where the character after `at` ends */
function after(text, at) {
  const [first] = new Intl.Segmenter().segment(text.slice(at));
  return at + (first?.segment.length ?? 0);
}
