/**
 * The page as the engine of `serve.py --api --attach`: makes the pictures of that server's clients in turn with the person's own, and
 * keeps none. What is said is headless.js's, who is let in kleinbild/server/generate/attached.py's. No DOM.
 */

import { KleinbildError } from "../../errors.js";
import { serveJobs } from "../headless.js";

/**
 * @typedef {import("../channel.js").Channel} Channel
 * @typedef {import("../loan_offer.js").Offer} Offer
 * @typedef {import("../headless.js").Maker} Maker
 * @typedef {"none"|"off"|"on"|"making"|"away"|"old"} LoanState none: nothing to be said; away: the server does not answer; old: this
 *   page is of another build than the server's
 */

/** Close codes of the server; 1006 is the browser's, where nothing answers. */
const WRONG_TOKEN = 4001;
const OTHER_BUILD = 4002;
const NO_ANSWER = 1006;
const RETRY_MS = 1000;
const MAX_RETRY_MS = 30_000;

/** @implements {Maker} */
export class Loan {
  #parts;
  /** @type {Offer | undefined} */
  #offer;
  /** Whether this tab has the GPU. */
  #here = false;
  /** @type {Pick<Channel, "onClosed"|"close"> | null} */
  #channel = null;
  #met = false;
  #accepted = false;
  #old = false;
  #making = false;
  /** @type {(() => void) | undefined} ends the picture that is waiting or in the making */
  #stop;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #retryMs = RETRY_MS;

  /**
   * @param {object} parts
   * @param {string} parts.manifestUrl of the model that the server tells its clients of
   * @param {Pick<import("./studio.js").Studio, "make"|"cancel"|"adapter">} parts.studio
   * @param {Pick<import("./queue_runner.js").QueueRunner, "lend"|"recall">} parts.runner
   * @param {Maker["plan"]} parts.plan
   * @param {(token: string) => Channel} parts.open
   * @param {(state: LoanState) => void} parts.show
   * @param {(offer: Offer | undefined) => void} parts.keep
   */
  constructor(parts) {
    this.#parts = parts;
    this.plan = parts.plan;
  }

  /** @param {Offer} offer */
  take(offer) {
    this.#offer = offer;
    this.#met = this.#old = false;
    if (this.#channel) this.#channel.close();
    else this.#connect();
  }

  /** Lends, or stops it, as somebody wishes; remembered. @param {boolean} lent */
  lend(lent) {
    if (!this.#offer) return;
    this.#offer = { ...this.#offer, lent };
    this.#parts.keep(this.#offer);
    if (!lent) this.#channel?.close();
    this.#old = false;
    this.#connect();
  }

  /** @param {import("../events.js").AppEvents["gpu"]["hold"]} hold what this tab has of the GPU */
  setHold(hold) {
    this.#here = hold === "here";
    if (hold === "away") this.#channel?.close();             // the server hands its picture to the next page
    this.#connect();
  }

  /** The server took this page: there is nothing to start before its first picture. */
  async start() {
    this.#met = this.#accepted = true;
    this.#retryMs = RETRY_MS;
    this.#tell();
    return { vendor: this.#parts.studio.adapter, architecture: "", description: "", precision: /** @type {const} */ ("auto") };
  }

  /** @type {Maker["generate"]} */
  generate(settings, { memoryBudget = null, onProgress, onPreview } = {}) {
    const { studio, runner, manifestUrl } = this.#parts;
    return new Promise((resolve, reject) => {
      if (!this.#here) return;                               // about to go: the next page makes it
      const cancelled = () => reject(new KleinbildError("cancelled", "The picture was cancelled."));
      this.#stop = () => {
        if (runner.recall()) cancelled();
        else studio.cancel();
      };
      runner.lend(async () => {
        this.#setMaking(true);
        const failure = await studio.make(settings, false, { manifestUrl, memoryBudget, onProgress, onPreview, onResult: resolve });
        this.#stop = undefined;
        this.#setMaking(false);
        if (failure) reject(failure);
      });
    });
  }

  cancel() {
    this.#stop?.();
    this.#stop = undefined;
  }

  #connect() {
    clearTimeout(this.#timer);
    if (!this.#channel && this.#here && !this.#old && this.#offer?.lent) {
      const channel = this.#parts.open(this.#offer.token);
      this.#channel = channel;
      channel.onClosed = (code) => this.#ended(code);
      serveJobs(channel, this, this.#parts.manifestUrl).catch(() => channel.close());
    }
    this.#tell();
  }

  /** @param {number} code why the conversation ended */
  #ended(code) {
    this.#channel = null;
    this.#accepted = false;
    this.cancel();
    if (code === WRONG_TOKEN || (code === NO_ANSWER && !this.#met)) {
      this.#offer = undefined;
      this.#parts.keep(undefined);
    }
    this.#old = code === OTHER_BUILD;
    this.#tell();
    this.#timer = setTimeout(() => this.#connect(), this.#retryMs);
    this.#retryMs = Math.min(2 * this.#retryMs, MAX_RETRY_MS);
  }

  /** @param {boolean} making */
  #setMaking(making) {
    this.#making = making;
    this.#tell();
  }

  #tell() {
    this.#parts.show(this.#state());
  }

  /** @returns {LoanState} */
  #state() {
    if (!this.#offer || !this.#here) return "none";
    if (!this.#offer.lent) return "off";
    if (this.#old) return "old";
    if (this.#making) return "making";
    if (this.#accepted) return "on";
    return this.#met ? "away" : "none";
  }
}
