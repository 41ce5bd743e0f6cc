/**
 * Random inputs, the same at every run and of the kind that our own engine gets, as unsigned integers with the bits of floats.
 */

import { floatFromHalf } from "../../../src_js/engine/half.js";
import { randomHalves } from "../../../src_js/engine/synthetic/inputs.js";

/** Values that are drawn; a longer input repeats them. No multiple of a usual row length, so that rows differ. */
const DRAWN = 999_998;

/** @typedef {"float16"|"float32"} FloatType as ONNX Runtime names them */

/** @param {FloatType} type @param {number} count @returns {Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>} */
export function randomBits(type, count) {
  const halves = randomHalves(Math.min(DRAWN, count));
  const drawn = type === "float16" ? halves : new Uint32Array(Float32Array.from(halves, floatFromHalf).buffer);
  const bits = type === "float16" ? new Uint16Array(count) : new Uint32Array(count);
  for (let at = 0; at < count; at += drawn.length) bits.set(drawn.subarray(0, count - at), at);
  return bits;
}

/** @param {number} count values @param {FloatType} type @returns {number} */
export function byteLength(count, type) {
  return count * (type === "float16" ? 2 : 4);
}
