/**
 * From a prompt to a picture, again and again: what outlives a picture (tokenizer, weights on the GPU, the last plan) and what may be
 * asked for. The work itself is picture_run.js's.
 *
 * It knows FLUX.2 and records into programs; the engine it is given knows WebGPU. Every boundary can be traced, so that a test can
 * compare it with the reference pipeline.
 */

import { KleinbildError, throwIfCancelled } from "../errors.js";
import { defaultBudget, planWithin } from "./budget.js";
import { makePicture } from "./picture_run.js";
import { Residency } from "./residency.js";
import { Tokenizer } from "./tokenizer/tokenizer.js";

/**
 * @typedef {import("../engine/engine.js").Engine} Engine
 * @typedef {import("../manifest.js").Manifest} Manifest
 * @typedef {import("../manifest.js").Shard} Shard
 * @typedef {import("./plan.js").PicturePlan} PicturePlan
 * @typedef {import("./prompt_cache.js").PromptCache} PromptCache
 * @typedef {import("./residency.js").GpuStage} GpuStage
 */

/**
 * @typedef {object} Settings validated by the caller
 * @property {string} prompt
 * @property {number} width pixels, a multiple of 16
 * @property {number} height pixels, a multiple of 16
 * @property {bigint} seed
 * @property {number} steps
 * @property {Float32Array | null} latents [channels, height/16, width/16] in place of the seed's noise
 */

/**
 * Brings shards that not every picture needs to this device, if they are not here.
 * @callback FetchShards
 * @param {readonly Shard[]} shards
 * @param {{signal?: AbortSignal | undefined, onProgress?: (progress: FetchProgress) => void}} options onProgress: not called when all are here
 * @returns {Promise<void>}
 */

/** @typedef {{bytes: number, totalBytes: number, files: number, totalFiles: number}} FetchProgress bytes as they are sent */

/**
 * @typedef {object} Progress
 * @property {"download" | "loading" | Exclude<GpuStage, "modulation">} stage
 * @property {number} step finished denoising steps, or files
 * @property {number} steps
 * @property {number} fraction of the picture's work, 0 to 1, never decreasing
 * @property {number} [bytes] downloaded, or of the stage that is being loaded, so far
 * @property {number} [totalBytes] to download, or of the stage that is being loaded
 * @property {number} [bytesPerSecond] of loading
 */

/** @typedef {{dtype: "int32"|"float32"|"uint8", shape: number[], data: Int32Array | Float32Array | Uint8Array | Uint8ClampedArray}} TraceArray */

/**
 * Where a picture can go on when the GPU was lost.
 * @typedef {object} FinishedStep
 * @property {number} step finished ones, 1 .. steps
 * @property {Float32Array} latents f32 [rows * columns, in_channels] after it, a token a row
 */

/** @typedef {{step: number, width: number, height: number, rgba: Uint8ClampedArray<ArrayBuffer>}} Preview step: finished ones */

/**
 * @typedef {object} Observer
 * @property {AbortSignal} [signal]
 * @property {boolean} [keepPrompt] what the text encoder makes of the prompt may be kept on, and taken from, this device's storage
 * @property {number | null} [memoryBudget] bytes of GPU memory for weights and work; null: what the GPU's facts suggest
 * @property {(progress: Progress) => void} [onProgress]
 * @property {(preview: Preview) => void} [onPreview] gets what the picture looks like after steps, where time and memory allow it
 * @property {(finished: FinishedStep) => void} [onStep] gets the latents after every step
 * @property {FinishedStep} [from] of the same picture: only what follows is done
 * @property {(name: string, array: TraceArray) => void} [onTrace] gets every boundary, each of them computed: nothing kept is used
 */

/** @typedef {{width: number, height: number, rgba: Uint8ClampedArray<ArrayBuffer>, seconds: Record<string, number>}} Picture */

export class Generator {
  /**
   * @param {object} parts
   * @param {Engine} parts.engine
   * @param {Manifest} parts.manifest
   * @param {import("./tokenizer/tokenizer.js").Vocabulary} parts.vocabulary
   * @param {import("../engine/weights.js").ReadShard} parts.readShard
   * @param {FetchShards} [parts.fetchShards] unless all shards are here
   * @param {PromptCache} [parts.prompts] results of the text encoder
   * @param {unknown} [parts.platform] what the code runs on, as JSON can hold it: kept results belong to it
   */
  constructor({ engine, manifest, vocabulary, readShard, fetchShards, prompts, platform }) {
    this.engine = engine;
    this.manifest = manifest;
    this.readShard = readShard;
    this.fetchShards = fetchShards;
    this.prompts = prompts;
    this.platform = platform;
    this.tokenizer = new Tokenizer(vocabulary);
    this.residency = new Residency(engine, manifest, readShard);
  }

  /** @type {{key: string, plan: PicturePlan} | undefined} the last one */
  #planned;

  /**
   * What a picture will take.
   * @param {{width: number, height: number, steps: number}} size in pixels
   * @param {number | null} [memoryBudget] bytes; null: what the GPU's facts suggest
   * @param {boolean} [preview] whether previews are wanted
   * @returns {PicturePlan}
   * @throws {import("../errors.js").KleinbildError} bad-input when the model does not draw this size, too-large when it does not fit
   */
  plan({ width, height, steps }, memoryBudget = null, preview = false) {
    const budget = memoryBudget ?? defaultBudget(this.engine.info);
    const picture = { width, height, steps, preview };
    const key = JSON.stringify([picture, budget, this.engine.tuning.identity]);
    if (this.#planned?.key !== key) this.#planned = { key, plan: planWithin(this.engine, this.manifest, picture, budget) };
    this.residency.budget = budget;
    return this.#planned.plan;
  }

  /**
   * @param {Settings} settings
   * @param {Observer} [observer]
   * @returns {Promise<Picture>}
   * @throws {import("../errors.js").KleinbildError} bad-input, too-large, cancelled, out-of-memory, device-lost, bad-shard,
   *   storage-full, incomplete when shards are neither here nor to be had
   */
  async generate(settings, observer = {}) {
    throwIfCancelled(observer.signal);
    this.engine.check();
    const plan = this.plan(settings, observer.memoryBudget, observer.onPreview !== undefined);
    for (const variant of plan.variants) this.engine.pipeline(variant).catch(() => undefined);   // told by the build that needs it
    try {
      return await makePicture(this, settings, observer, plan);
    } catch (error) {
      if (!(error instanceof KleinbildError)) {
        await new Promise((resolve) => setTimeout(resolve));  // news of a lost device may come just after what failed for it
        this.engine.check();
      }
      throw error;
    } finally {
      // What was being loaded ahead ends, too: the next picture must not find a stage that is about to vanish.
      if (observer.signal?.aborted) await this.residency.settled();
    }
  }
}
