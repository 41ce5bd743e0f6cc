/**
 * One screen at a time: shows it, and moves the focus to its heading so that a screen reader begins there.
 */

/** @typedef {"starting"|"attract"|"compose"|"making"|"result"|"failure"} ScreenName */

export class Screens {
  /** @type {ScreenName} */
  #shown = "starting";

  /** @param {HTMLElement} body @param {(name: ScreenName) => void} onShow */
  constructor(body, onShow) {
    this.body = body;
    this.onShow = onShow;
  }

  get shown() {
    return this.#shown;
  }

  /** @param {ScreenName} name */
  show(name) {
    this.#shown = name;
    this.body.dataset["screen"] = name;
    for (const section of this.body.querySelectorAll("section[data-screen]")) {
      const screen = /** @type {HTMLElement} */ (section);
      screen.hidden = screen.dataset["screen"] !== name;
      if (!screen.hidden) screen.querySelector("h1")?.focus({ preventScroll: true });
    }
    this.onShow(name);
  }
}
