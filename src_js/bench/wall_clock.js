/**
 * How long work takes that the page waits for: by the wall clock, warm, the median of a few runs.
 */

import { percentile } from "../statistics.js";

const USUAL_SAMPLES = 3;
const MOST_SAMPLES = 9;
/** Once samples have taken this long together, the usual number serves; and once this long, any number. */
const ENOUGH_SECONDS = 1;
const LONG_SECONDS = 3;

/**
 * @param {() => Promise<unknown>} work
 * @param {() => number} [now] milliseconds
 * @returns {Promise<number>} seconds of one run; another one before is not counted
 */
export async function timeWarm(work, now = () => performance.now()) {
  await work();
  /** @type {number[]} */
  const samples = [];
  let spent = 0;
  while (samples.length < MOST_SAMPLES && spent < (samples.length < USUAL_SAMPLES ? LONG_SECONDS : ENOUGH_SECONDS)) {
    const start = now();
    await work();
    const seconds = (now() - start) / 1000;
    samples.push(seconds);
    spent += seconds;
  }
  return percentile(samples, 0.5);
}
