/**
 * One engine in a worker, seen from the page: hands it jobs, and replaces the worker after a failure.
 */

/** @typedef {{ms: number[], note: string} | {error: string}} Outcome ms: of one run, by round; note: about the engine */

export class Side {
  /** @type {Worker | undefined} */
  #worker;

  /**
   * @param {"ort"|"own"} engine
   * @param {{hidden: string[], model: import("./own_tuning.js").Model}} setup hidden: WebGPU features; model: what our engine tunes for
   * @param {number} seconds a job may take
   */
  constructor(engine, setup, seconds) {
    this.engine = engine;
    this.setup = setup;
    this.seconds = seconds;
  }

  /** @param {any} spec what <engine>_side.js reads @returns {Promise<Outcome>} never rejects */
  async run(spec) {
    this.#worker ??= new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: this.engine });
    const worker = this.#worker;
    /** @type {Outcome} */
    const outcome = await new Promise((resolve) => {
      const timer = setTimeout(() => resolve({ error: `took longer than ${this.seconds} s` }), this.seconds * 1000);
      const settle = (/** @type {Outcome} */ result) => {
        clearTimeout(timer);
        resolve(result);
      };
      worker.onmessage = ({ data }) => settle(data);
      worker.onerror = (event) => settle({ error: `the worker failed: ${event.message}` });
      worker.postMessage({ engine: this.engine, ...this.setup, spec });
    });
    if ("error" in outcome) this.close();                             // its device may be lost or hung: the next job gets a new one
    return outcome;
  }

  /** Ends the worker, whatever it does. */
  close() {
    this.#worker?.terminate();
    this.#worker = undefined;
  }
}
