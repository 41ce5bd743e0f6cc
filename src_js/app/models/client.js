/**
 * The models' worker as promises. A worker that broke is replaced by a new one at the next call. Knows the protocol, not the page.
 */

import { KleinbildError } from "../../errors.js";
import { trustedScriptUrl } from "../trusted_types.js";

/**
 * @typedef {import("../../models_protocol.js").ToModelsWorker} ToModelsWorker
 * @typedef {import("../../models_protocol.js").FromModelsWorker} FromModelsWorker
 * @typedef {import("../../models_protocol.js").ModelProgress} ModelProgress
 * @typedef {import("../../models_protocol.js").ModelWorkResult} ModelWorkResult
 * @typedef {{ resolve: (value: any) => void, reject: (error: KleinbildError) => void, onProgress: ((progress: ModelProgress) => void) | undefined }}
 *   Waiting
 */

/** @template M @typedef {M extends { job: number } ? Omit<M, "job"> : never} WithoutJob */

/** @type {ModelsClient | undefined} */
let shared;

/** @returns {ModelsClient} the one of this page: its worker does one thing at a time */
export function modelsClient() {
  return (shared ??= new ModelsClient(new URL("../../worker/models_main.js", import.meta.url)));
}

export class ModelsClient {
  /** @type {Worker | undefined} */
  #worker;
  /** @type {Map<number, Waiting>} by job */
  #waiting = new Map();
  #jobs = 0;

  /** @param {string | URL} workerUrl */
  constructor(workerUrl) {
    this.workerUrl = String(workerUrl);
  }

  /** @returns {Promise<import("../../model_state.js").Inventory>} */
  async list() {
    return this.#ask({ type: "list", job: ++this.#jobs }, undefined);
  }

  /**
   * Begins a piece of work.
   * @param {WithoutJob<import("../../models_protocol.js").ModelWork>} work
   * @param {(progress: ModelProgress) => void} [onProgress]
   * @returns {{ done: Promise<ModelWorkResult>, stop: (options: { pause: boolean }) => void }} done rejects with "cancelled" once stopped
   */
  begin(work, onProgress) {
    const job = ++this.#jobs;
    const done = this.#ask(/** @type {ToModelsWorker} */ ({ ...work, job }), onProgress);
    return { done, stop: ({ pause }) => this.#worker?.postMessage(/** @type {ToModelsWorker} */ ({ type: "stop", job, pause })) };
  }

  /** @param {ToModelsWorker} message @param {Waiting["onProgress"]} onProgress @returns {Promise<any>} */
  #ask(message, onProgress) {
    return new Promise((resolve, reject) => {
      this.#worker ??= this.#create();
      this.#waiting.set(message.job, { resolve, reject, onProgress });
      this.#worker.postMessage(message);
    });
  }

  #create() {
    const worker = new Worker(trustedScriptUrl(this.workerUrl), { type: "module", name: "kleinbild-models" });
    worker.addEventListener("message", (event) => this.#receive(event.data));
    worker.addEventListener("messageerror", () => this.#fail("a message could not be read"));
    worker.addEventListener("error", (event) => this.#fail(event.message || "its script did not load"));
    return worker;
  }

  /** @param {FromModelsWorker} message */
  #receive(message) {
    const waiting = this.#waiting.get(message.job);
    if (message.type === "progress") return waiting?.onProgress?.(message);
    this.#waiting.delete(message.job);
    if (message.type === "error") waiting?.reject(new KleinbildError(message.code, message.message));
    else waiting?.resolve(message.type === "listed" ? message.inventory : message.result);
  }

  /** @param {string} reason */
  #fail(reason) {
    this.#worker?.terminate();
    this.#worker = undefined;
    const error = new KleinbildError("internal", `The models' worker stopped: ${reason}. Try again; reload the page if it stays.`);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
