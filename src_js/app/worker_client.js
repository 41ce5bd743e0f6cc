/**
 * The worker as promises: `inspect`, `start` and `generate` send a message and settle on its answer. A worker
 * that broke is replaced by a new one at the next call. Knows the protocol, not the page.
 */

import { KleinbildError } from "../errors.js";
import { trustedScriptUrl } from "./trusted_types.js";

/**
 * @typedef {import("../protocol.js").FromWorker} FromWorker
 * @typedef {import("../protocol.js").ToWorker} ToWorker
 * @typedef {import("../protocol.js").Settings} Settings
 * @typedef {import("../protocol.js").Progress} Progress
 * @typedef {import("../protocol.js").ReadyInfo} ReadyInfo
 * @typedef {import("../protocol.js").InspectInfo} InspectInfo
 * @typedef {import("../protocol.js").BackgroundState} BackgroundState
 * @typedef {{ manifestUrl: string, precision: import("../protocol.js").Precision, background?: boolean }} StartOptions background: once a
 *   picture was made, the rest of the model may be downloaded, too (default: no)
 * @typedef {import("../protocol.js").ResultMessage} Result
 * @typedef {Pick<import("../protocol.js").TraceMessage, "dtype"|"shape"|"data">} Trace
 * @typedef {Pick<import("../protocol.js").PreviewMessage, "step"|"width"|"height"|"rgba">} Preview
 * @typedef {Pick<import("../protocol.js").ResumedMessage, "step"|"losses">} Resumption
 *
 * @typedef {object} Listeners what a call may be told besides its answer
 * @property {(progress: Progress) => void} [onProgress]
 * @property {(name: string, trace: Trace) => void} [onTrace] asks for every boundary of the pipeline
 * @property {(preview: Preview) => void} [onPreview] asks for previews, where the GPU's memory and the model's speed allow them
 * @property {(resumption: Resumption) => void} [onResume] the GPU was lost, and the picture goes on
 */

/**
 * @typedef {object} Pending
 * @property {"inspected"|"planned"|"ready"|"diagnosed"|"checked"|"result"|"usage"|"forgotten"} answer
 * @property {number | null} job
 * @property {(message: any) => void} resolve
 * @property {(error: KleinbildError) => void} reject
 * @property {Listeners} listeners
 */

export class WorkerClient {
  /** @type {Worker | undefined} */
  #worker;
  /** @type {StartOptions | undefined} */
  #started;
  /** @type {Set<Pending>} */
  #pending = new Set();
  #jobs = 0;

  /** @param {string | URL} workerUrl */
  constructor(workerUrl) {
    this.workerUrl = String(workerUrl);
    /** @type {((error: KleinbildError) => void) | undefined} for what belongs to no call: an idle device lost */
    this.onFailure = undefined;
    /** @type {((state: BackgroundState) => void) | undefined} */
    this.onBackground = undefined;
    /** Throws while this page may not use the GPU. @type {(() => void) | undefined} */
    this.gate = undefined;
  }

  /** @param {string} manifestUrl @returns {Promise<InspectInfo>} what is still to be downloaded; downloads nothing */
  async inspect(manifestUrl) {
    const { info } = await this.#ask({ type: "inspect", manifestUrl }, "inspected", null);
    return info;
  }

  /**
   * @param {Omit<import("../protocol.js").PlanMessage, "type"|"job">} asked
   * @returns {Promise<import("../protocol.js").MemoryNeeds>} what a picture will need; loads nothing
   */
  async plan(asked) {
    const job = ++this.#jobs;
    const { needs } = await this.#ask({ type: "plan", job, ...asked }, "planned", job);
    return needs;
  }

  /**
   * Downloads what every picture needs and is missing, and puts the model on the GPU.
   * @param {StartOptions} options
   * @param {(progress: Progress) => void} [onProgress]
   * @returns {Promise<ReadyInfo>}
   */
  async start({ manifestUrl, precision, background = false }, onProgress) {
    const { info } = await this.#ask({ type: "start", manifestUrl, precision, background }, "ready", null, { onProgress });
    this.#started = { manifestUrl, precision, background };
    return info;
  }

  /**
   * @param {Settings} settings
   * @param {Listeners & { keepPrompt?: boolean, memoryBudget?: number | null }} [options] keepPrompt: what the text encoder makes of the
   *   prompt may be kept on this device (default: yes); memoryBudget: bytes of GPU memory (default: what the GPU's facts suggest)
   * @returns {Promise<Result>}
   */
  async generate(settings, { keepPrompt = true, memoryBudget = null, ...listeners } = {}) {
    if (!this.#worker && this.#started) await this.start(this.#started, listeners.onProgress);
    const job = ++this.#jobs;
    const wanted = { trace: listeners.onTrace !== undefined, preview: listeners.onPreview !== undefined };
    return this.#ask({ type: "generate", job, settings, ...wanted, keepPrompt, memoryBudget }, "result", job, listeners);
  }

  /**
   * Measures the kernels of a started model again.
   * @param {(progress: Progress) => void} [onProgress]
   * @returns {Promise<ReadyInfo>}
   */
  async tune(onProgress) {
    if (!this.#worker && this.#started) await this.start(this.#started, onProgress);
    return (await this.#ask({ type: "tune" }, "ready", null, { onProgress })).info;
  }

  /** @returns {Promise<import("../protocol.js").Usage>} what the worker holds of GPU and files */
  async usage() {
    const job = ++this.#jobs;
    return (await this.#ask({ type: "usage", job }, "usage", job)).usage;
  }

  /**
   * @param {Omit<import("../protocol.js").DiagnoseMessage, "type"|"job">} asked
   * @returns {Promise<import("../protocol.js").GpuFacts>} what is known of the GPU; downloads and measures nothing
   */
  async diagnose(asked) {
    const job = ++this.#jobs;
    const { facts } = await this.#ask({ type: "diagnose", job, ...asked }, "diagnosed", job);
    return facts;
  }

  /**
   * Runs every kernel against its reference; `cancel` ends it.
   * @param {Omit<import("../protocol.js").SelfCheckMessage, "type"|"job">} asked
   * @param {(progress: Progress) => void} [onProgress]
   * @returns {Promise<import("../protocol.js").SelfCheckReport>}
   */
  async selfCheck(asked, onProgress) {
    const job = ++this.#jobs;
    const { report } = await this.#ask({ type: "self-check", job, ...asked }, "checked", job, { onProgress });
    return report;
  }

  /** Removes what was kept of prompts, in the worker's memory and on this device. @returns {Promise<void>} */
  async forgetPrompts() {
    await this.#ask({ type: "forget" }, "forgotten", null);
  }

  /** Cancels the start or the picture in hand; its promise rejects with "cancelled". */
  cancel() {
    for (const { answer, job } of this.#pending) {
      if (answer === "ready" || answer === "result" || answer === "checked") this.#worker?.postMessage(/** @type {ToWorker} */ ({ type: "cancel", job }));
    }
  }

  terminate() {
    this.#fail(new KleinbildError("cancelled", "The worker was ended."));
  }

  /**
   * @param {ToWorker} message
   * @param {Pending["answer"]} answer
   * @param {number | null} job
   * @param {Listeners} [listeners]
   * @returns {Promise<any>}
   */
  #ask(message, answer, job, listeners = {}) {
    return new Promise((resolve, reject) => {
      if (answer === "ready" || answer === "result") this.gate?.();
      this.#worker ??= this.#create();
      this.#pending.add({ answer, job, resolve, reject, listeners });
      this.#worker.postMessage(message);
    });
  }

  #create() {
    const worker = new Worker(trustedScriptUrl(this.workerUrl), { type: "module", name: "kleinbild" });
    worker.addEventListener("message", (event) => this.#receive(event.data));
    worker.addEventListener("messageerror", () => this.#fail(broken("a message could not be read")));
    // Reached when the worker's script does not load or throws outside the controller.
    worker.addEventListener("error", (event) => this.#fail(broken(event.message || "its script did not load")));
    return worker;
  }

  /** @param {FromWorker} message */
  #receive(message) {
    if (message.type === "error") return this.#receiveError(message);
    if (message.type === "background") return this.onBackground?.(message);
    const job = "job" in message ? message.job : null;
    for (const pending of this.#pending) {
      if (pending.job !== job) continue;
      const { onProgress, onTrace, onPreview, onResume } = pending.listeners;
      if (message.type === "progress") onProgress?.(message);
      else if (message.type === "trace") onTrace?.(message.name, message);
      else if (message.type === "preview") onPreview?.(message);
      else if (message.type === "resumed") onResume?.(message);
      else if (message.type === pending.answer) {
        this.#pending.delete(pending);
        pending.resolve(message);
      }
    }
  }

  /** @param {import("../protocol.js").ErrorMessage} message An error without a job fails every call without one. */
  #receiveError({ job, code, message }) {
    const error = new KleinbildError(code, message);
    const concerned = [...this.#pending].filter((pending) => pending.job === job);
    for (const pending of concerned) {
      this.#pending.delete(pending);
      pending.reject(error);
    }
    if (concerned.length === 0) this.onFailure?.(error);
  }

  /** @param {KleinbildError} error */
  #fail(error) {
    this.#worker?.terminate();
    this.#worker = undefined;
    const concerned = [...this.#pending];
    this.#pending.clear();
    for (const pending of concerned) pending.reject(error);
  }
}

/** @param {string} reason */
function broken(reason) {
  return new KleinbildError("worker-lost", `The page's worker stopped: ${reason}. Try again; reload the page if it stays.`);
}
