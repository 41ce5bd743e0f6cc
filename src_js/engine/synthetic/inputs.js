/**
 * Made-up numbers for kernels that are compared or timed, the same in every engine: any row of activations has values that an f16
 * holds exactly, so that an f16 and an f32 kernel get the same ones.
 */

import { floatFromHalf, floatsFromHalves } from "../half.js";
import { elementBytes } from "../tensor.js";

/** Values that are drawn; longer tensors repeat them. No multiple of a usual row length, so that rows differ. */
const DRAWN = 999_996;
const LEAST_EXPONENT = 12;
const MULTIPLIER = 1664525;
const INCREMENT = 1013904223;

/** @param {number} count @param {number} [seed] @returns {Uint16Array<ArrayBuffer>} halves of either sign, magnitudes 1/8 to 2 */
export function randomHalves(count, seed = 1) {
  let state = seed >>> 0;
  return Uint16Array.from({ length: count }, () => {
    state = (Math.imul(state, MULTIPLIER) + INCREMENT) >>> 0;
    const bits = state >>> 14;                           // the low bits of such a generator are poor
    return (bits & 0x8000) | ((LEAST_EXPONENT + ((bits >> 10) & 3)) << 10) | (bits & 1023);
  });
}

/** @type {Uint16Array<ArrayBuffer> | undefined} */
let drawn;
/** @type {Float32Array<ArrayBuffer> | undefined} */
let drawnFloats;

/** @param {number} seed @returns {number} where values of a seed begin: an even place, as writes are whole words */
const placeOf = (seed) => (2 * 4099 * seed) % DRAWN;

/**
 * @param {number} count @param {number} [seed]
 * @returns {Float64Array} what `fillRandom` puts into a tensor of `count` elements
 */
export function randomValues(count, seed = 0) {
  const halves = drawn ??= randomHalves(DRAWN);
  return Float64Array.from({ length: count }, (_, i) => floatFromHalf(/** @type {number} */ (halves[(placeOf(seed) + i) % DRAWN])));
}

/**
 * Fills a tensor with random values.
 * @param {import("../engine.js").Engine} engine
 * @param {import("../tensor.js").Tensor} tensor contiguous rows, of a built program
 * @param {number} [seed] another one: other values
 */
export function fillRandom(engine, tensor, seed = 0) {
  const halves = drawn ??= randomHalves(DRAWN);
  const values = tensor.dtype === "f16" ? halves : (drawnFloats ??= floatsFromHalves(halves));
  fill(engine, tensor, (at, count) => {
    const begin = (placeOf(seed) + at) % DRAWN;
    return values.subarray(begin, begin + Math.min(count, DRAWN - begin));
  });
}

/**
 * Fills a tensor with NaN, so that what a kernel leaves unwritten is seen.
 * @param {import("../engine.js").Engine} engine
 * @param {import("../tensor.js").Tensor} tensor contiguous rows, of a built program
 */
export function poison(engine, tensor) {
  const ones = new Uint16Array(DRAWN * (elementBytes(tensor.dtype) / 2)).fill(0xffff);
  const values = tensor.dtype === "f16" ? ones : new Float32Array(ones.buffer);
  fill(engine, tensor, (_, count) => values.subarray(0, count));
}

/**
 * @param {import("../engine.js").Engine} engine @param {import("../tensor.js").Tensor} tensor
 * @param {(at: number, most: number) => Uint16Array<ArrayBuffer> | Float32Array<ArrayBuffer>} piece values from element `at` on
 */
function fill({ device }, { buffer, dtype, rows, columns, offset, stride }, piece) {
  if (stride !== columns || (offset * elementBytes(dtype)) % 4 !== 0) throw new RangeError("only whole, contiguous tensors are filled");
  const width = elementBytes(dtype);
  const count = Math.ceil((rows * columns * width) / 4) * (4 / width);   // buffers are longer than an odd count of halves
  for (let at = 0; at < count;) {
    const values = piece(at, count - at);
    device.queue.writeBuffer(buffer, (offset + at) * width, values);
    at += values.length;
  }
}
