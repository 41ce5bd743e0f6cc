/**
 * Whether a kernel computes what it should on this GPU: its result on made-up data against the plainest kernel's in f32, or against
 * numbers worked out in JavaScript. Drivers and shader compilers have faults that no test elsewhere can find.
 */

import { operatorOf } from "./kinds.js";

/** @typedef {import("../kernel_source.js").FloatType} FloatType */

/**
 * Root mean square of the difference, as a share of the reference's, that rounding may make: by operator, and
 * by what the kernel computes with.
 * @type {Record<string, Record<FloatType, number>>}
 */
const LIMITS = {
  linear: { f16: 1.5e-3, f32: 2e-5 },                      // packed halves reach 1e-3; what is wrong is far beyond
  attention: { f16: 2e-3, f32: 5e-5 },
  conv2d: { f16: 2e-3, f32: 2e-5 },
};
/** Other kinds round once or twice an element. */
const OTHER_LIMITS = { f16: 1e-3, f32: 2e-5 };

/** @param {string} kind "linear.q4.b32" @param {FloatType} precision @returns {number} the largest error that is right */
export function errorLimit(kind, precision) {
  return (LIMITS[operatorOf(kind)] ?? OTHER_LIMITS)[precision];
}

/** A single element may be this many times further off than all of them on average: rounding is, a misplaced element is more. */
const SPIKE = 32;

/**
 * @param {ArrayLike<number>} values
 * @param {ArrayLike<number>} reference as many
 * @returns {number} rms(values - reference) / rms(reference), or, if more, the largest difference / rms(reference) / SPIKE; Infinity
 *   when any value is not finite or the counts differ
 */
export function relativeError(values, reference) {
  if (values.length !== reference.length) return Infinity;
  let squares = 0;
  let total = 0;
  let largest = 0;
  for (let i = 0; i < reference.length; i++) {
    const expected = /** @type {number} */ (reference[i]);
    const difference = Math.abs(/** @type {number} */ (values[i]) - expected);
    squares += difference ** 2;
    total += expected ** 2;
    if (difference > largest) largest = difference;
  }
  if (squares === 0) return 0;
  const error = Math.max(Math.sqrt(squares / total), largest / Math.sqrt(total / reference.length) / SPIKE);
  return Number.isFinite(error) ? error : Infinity;
}
