/**
 * The 32-bit Mersenne Twister (Matsumoto & Nishimura 1998, MT19937), seeded with `init_genrand`, because torch's CPU
 * generator is this one and a seed is meant to give the same starting noise here as there. Not a general random
 * source: nothing else in the page draws from it.
 */

const STATE_SIZE = 624;
const SHIFT_SIZE = 397;
const MATRIX_A = 0x9908b0df;
const UPPER_MASK = 0x80000000;
const LOWER_MASK = 0x7fffffff;

export class Mt19937 {
  /** @param {number} seed An unsigned 32-bit integer. */
  constructor(seed) {
    const state = new Int32Array(STATE_SIZE);
    state[0] = seed;
    for (let i = 1; i < STATE_SIZE; i++) {
      const previous = state[i - 1] ?? 0;
      state[i] = Math.imul(1812433253, previous ^ (previous >>> 30)) + i;
    }
    this.state = state;
    this.index = STATE_SIZE;
  }

  /** @returns {number} The next 32 bits as a signed integer (mask or `>>> 0` it as needed). */
  nextInt32() {
    if (this.index === STATE_SIZE) this.twist();
    let y = /** @type {number} */ (this.state[this.index++]);
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return y ^ (y >>> 18);
  }

  twist() {
    const state = this.state;
    for (let i = 0; i < STATE_SIZE; i++) {
      const next = /** @type {number} */ (state[i + 1 === STATE_SIZE ? 0 : i + 1]);
      const farAt = i + SHIFT_SIZE < STATE_SIZE ? i + SHIFT_SIZE : i + SHIFT_SIZE - STATE_SIZE;
      const far = /** @type {number} */ (state[farAt]);
      const y = (/** @type {number} */ (state[i]) & UPPER_MASK) | (next & LOWER_MASK);
      state[i] = far ^ (y >>> 1) ^ (y & 1 ? MATRIX_A : 0);
    }
    this.index = 0;
  }
}
