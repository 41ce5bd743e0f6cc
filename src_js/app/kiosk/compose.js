/**
 * The screen on which a visitor says what to make: cards, an own text, a format. Gives settings, or says politely what is missing.
 */

import { element, textElement } from "../elements.js";
import { showText } from "../localise.js";
import { SIDE_MULTIPLE } from "../../protocol.js";
import { Keyboard } from "./keyboard.js";
import { KeyboardView } from "./keyboard_view.js";
import { WordList } from "./word_list.js";

/** @typedef {import("./desk.js").KioskConfig} KioskConfig */
/** @typedef {import("./desk.js").Card} Card */
/** @typedef {{ prompt: string, width: number, height: number, seed: bigint, steps: number, latents: null }} Settings */

const MAX_PROMPT_CHARACTERS = 500;
const SEED_BITS = 32;
/** Of the largest: a size must be told from the others, not measured. */
const SMALLEST_SHAPE = 0.45;

export class Compose {
  #prompt = element("prompt", HTMLTextAreaElement);
  #message = element("compose-message", HTMLElement);
  #cards = element("cards", HTMLElement);
  #sizes = element("sizes", HTMLElement);
  /** @type {Card | null} */
  #card = null;
  /** @type {[number, number]} */
  #size;

  /**
   * @param {KioskConfig} config
   * @param {{ i18n: import("../i18n.js").I18n, steps: () => number, onMake: (settings: Settings) => void }} parts steps: the model's own
   */
  constructor(config, parts) {
    this.config = config;
    this.parts = parts;
    this.words = new WordList(config.refusedWords);
    this.#size = firstSize(config);
    this.keyboard = new Keyboard(config.languages, MAX_PROMPT_CHARACTERS);
    this.view = new KeyboardView(element("keyboard", HTMLElement), this.#prompt, {
      keyboard: this.keyboard,
      t: (key) => parts.i18n.t(key),
      onInput: () => this.#onInput(),
    });
    this.#prompt.maxLength = MAX_PROMPT_CHARACTERS;
    this.#prompt.addEventListener("input", () => this.#onInput());
    this.#prompt.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      this.make();
    });
    // Whoever has touched beside the field and then writes on a physical keyboard means the field.
    document.addEventListener("keydown", (event) => {
      const nowhere = document.activeElement === null || document.activeElement === document.body;
      if (nowhere && Array.from(event.key).length === 1) this.#prompt.focus({ preventScroll: true });
    });
    element("clear", HTMLButtonElement).addEventListener("click", () => this.clear());
    element("make", HTMLButtonElement).addEventListener("click", () => this.make());
    element("own-prompt", HTMLElement).hidden = element("keyboard", HTMLElement).hidden = !config.ownPrompts;
    if (!config.ownPrompts) showText(element("compose-title", HTMLElement), () => parts.i18n.t("kiosk.compose.choose"));
    this.#drawCards();
    this.#drawSizes();
  }

  /** Nothing is left of what was chosen or written. */
  reset() {
    this.clear();
    this.#size = firstSize(this.config);
    this.#mark();
    this.keyboard.reset();
    this.languageChanged();
  }

  /** An empty text, no card. */
  clear() {
    this.#prompt.value = "";
    this.#card = null;
    this.#say("");
    this.#mark();
    if (this.config.ownPrompts) this.#prompt.focus({ preventScroll: true });
  }

  /** Draws what holds words anew, and lets the keyboard follow the page's language. */
  languageChanged() {
    this.keyboard.language = /** @type {"en"|"de"|"ar"} */ (this.parts.i18n.language);
    this.view.draw();
    this.#drawCards();
    this.#say("");
  }

  /** Asks for the picture, or says what is missing. */
  make() {
    const { ownPrompts } = this.config;
    const prompt = (ownPrompts ? this.#prompt.value : (this.#card?.prompt ?? "")).trim();
    if (prompt === "") return this.#say(ownPrompts ? "kiosk.compose.empty" : "kiosk.compose.empty_cards");
    // A card is the operator's own: its words are his business.
    const changed = prompt !== this.#card?.prompt.trim();
    if (changed && this.words.refuses(prompt)) return this.#say("kiosk.compose.refused");
    this.#say("");
    const [width, height] = this.#size;
    const fixed = changed ? null : (this.#card?.seed ?? null);
    const seed = fixed === null ? randomSeed() : BigInt(fixed);
    this.parts.onMake({ prompt, width, height, seed, steps: this.config.steps ?? this.parts.steps(), latents: null });
  }

  #onInput() {
    this.#say("");
    this.#mark();
  }

  #drawCards() {
    const { language } = this.parts.i18n;
    this.#cards.hidden = this.config.cards.length === 0;
    this.#cards.replaceChildren(...this.config.cards.map((card) => {
      const button = textElement("button", card.title[language] ?? card.title[""] ?? card.prompt, "kbutton kcards__card");
      button.type = "button";
      button.dir = "auto";
      button.addEventListener("click", () => this.#choose(card));
      return button;
    }));
    this.#mark();
  }

  /** @param {Card} card */
  #choose(card) {
    this.#card = card;
    this.#prompt.value = card.prompt;
    if (card.size !== null) {
      const [width = 0, height = 0] = card.size.split("x").map(Number);
      this.#size = [width, height];
    }
    this.#say("");
    this.#mark();
  }

  #drawSizes() {
    const { sizes } = this.config;
    this.#sizes.hidden = sizes.length < 2;
    this.#sizes.replaceChildren(...sizes.map(([width, height]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "kbutton ksizes__size";
      const shape = document.createElement("i");
      shape.className = "ksizes__shape";
      shape.ariaHidden = "true";
      shape.style.aspectRatio = `${width} / ${height}`;
      shape.style.setProperty("--area", String(Math.max(SMALLEST_SHAPE, Math.sqrt((width * height) / largest(sizes)))));
      const name = width === height ? "kiosk.compose.square" : width > height ? "kiosk.compose.wide" : "kiosk.compose.tall";
      const label = document.createElement("span");
      showText(label, () => this.parts.i18n.t(name));
      const numbers = textElement("span", `${width} \u00d7 ${height}`, "ksizes__numbers");
      numbers.dir = "ltr";
      button.append(shape, label, numbers);
      button.addEventListener("click", () => {
        this.#size = [width, height];
        this.#mark();
      });
      return button;
    }));
  }

  #mark() {
    const text = this.#prompt.value;
    // An empty field shows its example in the page's direction, a text goes its own.
    if (text === "") this.#prompt.removeAttribute("dir");
    else this.#prompt.dir = "auto";
    this.config.cards.forEach((card, index) => {
      const chosen = card === this.#card && (!this.config.ownPrompts || text === card.prompt);
      this.#cards.children[index]?.setAttribute("aria-pressed", String(chosen));
    });
    this.config.sizes.forEach(([width, height], index) => {
      this.#sizes.children[index]?.setAttribute("aria-pressed", String(width === this.#size[0] && height === this.#size[1]));
    });
  }

  /** @param {string} key "" for nothing */
  #say(key) {
    this.#message.textContent = key === "" ? "" : this.parts.i18n.t(key);
  }
}

/** @param {KioskConfig} config @returns {[number, number]} */
function firstSize({ sizes }) {
  return sizes[0] ?? [32 * SIDE_MULTIPLE, 32 * SIDE_MULTIPLE];
}

/** @param {[number, number][]} sizes @returns {number} pixels of the largest */
function largest(sizes) {
  return Math.max(...sizes.map(([width, height]) => width * height));
}

/** @returns {bigint} */
export function randomSeed() {
  return BigInt.asUintN(SEED_BITS, BigInt(/** @type {number} */ (crypto.getRandomValues(new Uint32Array(1))[0])));
}
