/**
 * The queue as people see it: what waits, how many of each, and the buttons that remove, pause and go on.
 */

import { element, textElement } from "../elements.js";
import { showText } from "../localise.js";
import { shortPrompt, sizeText } from "./wording.js";

/** @typedef {import("./queue.js").PictureQueue} PictureQueue */
/** @typedef {import("./queue.js").Order} Order */

/** More lines than anybody reads; the sum is told. */
const MOST_SHOWN = 50;

export class QueueView {
  #section = element("queue", HTMLElement);
  #title = element("queue-title", HTMLElement);
  #list = element("queue-list", HTMLElement);
  #pause = element("queue-pause", HTMLButtonElement);
  #resume = element("queue-resume", HTMLButtonElement);
  #clear = element("queue-clear", HTMLButtonElement);
  #i18n;
  #onRemove;

  /**
   * @param {import("../i18n.js").I18n} i18n
   * @param {{ onRemove: (id: number) => void, onPause: (paused: boolean) => void, onClear: () => void }} actions
   */
  constructor(i18n, { onRemove, onPause, onClear }) {
    this.#i18n = i18n;
    this.#onRemove = onRemove;
    this.#pause.addEventListener("click", () => onPause(this.#pause.getAttribute("aria-pressed") !== "true"));
    this.#resume.addEventListener("click", () => onPause(false));
    this.#clear.addEventListener("click", onClear);
  }

  /** @param {PictureQueue} queue @param {{ id: number, seed: string } | null} making */
  show(queue, making) {
    const t = this.#i18n.t.bind(this.#i18n);
    const waiting = queue.length - (making ? 1 : 0);
    this.#section.hidden = waiting === 0;
    showText(this.#title, () => t(queue.paused && !making ? "make.queue.paused" : "make.queue.waiting", { count: waiting }));
    const focused = this.#list.contains(document.activeElement);
    this.#list.replaceChildren(...queue.orders.slice(0, MOST_SHOWN).flatMap((order) => {
      const left = order.seeds.length - (order.id === making?.id ? 1 : 0);
      return left > 0 ? [this.#item(order, left)] : [];
    }));
    if (focused) (this.#list.querySelector("button") ?? this.#clear).focus();
    this.#pause.hidden = !making;
    this.#pause.setAttribute("aria-pressed", String(queue.paused));
    this.#resume.hidden = making !== null || !queue.paused;
  }

  /** @param {Order} order @param {number} left pictures of it that wait */
  #item(order, left) {
    const { id } = order;
    const prompt = shortPrompt(order.prompt);
    const item = document.createElement("li");
    item.className = "queue__item";
    const text = textElement("span", prompt, "queue__prompt");
    text.dir = "auto";
    const facts = textElement("span", "", "queue__facts");
    showText(facts, () => [sizeText(order), this.#i18n.t("make.queue.pictures", { count: left })].join("  \u00b7  "));
    const button = textElement("button", "\u00d7", "button queue__remove");
    button.type = "button";
    showText(button, () => this.#i18n.t("make.queue.remove", { prompt }), "aria-label");
    button.addEventListener("click", () => this.#onRemove(id));
    item.append(text, facts, button);
    return item;
  }
}
