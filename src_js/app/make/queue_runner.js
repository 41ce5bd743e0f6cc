/**
 * Works the queue off, one picture after another, until it is empty, paused, or something fails; a picture for somebody else has a turn
 * between two of them. Knows neither the GPU nor the page.
 */

import { KleinbildError } from "../../errors.js";

/** @typedef {import("./queue.js").PictureQueue} PictureQueue */
/** @typedef {import("../../protocol.js").Settings} Settings */

/** What the next try would not change. */
const HOPELESS = new Set(["bad-input", "too-large"]);

export class QueueRunner {
  #queue;
  #make;
  #onChange;
  #running = false;
  #held = false;
  /** @type {{ id: number, seed: string } | null} */
  #making = null;
  /** @type {(() => Promise<unknown>) | null} somebody else's picture */
  #guest = null;

  /**
   * @param {PictureQueue} queue
   * @param {(settings: Settings, keepPrompt: boolean) => Promise<KleinbildError | null>} make null when the picture is made
   * @param {() => void} onChange another picture is in the making, or none
   */
  constructor(queue, make, onChange) {
    this.#queue = queue;
    this.#make = make;
    this.#onChange = onChange;
  }

  /** Whether it works the queue off. */
  get running() {
    return this.#running;
  }

  /** Whether something else has the GPU, so that pictures wait. */
  get held() {
    return this.#held;
  }

  /** @param {boolean} held whether something else has the GPU: no picture begins meanwhile, and those that wait do afterwards */
  hold(held) {
    if (held === this.#held) return;
    this.#held = held;
    if (!held) void this.run();
  }

  /** @returns {{ id: number, seed: string } | null} the order and the seed of the picture in the making */
  get making() {
    return this.#making;
  }

  /**
   * Goes on with the queue unless it is going on already.
   * @returns {Promise<void>} when it is empty or paused; never rejected
   */
  async run() {
    if (this.#running) return;
    this.#running = true;
    try {
      for (let turn = this.#next(); turn; turn = this.#next()) await turn();
    } finally {
      this.#running = false;
      this.#onChange();
    }
  }

  /**
   * Gives somebody else's picture the next turn, also while the queue is paused. One at a time: who lends waits for its end before the
   * next, so that the own queue has its turn in between.
   * @param {() => Promise<unknown>} make never rejected
   */
  lend(make) {
    this.#guest = make;
    void this.run();
  }

  /** @returns {boolean} whether somebody else's picture was still waiting; it is not made */
  recall() {
    const waiting = this.#guest !== null;
    this.#guest = null;
    return waiting;
  }

  /** @returns {(() => Promise<unknown>) | null} makes the picture whose turn it is */
  #next() {
    if (this.#held) return null;
    const guest = this.#guest;
    this.#guest = null;
    const order = this.#queue.next;
    return guest ?? (order && !this.#queue.paused ? () => this.#makeFirstOf(order) : null);
  }

  /** @param {import("./queue.js").Order} order */
  async #makeFirstOf({ id, prompt, width, height, steps, keepPrompt, seeds }) {
    const seed = /** @type {string} */ (seeds[0]);
    this.#making = { id, seed };
    this.#onChange();
    const failure = await this.#make({ prompt, width, height, steps, seed: BigInt(seed), latents: null }, keepPrompt);
    this.#making = null;
    this.#settle(id, seed, failure);
  }

  /**
   * A failure stops the queue: whatever broke would break the next picture, too. The picture that failed is tried again first, unless
   * that is hopeless or it was alone: then whoever asked for it sees the failure and asks again.
   * @param {number} id @param {string} seed @param {KleinbildError | null} failure
   */
  #settle(id, seed, failure) {
    if (failure === null) return this.#queue.done(id, seed);
    if (failure.code === "cancelled" || HOPELESS.has(failure.code) || this.#queue.length === 1) this.#queue.done(id, seed);
    if (this.#queue.length > 0) this.#queue.paused = true;
  }
}
