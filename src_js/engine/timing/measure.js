/**
 * How long a piece of GPU work takes, from a clock that times any number of repeats of it: short work is repeated until the clock is
 * exact enough, and the median of several samples is taken. Knows no GPU; gpu_clock.js is the clock.
 */

/** A sample lasts at least this long when it is first tried: browsers round timestamps to 0.1 ms, and a wall clock also sees the submit. */
const SAMPLE_SECONDS = 0.015;
const SAMPLES = 5;
/** Once samples have taken this long together, fewer serve. */
const ENOUGH_SECONDS = 0.25;
const MOST_REPEATS = 4096;
/**
 * A GPU that waited, for a compiler or for JavaScript, clocks down, and comes back after a while of work: samples count once it worked
 * this long, from the first two in a row that differ by no more than a part of STEADY.
 */
const LEAST_WARM_SECONDS = 0.05;
const STEADY = 0.03;
/** Once it worked this long without that, they count as they are. */
const MOST_WARM_SECONDS = 0.3;
/** A clock that shows nothing does not tell that. */
const MOST_WARM_SAMPLES = 24;
/** A run this many times slower than wanted is no matter of memory, caches and clocks. */
const COLD = 4;
/** The growth of one try to the next: the first, cold run says little about the next ones. */
const MOST_GROWTH = 8;

/**
 * @typedef {object} Measured
 * @property {number} seconds of one run: the median
 * @property {boolean} whole false when it was given up once it was seen to be slow
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
  let busy = cold + seconds;
  while (seconds < SAMPLE_SECONDS && repeats < MOST_REPEATS) {
    const growth = Math.min(MOST_GROWTH, Math.max(2, (1.2 * SAMPLE_SECONDS) / Math.max(seconds, 1e-9)));
    repeats = Math.min(MOST_REPEATS, Math.ceil(repeats * growth));
    seconds = await time(repeats);
    busy += seconds;
  }
  const first = seconds / repeats;
  if (first > COLD * limit) return { seconds: first, whole: false };
  const sample = async () => (await time(repeats)) / repeats;
  const samples = await warmUp(first, { repeats, sample, busy });
  const last = /** @type {number} */ (samples.at(-1));
  if (last > limit) return { seconds: last, whole: false };
  while ((samples.length < SAMPLES || stillFaster(samples)) && sum(samples) * repeats < ENOUGH_SECONDS) samples.push(await sample());
  return { seconds: median(samples.slice(-SAMPLES)), whole: true };
}

/**
 * @param {number} first sample, seconds of one run
 * @param {object} options
 * @param {number} options.repeats runs of a sample
 * @param {() => Promise<number>} options.sample takes another one
 * @param {number} options.busy seconds that the GPU worked so far
 * @returns {Promise<number[]>} the samples that count so far: two steady ones, or the last of those for which there was time
 */
async function warmUp(first, { repeats, sample, busy }) {
  const samples = [first];
  let before = first;
  while (busy < MOST_WARM_SECONDS && samples.length < MOST_WARM_SAMPLES) {
    const next = await sample();
    busy += next * repeats;
    if (busy >= LEAST_WARM_SECONDS && Math.abs(next - before) <= STEADY * Math.min(next, before)) return [before, next];
    samples.push(next);
    before = next;
  }
  return samples.slice(-SAMPLES);
}

/** @param {readonly number[]} samples @returns {boolean} whether the last of those that count tells that the clock still rises */
function stillFaster(samples) {
  return /** @type {number} */ (samples.at(-1)) < (1 - STEADY) * median(samples.slice(-SAMPLES));
}

/** @param {readonly number[]} values @returns {number} */
function sum(values) {
  return values.reduce((a, b) => a + b, 0);
}

/** @param {readonly number[]} values at least one @returns {number} the lower one of two middle values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return /** @type {number} */ (sorted[(sorted.length - 1) >> 1]);
}
