/**
 * How long a piece of GPU work takes, from a clock that times any number of repeats of it: short work is repeated until the clock is
 * exact enough, and the median of several samples is taken. Knows no GPU; gpu_clock.js is the clock.
 */

/** A sample lasts at least this long: browsers round timestamps to 0.1 ms, and a wall clock also sees the submit. */
const SAMPLE_SECONDS = 0.015;
const SAMPLES = 5;
/** Once samples have taken this long together, fewer serve. */
const ENOUGH_SECONDS = 0.25;
const MOST_REPEATS = 4096;
/** A first run this many times slower than wanted is no matter of memory and caches. */
const COLD = 4;
/** The growth of one try to the next: the first, cold run says little about the next ones. */
const MOST_GROWTH = 8;

/**
 * @typedef {object} Measured
 * @property {number} seconds of one run: the median
 * @property {boolean} whole false when it was given up after the first run or sample
 */

/**
 * @param {(repeats: number) => Promise<number>} time seconds that `repeats` runs take together
 * @param {number} [limit] seconds of one run beyond which nobody wants to know it more exactly
 * @returns {Promise<Measured>}
 */
export async function measure(time, limit = Infinity) {
  const cold = await time(1);                            // pays for memory and caches, too
  if (cold > COLD * limit) return { seconds: cold, whole: false };
  let repeats = 1;
  let seconds = await time(repeats);
  while (seconds < SAMPLE_SECONDS && repeats < MOST_REPEATS) {
    const growth = Math.min(MOST_GROWTH, Math.max(2, (1.2 * SAMPLE_SECONDS) / Math.max(seconds, 1e-9)));
    repeats = Math.min(MOST_REPEATS, Math.ceil(repeats * growth));
    seconds = await time(repeats);
  }
  const samples = [seconds / repeats];
  if (seconds / repeats > limit) return { seconds: seconds / repeats, whole: false };
  for (let spent = seconds; samples.length < SAMPLES && spent < ENOUGH_SECONDS; spent += seconds) {
    seconds = await time(repeats);
    samples.push(seconds / repeats);
  }
  return { seconds: median(samples), whole: true };
}

/** @param {number[]} values at least one @returns {number} the lower one of two middle values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return /** @type {number} */ (sorted[(sorted.length - 1) >> 1]);
}
