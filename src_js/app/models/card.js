/** One model on the page: its name, state, buttons, and the progress of what is being done with it. Decides nothing. */

import { textElement } from "../elements.js";
import { offers } from "./actions.js";
import { badgeKeys, factsText, progressText, stateTexts, troubleText } from "./wording.js";

/**
 * @typedef {import("../i18n.js").I18n} I18n
 * @typedef {import("../../model_state.js").ModelState} ModelState
 * @typedef {import("./actions.js").Action} Action
 * @typedef {import("./actions.js").WorkKind} WorkKind
 *
 * @typedef {object} CardNow
 * @property {boolean} chosen whether it makes the pictures
 * @property {boolean} replaced whether the site has a newer revision of it
 * @property {WorkKind | undefined} work what is being done with it
 * @property {boolean} busy whether anything is being done with any model
 * @property {boolean} folders whether the browser can write to folders
 */

export class Card {
  #i18n;
  #progress = document.createElement("div");
  #bar = document.createElement("progress");
  #numbers = textElement("p", "", "model__numbers");
  #trouble = textElement("p", "", "model__trouble");

  /**
   * @param {I18n} i18n @param {ModelState} model @param {CardNow} now
   * @param {(action: Action, names: string[] | null) => void} onAction names: of single damaged parts
   */
  constructor(i18n, model, now, onAction) {
    this.#i18n = i18n;
    this.element = document.createElement("li");
    this.element.className = "model";
    this.element.dataset["model"] = model.id;
    const title = textElement("h2", model.name, "model__name");
    title.id = `model-${model.id}`;
    title.tabIndex = -1;
    title.dir = "auto";
    const badges = textElement("p", "", "model__badges");
    badges.append(...badgeKeys(model, now.chosen).map((key) => textElement("span", i18n.t(key), `badge badge--${key.slice(key.lastIndexOf(".") + 1)}`)));
    const head = document.createElement("div");
    head.className = "model__head";
    head.append(title, badges);
    this.element.append(head, textElement("p", factsText(i18n, model), "model__facts"));
    const told = i18n.pick(model.notice);
    if (told) {
      const notice = textElement("p", told, "model__notice");
      notice.dir = "auto";
      this.element.append(notice);
    }
    if (!now.work) this.element.append(...stateTexts(i18n, model, now.replaced).map((text) => textElement("p", text, "model__state")));
    if (model.damaged.length > 0) this.element.append(this.#damaged(model, now, onAction));
    this.#fillProgress(now.work, title.id);
    this.element.append(this.#progress, this.#buttons(model, now, onAction));
  }

  /**
   * @param {import("../../models_protocol.js").ModelProgress} progress
   * @param {{ perSecond: number, secondsLeft: number } | undefined} rate
   * @param {boolean} remote whether a server is waited for
   */
  showProgress(progress, rate, remote) {
    this.#bar.max = Math.max(1, progress.totalBytes);
    this.#bar.value = progress.bytes;
    const trouble = troubleText(this.#i18n, progress, remote);
    this.#numbers.textContent = progressText(this.#i18n, progress, trouble ? undefined : rate);
    if (this.#trouble.textContent !== trouble) this.#trouble.textContent = trouble;
  }

  /** @param {WorkKind | undefined} work @param {string} titleId */
  #fillProgress(work, titleId) {
    this.#progress.className = "model__progress";
    this.#progress.hidden = work === undefined;
    if (work === undefined) return;
    const doing = textElement("p", this.#i18n.t(`models.work.${work}`), "model__doing");
    doing.id = `${titleId}-doing`;
    this.#bar.setAttribute("aria-labelledby", `${titleId} ${doing.id}`);
    this.#bar.max = 1;
    this.#trouble.setAttribute("role", "status");
    this.#progress.append(doing, this.#bar, this.#numbers, this.#trouble);
  }

  /** @param {ModelState} model @param {CardNow} now @param {(action: Action, names: string[] | null) => void} onAction */
  #buttons(model, now, onAction) {
    const row = document.createElement("div");
    row.className = "model__actions";
    for (const { action, key, bytes, main } of offers(model, now)) {
      const words = this.#i18n.t(key, { bytes: this.#i18n.bytes(bytes) });
      const button = this.#button(words, main ? "button button--main" : "button", () => onAction(action, null));
      button.dataset["action"] = action;
      button.setAttribute("aria-describedby", `model-${model.id}`);
      button.disabled = now.busy && now.work === undefined;
      row.append(button);
    }
    return row;
  }

  /** @param {ModelState} model @param {CardNow} now @param {(action: Action, names: string[] | null) => void} onAction */
  #damaged({ id, damaged, offered }, now, onAction) {
    const list = document.createElement("ul");
    list.className = "model__damaged";
    for (const name of damaged) {
      const item = document.createElement("li");
      const label = textElement("code", name);
      label.id = `part-${id}-${name.slice(0, 16)}`;
      label.dir = "ltr";
      item.append(label);
      if (offered) {
        const button = this.#button(this.#i18n.t("models.button.repair_one"), "button", () => onAction("repair", [name]));
        button.setAttribute("aria-describedby", label.id);
        button.disabled = now.busy;
        item.append(button);
      }
      list.append(item);
    }
    return list;
  }

  /** @param {string} words @param {string} className @param {() => void} onClick */
  #button(words, className, onClick) {
    const button = textElement("button", words, className);
    button.type = "button";
    button.addEventListener("click", onClick);
    return button;
  }
}
