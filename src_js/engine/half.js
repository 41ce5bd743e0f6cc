/**
 * IEEE 754 half precision in plain JavaScript: Float16Array is not there in every engine we run on.
 */

/** @param {number} bits @returns {number} the value of a half given as its 16 bits */
export function floatFromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** @type {Float32Array<ArrayBuffer> | undefined} the value of every half, by its bits */
let table;

/** @param {Uint16Array} bits @returns {Float32Array<ArrayBuffer>} their values, from a table: results have millions */
export function floatsFromHalves(bits) {
  const values = table ??= Float32Array.from({ length: 0x10000 }, (_, i) => floatFromHalf(i));
  const floats = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) floats[i] = /** @type {number} */ (values[/** @type {number} */ (bits[i])]);
  return floats;
}
