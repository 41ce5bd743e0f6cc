/**
 * Random inputs that can be drawn again: every run takes a fresh seed and prints it; TEST_SEED=<seed> repeats the run.
 * The generator is the tests' own (a 32-bit mixing counter), not the noise of pipeline/.
 */

export class Random {
  /** @param {number} seed */
  constructor(seed) {
    this.state = seed >>> 0;
  }

  /** @returns {number} in [0, 1), 32 bits */
  next() {
    this.state = (this.state + 0x9e3779b9) >>> 0;
    let bits = this.state;
    bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
    bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
    return ((bits ^ (bits >>> 16)) >>> 0) / 2 ** 32;
  }

  /** @param {number} bound @returns {number} an integer in [0, bound) */
  integer(bound) {
    return Math.floor(this.next() * bound);
  }

  /** @param {number} count @param {number} [deviation] @param {number} [mean] @returns {Float64Array} normal deviates */
  normals(count, deviation = 1, mean = 0) {
    return Float64Array.from({ length: count }, () => {
      const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
      return mean + deviation * radius * Math.cos(2 * Math.PI * this.next());
    });
  }
}

/** @param {string} file who asks, for the printed line @returns {Random} */
export function testRandom(file) {
  const seed = Number(process.env["TEST_SEED"] ?? Date.now() % 2 ** 32);
  console.log(`${file}: TEST_SEED=${seed}`);
  return new Random(seed);
}
