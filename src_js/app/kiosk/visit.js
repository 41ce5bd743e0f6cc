/**
 * One visitor after another: the model is started once, pictures are made one at a time, and what a visitor leaves behind is cleared.
 * Decides which failures are worth a second try. Knows no elements; index.js shows what it tells.
 */

import { asKleinbildError } from "../../errors.js";

/**
 * @typedef {import("../../errors.js").KleinbildError} KleinbildError
 * @typedef {import("../../protocol.js").Settings} Settings
 * @typedef {import("../../protocol.js").Progress} Progress
 * @typedef {{ step: number, width: number, height: number, rgba: Uint8ClampedArray<ArrayBuffer> }} Preview
 * @typedef {{ png: Uint8Array<ArrayBuffer>, settings: Settings }} Made
 */

/** Failures of the machine, not of what was asked: the same may work in a moment, or with a fresh browser. */
const MACHINE_CODES = new Set(["no-webgpu", "no-adapter", "device-lost", "worker-lost", "internal", "bad-shard", "bad-manifest",
  "download-failed", "incomplete", "storage-full"]);
/** How long the machine is given before the next try: a GPU process that crashed takes a moment to come back. */
const PAUSES_MS = [1000, 4000];
/** Failures in a row after which a fresh browser is wanted. */
const ENOUGH = 1 + PAUSES_MS.length;

/** @param {KleinbildError} error @returns {"machine"|"large"|"words"} whose fault it is, in a visitor's eyes */
export function kindOf({ code }) {
  if (code === "too-large" || code === "out-of-memory") return "large";
  return MACHINE_CODES.has(code) ? "machine" : "words";
}

export class Visit {
  /** Pictures made since the page was opened. */
  pictures = 0;
  /** Machine failures in a row. */
  failures = 0;
  /** The last failure, in words for the operator; "" after a success. */
  problem = "";
  /** @type {import("../../protocol.js").ReadyInfo | null} */
  info = null;
  #busy = false;
  #cancelled = false;

  /**
   * @param {Pick<import("../worker_client.js").WorkerClient, "start"|"generate"|"forgetPrompts"|"cancel">} client
   * @param {{ manifestUrl: string, memoryBytes: number | null, sleep?: (ms: number) => Promise<void> }} options
   */
  constructor(client, { manifestUrl, memoryBytes, sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms)) }) {
    this.client = client;
    this.sleep = sleep;
    this.manifestUrl = manifestUrl;
    this.memoryBytes = memoryBytes;
  }

  /** Whether a fresh browser is wanted. */
  get wantsRestart() {
    return this.failures >= ENOUGH;
  }

  get busy() {
    return this.#busy;
  }

  /** Puts the model on the GPU. @param {(progress: Progress) => void} onProgress @throws {KleinbildError} */
  async start(onProgress) {
    await this.#counted(async () => {
      const options = { manifestUrl: this.manifestUrl, precision: /** @type {const} */ ("auto"), background: true };
      this.info = await this.client.start(options, onProgress);
    });
  }

  /**
   * @param {Settings} settings
   * @param {{ onProgress: (progress: Progress) => void, onPreview: (preview: Preview) => void, onAgain: () => void }} tell onAgain: the
   *   machine failed, and it is tried again
   * @returns {Promise<Made | null>} null: cancelled
   * @throws {KleinbildError}
   */
  async make(settings, { onProgress, onPreview, onAgain }) {
    this.#busy = true;
    this.#cancelled = false;
    const options = { onProgress, onPreview, onResume: onAgain, keepPrompt: false, memoryBudget: this.memoryBytes };
    const once = () => this.#counted(async () => {
      const { png } = await this.client.generate(settings, options);
      this.pictures += 1;
      return { png: new Uint8Array(png), settings };
    });
    try {
      for (;;) {
        try {
          return await once();
        } catch (cause) {
          const error = asKleinbildError(cause);
          if (error.code === "cancelled" || this.#cancelled) return null;
          const pause = PAUSES_MS[this.failures - 1];
          if (kindOf(error) !== "machine" || pause === undefined) throw error;
          onAgain();
          await this.sleep(pause);
          if (this.#cancelled) return null;
        }
      }
    } finally {
      this.#busy = false;
    }
  }

  cancel() {
    if (!this.#busy) return;
    this.#cancelled = true;
    this.client.cancel();
  }

  /** Forgets what the worker keeps of prompts. Never rejects. */
  async forget() {
    this.cancel();
    await this.client.forgetPrompts().catch(() => undefined);
  }

  /**
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  async #counted(work) {
    try {
      const result = await work();
      this.failures = 0;
      this.problem = "";
      return result;
    } catch (cause) {
      const error = asKleinbildError(cause);
      if (kindOf(error) === "machine") this.failures += 1;
      if (error.code !== "cancelled") this.problem = `${error.code}: ${error.message}`.slice(0, 400);
      throw error;
    }
  }
}
