/**
 * How long the stages of a picture took, as its progress tells it: what a next picture is predicted from. Loading and downloading lie
 * between the stages and count to none. Time is passed in; nothing here waits.
 */

import { percentile } from "../../statistics.js";

/** @typedef {import("../../protocol.js").Progress} Progress */

/**
 * @typedef {object} StageSeconds
 * @property {number} text_encoder 0 when the prompt's embeddings were there already
 * @property {number} transformer of one step
 * @property {number} vae_decoder
 */

export class StageClock {
  /** @type {Progress["stage"] | null} */
  #stage = null;
  /** Since when this stage goes on, or this step. */
  #since = 0;
  #step = 0;
  /** @type {number[]} */
  #steps = [];
  #text = 0;
  #decoded = 0;

  /** @param {Pick<Progress, "stage"|"step">} progress @param {number} now seconds on any clock that only goes on */
  observe({ stage, step }, now) {
    if (stage !== this.#stage) {
      this.#leave(step, now);
      this.#stage = stage;
      this.#since = now;
      this.#step = step;
    } else if (stage === "transformer" && step > this.#step) {
      this.#countSteps(step, now);
    }
  }

  /** The picture is there. @param {number} now seconds */
  end(now) {
    this.#leave(this.#step, now);
    this.#stage = null;
  }

  /** The GPU was lost: what goes on now began now. @param {number} step finished ones that are kept @param {number} now seconds */
  restart(step, now) {
    this.#stage = null;
    this.#step = step;
    this.#since = now;
  }

  get stage() {
    return this.#stage;
  }

  /** @param {number} now seconds @returns {number} seconds that this stage has taken so far, or this step */
  elapsed(now) {
    return Math.max(0, now - this.#since);
  }

  /** Whether the prompt was read: what is loaded now is for later stages. */
  get textDone() {
    return this.#text > 0;
  }

  /** @returns {number | null} seconds of a step, the median of those that were seen; null before the first */
  get stepSeconds() {
    return this.#steps.length > 0 ? percentile(this.#steps, 0.5) : null;
  }

  /** @returns {StageSeconds | null} of a picture that has ended; null when it was too quick to be seen */
  get measured() {
    const transformer = this.stepSeconds;
    if (transformer === null || this.#decoded === 0) return null;
    return { text_encoder: this.#text, transformer, vae_decoder: this.#decoded };
  }

  /** @param {number} step that the next stage tells @param {number} now */
  #leave(step, now) {
    if (this.#stage === "text_encoder") this.#text += now - this.#since;
    if (this.#stage === "vae_decoder") this.#decoded += now - this.#since;
    if (this.#stage === "transformer" && step > this.#step) this.#countSteps(step, now);
  }

  /** @param {number} step @param {number} now */
  #countSteps(step, now) {
    const each = (now - this.#since) / (step - this.#step);
    for (let i = this.#step; i < step; i++) this.#steps.push(each);
    this.#step = step;
    this.#since = now;
  }
}
