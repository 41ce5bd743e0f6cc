/**
 * Works the queue off, one picture after another, until it is empty, paused, or something fails. Knows neither the GPU nor the page.
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
  /** @type {{ id: number, seed: string } | null} */
  #making = null;

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
      for (let order = this.#queue.next; order && !this.#queue.paused; order = this.#queue.next) {
        const { id, prompt, width, height, steps, keepPrompt } = order;
        const seed = /** @type {string} */ (order.seeds[0]);
        this.#making = { id, seed };
        this.#onChange();
        const failure = await this.#make({ prompt, width, height, steps, seed: BigInt(seed), latents: null }, keepPrompt);
        this.#making = null;
        this.#settle(id, seed, failure);
      }
    } finally {
      this.#running = false;
      this.#onChange();
    }
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
