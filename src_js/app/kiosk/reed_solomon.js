/**
 * The Reed-Solomon code of QR symbols: bytes over GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1.
 */

const FIELD = 0x11d;
const EXP = new Uint8Array(512);
const LOG = new Uint8Array(256);
for (let power = 0, value = 1; power < 255; power++) {
  EXP[power] = EXP[power + 255] = value;
  LOG[value] = power;
  value = value & 0x80 ? (value << 1) ^ FIELD : value << 1;
}

/** @param {number} a @param {number} b @returns {number} */
function times(a, b) {
  return a === 0 || b === 0 ? 0 : /** @type {number} */ (EXP[/** @type {number} */ (LOG[a]) + /** @type {number} */ (LOG[b])]);
}

/** @param {number} count @returns {Uint8Array} coefficients of (x - 2^0) .. (x - 2^(count-1)), the leading 1 left out */
function generator(count) {
  let poly = new Uint8Array([1]);
  for (let power = 0; power < count; power++) {
    const next = new Uint8Array(poly.length + 1);
    poly.forEach((coefficient, index) => {
      next[index] = /** @type {number} */ (next[index]) ^ coefficient;
      next[index + 1] = /** @type {number} */ (next[index + 1]) ^ times(coefficient, /** @type {number} */ (EXP[power]));
    });
    poly = next;
  }
  return poly.subarray(1);
}

/** @param {Uint8Array} data @param {number} count @returns {Uint8Array} `count` bytes that follow `data` */
export function correctionBytes(data, count) {
  const divisor = generator(count);
  const rest = new Uint8Array(count);
  for (const byte of data) {
    const factor = byte ^ /** @type {number} */ (rest[0]);
    rest.copyWithin(0, 1);
    rest[count - 1] = 0;
    divisor.forEach((coefficient, index) => (rest[index] = /** @type {number} */ (rest[index]) ^ times(coefficient, factor)));
  }
  return rest;
}
