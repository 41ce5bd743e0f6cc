/**
 * The touch keyboard on the page: keys under fingers, repeated while held, and the field that they write into. A physical keyboard
 * writes into the same field by itself.
 */

import { Keyboard } from "./keyboard.js";

/** @typedef {import("./keyboard.js").Action} Action */

const HOLD_MS = 450;
const REPEAT_MS = 70;
const REPEATED = new Set(["backspace", "back", "forward"]);

export class KeyboardView {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {HTMLElement} root
   * @param {HTMLTextAreaElement} field
   * @param {{ keyboard: Keyboard, t: (key: string) => string, onInput: () => void }} parts
   */
  constructor(root, field, { keyboard, t, onInput }) {
    this.root = root;
    this.field = field;
    this.keyboard = keyboard;
    this.t = t;
    this.onInput = onInput;
    root.addEventListener("pointerdown", (event) => {
      event.preventDefault();                                            // the field keeps its caret
      const key = keyOf(event);
      if (key) this.#hold(key);
    });
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) root.addEventListener(name, () => clearTimeout(this.#timer));
    // Assistive technology clicks without a pointer.
    root.addEventListener("click", (event) => {
      const key = event.detail === 0 ? keyOf(event) : null;
      if (key) this.#press(key);
    });
    this.draw();
  }

  /** Shows the layer that is up. */
  draw() {
    const { keyboard } = this;
    const rows = keyboard.rows.map((row) => row.map((character) => characterKey(character)));
    const last = rows.at(-1);
    if (keyboard.layer !== "symbols") last?.unshift(this.#actionKey("shift", "kiosk.key.shift", keyboard.locked ? "\u21ea" : "\u21e7"));
    last?.push(this.#actionKey("backspace", "kiosk.key.backspace", "\u232b"));
    const symbols = keyboard.layer === "symbols";
    const letters = keyboard.language === "ar" ? "\u0623\u0628\u062c" : "ABC";
    const bottom = [symbols ? this.#actionKey("symbols", "kiosk.key.letters", letters) : this.#actionKey("symbols", "kiosk.key.symbols", "?123")];
    if (keyboard.languages.length > 1) bottom.push(this.#actionKey("language", "kiosk.key.language", keyboard.language.toUpperCase()));
    const space = this.#actionKey("space", "kiosk.key.space");
    space.classList.add("kkey--space");
    const rtl = keyboard.language === "ar";
    // The arrows point where the caret goes.
    const left = this.#actionKey(rtl ? "forward" : "back", rtl ? "kiosk.key.forward" : "kiosk.key.back", "\u2190");
    const right = this.#actionKey(rtl ? "back" : "forward", rtl ? "kiosk.key.back" : "kiosk.key.forward", "\u2192");
    rows.push([...bottom, space, left, right]);
    this.root.replaceChildren(...rows.map((keys) => {
      const row = document.createElement("div");
      row.className = "kkeyboard__row";
      row.append(...keys);
      return row;
    }));
  }

  /** @param {Action} action @param {string} label key of what it is called @param {string} [face] @returns {HTMLButtonElement} */
  #actionKey(action, label, face = "") {
    const key = newKey(face);
    key.dataset["action"] = action;
    key.classList.add("kkey--action");
    // Who speaks to a machine says what stands on the key.
    key.setAttribute("aria-label", /[\p{L}\p{N}]/u.test(face) ? `${face}, ${this.t(label)}` : this.t(label));
    if (action === "shift") key.setAttribute("aria-pressed", String(this.keyboard.layer === "shifted"));
    return key;
  }

  /** @param {HTMLElement} key */
  #hold(key) {
    this.#press(key);
    clearTimeout(this.#timer);
    if (!REPEATED.has(key.dataset["action"] ?? "")) return;
    const again = () => {
      this.#press(key);
      this.#timer = setTimeout(again, REPEAT_MS);
    };
    this.#timer = setTimeout(again, HOLD_MS);
  }

  /** @param {HTMLElement} key */
  #press({ dataset }) {
    const { field, keyboard } = this;
    const { layer, language, locked } = keyboard;
    const before = { text: field.value, start: field.selectionStart, end: field.selectionEnd };
    const after = dataset["action"] === undefined
      ? keyboard.type(before, dataset["character"] ?? "")
      : keyboard.act(before, /** @type {Action} */ (dataset["action"]));
    field.focus({ preventScroll: true });
    if (after.text !== before.text) {
      field.value = after.text;
      this.onInput();
    }
    field.setSelectionRange(after.start, after.end);
    if (keyboard.layer !== layer || keyboard.language !== language || keyboard.locked !== locked) this.draw();
  }
}

/** @param {Event} event @returns {HTMLElement | null} */
function keyOf({ target }) {
  return target instanceof Element ? target.closest("button") : null;
}

/** @param {string} character @returns {HTMLButtonElement} */
function characterKey(character) {
  // A vowel point alone would hang in the air.
  const key = newKey(/\p{M}/u.test(character) ? `\u25cc${character}` : character);
  key.dataset["character"] = character;
  return key;
}

/** @param {string} face @returns {HTMLButtonElement} */
function newKey(face) {
  const key = document.createElement("button");
  key.type = "button";
  key.className = "kkey";
  key.tabIndex = -1;                                                     // whoever tabs has a keyboard
  key.textContent = face;
  return key;
}
