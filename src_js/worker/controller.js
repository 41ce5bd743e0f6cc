/**
 * What the worker does with each message. One thing at a time: a start, or one picture. Beside them goes on, once
 * a picture was made, the download of the rest of the model. Every failure leaves as an error message, and
 * whatever a failure may have broken is thrown away, so that the next picture begins on a fresh device. The
 * model and the PNG encoder are passed in, which keeps this file free of WebGPU and storage.
 */

import { KleinbildError, asKleinbildError } from "../errors.js";
import { pictureText } from "../image/picture_text.js";
import { checkSettings } from "../protocol.js";
import { outliveLosses } from "./resumption.js";

/**
 * @typedef {import("../protocol.js").ToWorker} ToWorker
 * @typedef {import("../protocol.js").FromWorker} FromWorker
 * @typedef {import("../protocol.js").GenerateMessage} GenerateMessage
 * @typedef {import("../protocol.js").StartMessage} StartMessage
 * @typedef {import("../protocol.js").Settings} Settings
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./model.js").Runtime} Runtime
 */

/**
 * @typedef {object} Parts
 * @property {(manifestUrl: string) => Promise<Model>} openModel
 * @property {typeof import("./model.js").inspectModel} inspectModel
 * @property {(model: Model, options: import("./model.js").LoadOptions) => Promise<Runtime>} loadModel
 * @property {typeof import("./model.js").fetchLater} fetchLater
 * @property {typeof import("./memory.js").planMemory} planMemory
 * @property {() => Promise<void>} forgetPrompts
 * @property {typeof import("../image/png.js").encodePng} encodePng
 * @property {(message: FromWorker, transfer: Transferable[]) => void} post
 */

/** After these the GPU and the model on it are as good as before. */
const HARMLESS = new Set(["cancelled", "bad-input", "too-large", "download-failed", "incomplete"]);
const NOTHING_USED = Object.freeze({ bytes: 0, peakBytes: 0, buffers: 0, bindGroups: 0, pipelines: 0, reads: 0, files: 0 });
/** Between two news of the download in the background. */
const NEWS_MS = 250;

export class Controller {
  /** @type {Promise<Model> | undefined} */
  #model;
  /** @type {Runtime | undefined} */
  #runtime;
  /** @type {StartMessage | undefined} */
  #start;
  /** @type {{ job: number | null, abort: AbortController } | undefined} */
  #running;
  /** Of what only other pictures need: not asked for yet or stopped, on its way, or all here. @type {"idle"|"running"|"done"} */
  #background = "idle";
  #parts;

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /** @param {ToWorker} message @returns {Promise<void>} settled, never rejected, when the message's work is done */
  async handle(message) {
    switch (message.type) {
      case "inspect":
        return this.#report(null, async () => {
          const info = await this.#parts.inspectModel(await this.#open(message.manifestUrl));
          this.#parts.post({ type: "inspected", info }, []);
        });
      case "plan":
        return this.#report(message.job, async () => {
          const needs = await this.#parts.planMemory(await this.#open(message.manifestUrl), this.#runtime, message);
          this.#parts.post({ type: "planned", job: message.job, needs }, []);
        });
      case "start":
        return this.#exclusively(null, async (signal) => {
          this.#start = message;
          this.#drop();
          const { info } = await this.#load(message, signal, (progress) => this.#parts.post({ type: "progress", job: null, ...progress }, []));
          this.#parts.post({ type: "ready", info }, []);
        });
      case "generate":
        return this.#exclusively(message.job, (signal) => this.#generate(message, signal));
      case "tune":
        return this.#exclusively(null, (signal) => this.#tune(signal));
      case "usage":
        return this.#parts.post({ type: "usage", job: message.job, usage: this.#runtime?.usage() ?? NOTHING_USED }, []);
      case "forget":
        return this.#report(null, async () => {
          await this.#parts.forgetPrompts();
          this.#parts.post({ type: "forgotten" }, []);
        });
      case "cancel":
        if (this.#running?.job === message.job) this.#running.abort.abort();
    }
  }

  /** @param {GenerateMessage} message @param {AbortSignal} signal */
  async #generate(message, signal) {
    const { job, settings } = message;
    checkSettings(settings);
    if (!this.#start) throw new KleinbildError("bad-input", "A picture was asked for before the model was started.");
    const { made, width, height, rgba, seconds } = await this.#draw(message, this.#start, signal);
    const png = await this.#parts.encodePng({ width, height, rgba, ...pictureText(settings, made, seconds) });
    const buffer = png.byteLength === png.buffer.byteLength ? png.buffer : png.slice().buffer;
    this.#parts.post({ type: "result", job, width, height, png: /** @type {ArrayBuffer} */ (buffer), seconds }, [buffer]);
    if (this.#start.background && this.#background === "idle") void this.#fetchLater(await this.#open(this.#start.manifestUrl));
  }

  /**
   * On one GPU after another, if they are lost.
   * @param {GenerateMessage} message @param {StartMessage} start @param {AbortSignal} signal
   * @returns {Promise<import("../pipeline/generator.js").Picture & { made: import("../protocol.js").ReadyInfo }>}
   */
  #draw({ job, settings, trace, preview = false, keepPrompt, memoryBudget = null }, start, signal) {
    const { post } = this.#parts;
    let least = 0;
    /** @param {import("../protocol.js").Progress} progress of which going on after a loss may repeat some */
    const onProgress = (progress) => {
      least = Math.max(least, progress.fraction);
      post({ type: "progress", job, ...progress, fraction: least }, []);
    };
    // Loading again is no part of the picture's own work.
    const onLoad = (/** @type {import("../protocol.js").Progress} */ progress) => onProgress({ ...progress, fraction: 0 });
    /** @type {import("../pipeline/generator.js").Observer} */
    const observer = {
      signal, keepPrompt, memoryBudget, onProgress,
      ...(preview && {
        onPreview: (/** @type {import("../pipeline/generator.js").Preview} */ shown) => post({ type: "preview", job, ...shown }, [shown.rgba.buffer]),
      }),
      ...(trace && {
        onTrace: (/** @type {string} */ name, /** @type {import("../pipeline/generator.js").TraceArray} */ array) => {
          // A copy is what travels: the array may be part of a buffer that the pipeline goes on using.
          const data = array.data.slice();
          post({ type: "trace", job, name, dtype: array.dtype, shape: array.shape, data }, [data.buffer]);
        },
      }),
    };
    const attempt = async (/** @type {Partial<import("../pipeline/generator.js").Observer>} */ more) => {
      const { generator, info } = this.#runtime ?? (await this.#load(start, signal, onLoad));
      return { made: info, ...(await generator.generate(settings, { ...observer, ...more })) };
    };
    if (trace) return attempt({});                         // every boundary is told once
    return outliveLosses((from, onStep) => attempt({ onStep, ...(from && { from }) }), {
      signal,
      onResume: (resumption) => {
        this.#drop();
        post({ type: "resumed", job, ...resumption }, []);
      },
    });
  }

  /** Ends with the worker, or where it fails; the next picture begins it again. @param {Model} model */
  async #fetchLater(model) {
    this.#background = "running";
    let state = { bytes: 0, totalBytes: 0 };
    let told = -Infinity;
    const tell = (done = false, problem = "") => this.#parts.post({ type: "background", ...state, done, problem }, []);
    try {
      const done = await this.#parts.fetchLater(model, ({ bytes, totalBytes }) => {
        state = { bytes, totalBytes };
        const now = performance.now();
        if (now - told < NEWS_MS) return;
        told = now;
        tell();
      });
      this.#background = "done";
      if (done) tell(true);
    } catch (error) {
      this.#background = "idle";
      tell(false, asKleinbildError(error).message);
    }
  }

  /** @param {AbortSignal} signal */
  async #tune(signal) {
    if (!this.#runtime) throw new KleinbildError("bad-input", "The kernels can be measured again once the model was started.");
    const onProgress = (/** @type {import("../protocol.js").Progress} */ progress) => {
      this.#parts.post({ type: "progress", job: null, ...progress }, []);
    };
    const info = await this.#runtime.tune({ signal, onProgress });
    this.#parts.post({ type: "ready", info }, []);
  }

  /** @param {string} manifestUrl A failure is not remembered: the next call tries again. */
  async #open(manifestUrl) {
    this.#model ??= this.#parts.openModel(manifestUrl);
    try {
      return await this.#model;
    } catch (error) {
      this.#model = undefined;
      throw error;
    }
  }

  /** @param {StartMessage} start @param {AbortSignal} signal @param {import("./model.js").LoadOptions["onProgress"]} onProgress */
  async #load({ manifestUrl, precision }, signal, onProgress) {
    const model = await this.#open(manifestUrl);
    const onLost = (/** @type {KleinbildError} */ error) => this.#lost(error);
    const runtime = await this.#parts.loadModel(model, { precision, signal, onProgress, onLost });
    this.#runtime = runtime;
    return runtime;
  }

  /** @param {KleinbildError} error A picture in the making fails by itself at the engine's next step. */
  #lost(error) {
    this.#drop();
    if (!this.#running) this.#post(null, error);
  }

  #drop() {
    this.#runtime?.destroy();
    this.#runtime = undefined;
  }

  /** @param {number | null} job @param {(signal: AbortSignal) => Promise<void>} work */
  async #exclusively(job, work) {
    if (this.#running) {
      return this.#post(job, new KleinbildError("bad-input", "One picture at a time: another one is being made."));
    }
    const abort = new AbortController();
    this.#running = { job, abort };
    await this.#report(job, () => work(abort.signal));
    this.#running = undefined;
  }

  /** @param {number | null} job @param {() => Promise<void>} work */
  async #report(job, work) {
    try {
      await work();
    } catch (caught) {
      const error = asKleinbildError(caught);
      if (!HARMLESS.has(error.code)) this.#drop();
      this.#post(job, error);
    }
  }

  /** @param {number | null} job @param {KleinbildError} error */
  #post(job, { code, message }) {
    this.#parts.post({ type: "error", job, code, message }, []);
  }
}
