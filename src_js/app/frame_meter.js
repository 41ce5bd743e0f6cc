/**
 * How regularly the page draws: the time between its animation frames, from `begin` to `end`.
 */

import { percentile } from "../statistics.js";

export class FrameMeter {
  /** @type {number[]} milliseconds */
  #times = [];
  /** @type {number | undefined} */
  #request;

  begin() {
    this.#times = [];
    this.#watch();
  }

  /** @returns {import("../bench_protocol.js").FrameTimes} since `begin`; zeros when fewer than two frames were drawn */
  end() {
    if (this.#request !== undefined) cancelAnimationFrame(this.#request);
    return frameTimes(this.#times);
  }

  #watch() {
    this.#request = requestAnimationFrame((time) => {
      this.#times.push(time);
      this.#watch();
    });
  }
}

/** @param {readonly number[]} times of frames, milliseconds, ascending @returns {import("../bench_protocol.js").FrameTimes} */
export function frameTimes(times) {
  const between = times.slice(1).map((time, i) => (time - /** @type {number} */ (times[i])) / 1000);
  if (between.length === 0) return { median: 0, p95: 0, worst: 0, count: 0 };
  return { median: percentile(between, 0.5), p95: percentile(between, 0.95), worst: Math.max(...between), count: between.length };
}
