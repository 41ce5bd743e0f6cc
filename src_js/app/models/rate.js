/** How fast bytes come, over the last seconds, and how long the rest will take at that rate. No DOM, no clock of its own. */

const WINDOW_MS = 8000;
/** Before that a rate is a guess. */
const LEAST_MS = 1500;

export class Rate {
  /** @type {{ ms: number, bytes: number }[]} the oldest first */
  #samples = [];

  /**
   * @param {number} bytes done until now
   * @param {number} totalBytes
   * @param {number} ms now
   * @returns {{ perSecond: number, secondsLeft: number } | undefined} undefined until it can be told, and while nothing comes
   */
  add(bytes, totalBytes, ms) {
    this.#samples.push({ ms, bytes });
    while (this.#samples.length > 2 && ms - /** @type {{ ms: number }} */ (this.#samples[1]).ms >= WINDOW_MS) this.#samples.shift();
    const first = /** @type {{ ms: number, bytes: number }} */ (this.#samples[0]);
    const [elapsed, done] = [ms - first.ms, bytes - first.bytes];
    if (elapsed < LEAST_MS || done <= 0) return undefined;
    const perSecond = (done / elapsed) * 1000;
    return { perSecond, secondsLeft: (totalBytes - bytes) / perSecond };
  }
}
