/**
 * The operator's way in: the PIN pad, and behind it the state of the machine and the ways out. A wrong PIN costs time, which the server
 * counts; here it is only shown.
 */

import { element } from "../elements.js";

const MAX_DIGITS = 12;

/**
 * @typedef {object} Parts
 * @property {Pick<import("./desk.js").Desk, "enter"|"command">} desk
 * @property {(key: string, values?: Record<string, string | number>) => string} t
 * @property {() => Promise<string>} describe the page's part of the diagnosis
 * @property {() => boolean} hasPin
 */

export class OperatorView {
  #pin = "";
  #token = "";
  #wait = 0;
  #dialog = element("pin", HTMLDialogElement);
  #desk = element("desk", HTMLDialogElement);
  #dots = element("pin-dots", HTMLElement);
  #entered = element("pin-entered", HTMLElement);
  #message = element("pin-message", HTMLElement);
  #pad = element("pin-pad", HTMLElement);
  #deskMessage = element("desk-message", HTMLElement);
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #clock;

  /** @param {Parts} parts */
  constructor(parts) {
    this.parts = parts;
    this.#pad.addEventListener("click", ({ target }) => {
      const digit = target instanceof HTMLElement ? target.dataset["digit"] : undefined;
      if (digit !== undefined) this.#type(digit);
    });
    this.#dialog.addEventListener("keydown", (event) => {
      if (/^[0-9]$/.test(event.key)) this.#type(event.key);
      else if (event.key === "Backspace") this.#delete();
    });
    element("pin-delete", HTMLButtonElement).addEventListener("click", () => this.#delete());
    element("pin-enter", HTMLButtonElement).addEventListener("click", () => void this.#enter());
    element("pin-cancel", HTMLButtonElement).addEventListener("click", () => this.close());
    element("desk-back", HTMLButtonElement).addEventListener("click", () => this.close());
    element("desk-restart", HTMLButtonElement).addEventListener("click", () => void this.#command("restart"));
    element("desk-leave", HTMLButtonElement).addEventListener("click", () => void this.#command("leave"));
    this.#dialog.addEventListener("close", () => this.#forgetPin());
    this.#desk.addEventListener("close", () => this.#forgetDesk());
  }

  open() {
    if (this.#dialog.open || this.#desk.open) return;
    this.#forgetPin();
    const locked = !this.parts.hasPin();
    this.#enable(!locked && this.#wait <= 0);
    if (locked) this.#message.textContent = this.parts.t("kiosk.pin.none");
    this.#dialog.showModal();
  }

  close() {
    this.#dialog.close();
    this.#desk.close();
  }

  #forgetPin() {
    this.#pin = "";
    if (this.#wait <= 0) this.#message.textContent = "";
    this.#showDigits();
  }

  #forgetDesk() {
    this.#token = "";
    this.#deskMessage.textContent = "";
    element("desk-text", HTMLElement).textContent = "";
  }

  /** @param {string} digit */
  #type(digit) {
    if (this.#wait > 0 || !this.parts.hasPin() || this.#pin.length >= MAX_DIGITS) return;
    this.#pin += digit;
    this.#message.textContent = "";
    this.#showDigits();
  }

  #delete() {
    this.#pin = this.#pin.slice(0, -1);
    this.#showDigits();
  }

  #showDigits() {
    this.#dots.textContent = "\u25cf".repeat(this.#pin.length);
    this.#entered.textContent = this.#pin === "" ? "" : this.parts.t("kiosk.pin.entered", { count: this.#pin.length });
  }

  async #enter() {
    const pin = this.#pin;
    if (pin === "" || this.#wait > 0) return;
    this.#pin = "";
    this.#showDigits();
    const answer = await this.parts.desk.enter(pin).catch(() => null);
    if (!this.#dialog.open) return;
    if (answer === null) this.#message.textContent = this.parts.t("kiosk.pin.unreachable");
    else if ("token" in answer) await this.#openDesk(answer.token, answer.status);
    else if (answer.wait > 0) this.#lock(answer.wait);
    else this.#message.textContent = this.parts.t("kiosk.pin.wrong", { count: answer.triesLeft });
  }

  /** @param {string} token @param {Record<string, unknown>} status */
  async #openDesk(token, status) {
    const text = [...Object.entries(status).map(line), await this.parts.describe()].join("\n");
    this.#dialog.close();
    this.#token = token;
    element("desk-text", HTMLElement).textContent = text;
    this.#desk.showModal();
  }

  /** @param {number} seconds */
  #lock(seconds) {
    this.#wait = Math.ceil(seconds);
    this.#enable(false);
    clearInterval(this.#clock);
    const show = () => {
      this.#message.textContent = this.#wait > 0 ? this.parts.t("kiosk.pin.locked", { count: this.#wait }) : "";
      if (this.#wait > 0) return;
      clearInterval(this.#clock);
      this.#enable(true);
    };
    show();
    this.#clock = setInterval(() => {
      this.#wait -= 1;
      show();
    }, 1000);
  }

  /** @param {boolean} enabled */
  #enable(enabled) {
    for (const button of this.#pad.querySelectorAll("button")) button.disabled = !enabled;
  }

  /** @param {"restart"|"leave"} command */
  async #command(command) {
    const token = this.#token;
    const done = await this.parts.desk.command(command, token).catch(() => null);
    if (done === null) this.#deskMessage.textContent = this.parts.t("kiosk.pin.unreachable");
    else if (!done) this.#deskMessage.textContent = this.parts.t("kiosk.desk.expired");
  }
}

/** @param {[string, unknown]} entry @returns {string} */
function line([name, value]) {
  return `${name}: ${typeof value === "object" ? JSON.stringify(value) : String(value)}`;
}
