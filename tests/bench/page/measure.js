/**
 * Times a prepared job by the wall clock, from the first run of a round to the end of the GPU's queue, and looks at its result: a
 * dispatch that WebGPU refused would be quick, too.
 */

/** A round is repeated runs of about this long, so that waiting for the queue does not count. */
const ROUND_MS = 150;
const MOST_REPEATS = 64;
const ROUNDS = 3;
/** No further round begins after so long: slow jobs vary little. */
const ENOUGH_MS = 2000;
const EXPONENT_BITS = Object.freeze({ float16: 0x7c00, float32: 0x7f800000 });

/** @param {import("./worker.js").Prepared} prepared @returns {Promise<number[]>} ms of one run, by round */
export async function measure(prepared) {
  await prepared.run(1);                                              // compiles, fills caches
  const first = await time(prepared, 1);
  const repeats = Math.min(MOST_REPEATS, Math.ceil(ROUND_MS / Math.max(first, 0.1)));
  const ms = repeats === 1 ? [first] : [];
  for (let spent = first; ms.length < ROUNDS && spent < ENOUGH_MS;) {
    const round = await time(prepared, repeats);
    ms.push(round / repeats);
    spent += round;
  }
  checkValues(await prepared.sample(), prepared.type);
  return ms;
}

/** @param {import("./worker.js").Prepared} prepared @param {number} repeats @returns {Promise<number>} ms of all repeats */
async function time(prepared, repeats) {
  const start = performance.now();
  await prepared.run(repeats);
  return performance.now() - start;
}

/** @param {ArrayBuffer} bytes @param {"float16"|"float32"} type @throws {Error} for values that no computation on random numbers gives */
export function checkValues(bytes, type) {
  const bits = type === "float16" ? new Uint16Array(bytes) : new Uint32Array(bytes);
  const exponent = EXPONENT_BITS[type];
  if (bits.some((value) => (value & exponent) === exponent)) throw new Error("the result holds infinities or NaN");
  if (new Set(bits).size < Math.min(bits.length, 16)) throw new Error("the result is constant: nothing was computed");
}
