/**
 * The kiosk's server, as the page asks it: settings, signs of life, the PIN, pictures to keep, show and take home. What is on the other
 * side is kleinbild/server/kiosk/desk.py. Knows no elements.
 */

import { KleinbildError } from "../../errors.js";

/**
 * @typedef {object} Card a prompt to choose; title: by language, "" for all others; seed: decimal, null for another one every time
 * @property {Record<string, string>} title
 * @property {string} prompt
 * @property {string | null} size "512x512", null for the visitor's choice
 * @property {string | null} seed
 *
 * @typedef {object} KioskConfig the operator's settings
 * @property {("en"|"de"|"ar")[]} languages the first is the one that every visit begins in
 * @property {number} idleSeconds
 * @property {number} countdownSeconds
 * @property {string[]} refusedWords
 * @property {Card[]} cards
 * @property {boolean} ownPrompts
 * @property {[number, number][]} sizes
 * @property {number | null} steps
 * @property {number | null} memoryBytes
 * @property {boolean} attract whether there is a folder of pictures to show
 * @property {boolean} keepPictures
 * @property {boolean} pin
 * @property {{ qr: boolean, seconds: number } | null} takeHome
 */

/** @typedef {{ state: string, pictures: number, problem: string, restart: boolean }} Sign of life */
/** @typedef {{ token: string, status: Record<string, unknown> } | { triesLeft: number, wait: number }} PinAnswer */

const KEPT_CONFIG = "kleinbild.kiosk";
const TIMEOUT_MS = 10_000;

export class Desk {
  /** @param {Pick<Storage, "getItem"|"setItem">} storage holds the last settings, which are no secret, for a start without the server */
  constructor(storage) {
    this.storage = storage;
  }

  /**
   * @returns {Promise<KioskConfig | null>} null: the server does not answer, and never has
   * @throws {KleinbildError} "bad-input": a server that is no kiosk's
   */
  async config() {
    try {
      const answer = await request("/kiosk/config.json");
      if (answer.status === 404) throw new KleinbildError("bad-input", "The server is no kiosk's.");
      if (!answer.ok) throw new TypeError(`status ${answer.status}`);
      const text = await answer.text();
      this.storage.setItem(KEPT_CONFIG, text);
      return JSON.parse(text);
    } catch (error) {
      if (error instanceof KleinbildError) throw error;
      const kept = this.storage.getItem(KEPT_CONFIG);
      return kept === null ? null : JSON.parse(kept);
    }
  }

  /** Tells that the page lives. Never rejects: a server that is away is the supervisor's business. @param {Sign} sign */
  async alive(sign) {
    await post("/kiosk/alive", JSON.stringify(sign)).catch(() => undefined);
  }

  /** @returns {Promise<string[]>} addresses of the pictures to show, [] without any, or without a server */
  async pictures() {
    try {
      const answer = await request("/kiosk/pictures");
      return answer.ok ? await answer.json() : [];
    } catch {
      return [];
    }
  }

  /** @param {string} pin @returns {Promise<PinAnswer>} @throws {Error} when the server does not answer */
  async enter(pin) {
    const answer = await post("/kiosk/pin", JSON.stringify({ pin }));
    if (answer.ok) return answer.json();
    if (answer.status !== 403 && answer.status !== 429) throw new TypeError(`status ${answer.status}`);
    const { tries_left: triesLeft, wait } = await answer.json();
    return { triesLeft, wait };
  }

  /** @param {"restart"|"leave"} command @param {string} token @returns {Promise<boolean>} false: the token is too old */
  async command(command, token) {
    return (await post("/kiosk/command", JSON.stringify({ command, token }))).ok;
  }

  /** Never rejects: a picture that is not kept is no visitor's trouble. @param {Uint8Array<ArrayBuffer>} png */
  async keep(png) {
    await post("/kiosk/keep", png).catch(() => undefined);
  }

  /** @param {Uint8Array<ArrayBuffer>} png @returns {Promise<string>} the address to fetch it at @throws {Error} */
  async takeHome(png) {
    const answer = await post("/kiosk/take-home", png);
    if (!answer.ok) throw new TypeError(`status ${answer.status}`);
    const { url } = await answer.json();
    return url;
  }
}

/** @param {string} path @param {RequestInit} [options] */
function request(path, options = {}) {
  return fetch(path, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS), ...options });
}

/** @param {string} path @param {BodyInit} body */
function post(path, body) {
  return request(path, { method: "POST", body });
}
