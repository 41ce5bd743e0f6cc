/**
 * The benchmark's worker as one promise. Answers its questions for clicks and frames; ends it when it is done or not wanted any more.
 */

import { KleinbildError } from "../errors.js";
import { FrameMeter } from "./frame_meter.js";
import { trustedScriptUrl } from "./trusted_types.js";

/**
 * @typedef {import("../bench_protocol.js").BenchOptions} BenchOptions
 * @typedef {import("../bench_protocol.js").BenchResult} BenchResult
 * @typedef {import("../bench_protocol.js").FromBench} FromBench
 * @typedef {import("../bench_protocol.js").ToBench} ToBench
 */

/**
 * @typedef {object} BenchObserver
 * @property {(progress: {done: number, total: number, label: string}) => void} onProgress
 * @property {(row: import("../bench_protocol.js").Row) => void} onRow
 */

export class BenchClient {
  /** @type {(() => void) | undefined} */
  #cancel;

  /** @param {string | URL} workerUrl @param {{meter?: Pick<FrameMeter, "begin"|"end">, createWorker?: (url: string) => Worker}} [parts] */
  constructor(workerUrl, { meter = new FrameMeter(), createWorker = newWorker } = {}) {
    this.workerUrl = String(workerUrl);
    this.meter = meter;
    this.createWorker = createWorker;
  }

  /**
   * @param {BenchOptions} options
   * @param {BenchObserver} observer
   * @returns {Promise<BenchResult>}
   * @throws {KleinbildError} what the worker reports; cancelled
   */
  async run(options, observer) {
    const worker = this.createWorker(this.workerUrl);
    try {
      return await new Promise((resolve, reject) => {
        this.#cancel = () => reject(new KleinbildError("cancelled", "The benchmark was cancelled."));
        worker.addEventListener("message", ({ data }) => this.#receive(data, worker, observer, { resolve, reject }));
        worker.addEventListener("error", (event) => reject(new KleinbildError("internal",
          `The benchmark's worker stopped: ${event.message || "its script did not load"}. Reload the page and try again.`)));
        post(worker, { type: "run", options });
      });
    } finally {
      this.#cancel = undefined;
      this.meter.end();
      worker.terminate();
    }
  }

  /** Ends the run in hand; its promise rejects with "cancelled". */
  cancel() {
    this.#cancel?.();
  }

  /**
   * @param {FromBench} message @param {Worker} worker @param {BenchObserver} observer
   * @param {{resolve: (result: BenchResult) => void, reject: (error: KleinbildError) => void}} outcome
   */
  #receive(message, worker, observer, { resolve, reject }) {
    switch (message.type) {
      case "progress":
        return observer.onProgress(message);
      case "row":
        return observer.onRow(message.row);
      case "await-click":
        this.meter.begin();
        return post(worker, { type: "clicked", at: performance.timeOrigin + performance.now() });
      case "await-frames":
        return post(worker, { type: "frames", frames: this.meter.end() });
      case "result":
        return resolve(message.result);
      case "error":
        return reject(new KleinbildError(message.code, message.message));
    }
  }
}

/** @param {Worker} worker @param {ToBench} message */
function post(worker, message) {
  worker.postMessage(message);
}

/** @param {string} url */
function newWorker(url) {
  return new Worker(trustedScriptUrl(url), { type: "module", name: "kleinbild-bench" });
}
