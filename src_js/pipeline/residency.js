/**
 * Which stages' weights are on the GPU. All of them when they fit the budget, so that a second picture starts at once; otherwise
 * a stage is loaded when it runs and the others are given back first.
 */

import { loadStage } from "../engine/weights.js";

/** Weights that may stay on the GPU together: leaves room for activations in the 8.25 GB of the smallest machine in mind. */
export const RESIDENT_BYTES = 5 * 2 ** 30;

/** @typedef {import("../engine/weights.js").StageWeights} StageWeights */
/** @typedef {"text_encoder"|"transformer"|"vae_decoder"} GpuStage */

export class Residency {
  /** @type {Map<string, StageWeights>} */
  #loaded = new Map();

  /**
   * @param {import("../engine/engine.js").Engine} engine
   * @param {import("../manifest.js").Manifest} manifest
   * @param {import("../engine/weights.js").ReadShard} readShard
   * @param {number} [budget] bytes
   */
  constructor(engine, manifest, readShard, budget = RESIDENT_BYTES) {
    this.engine = engine;
    this.manifest = manifest;
    this.readShard = readShard;
    this.budget = budget;
  }

  /** @param {string} name @returns {number} bytes of a stage's shards */
  #bytes(name) {
    const stage = this.manifest.stages.find((s) => s.name === name);
    return (stage?.shards ?? []).reduce((sum, i) => sum + (this.manifest.shards[i]?.bytes ?? 0), 0);
  }

  /**
   * @param {GpuStage} name
   * @param {{signal?: AbortSignal | undefined, onProgress?: ((fraction: number) => void) | undefined}} options
   * @returns {Promise<StageWeights>} on the GPU until another stage needs the room
   */
  async stage(name, options) {
    const kept = this.#loaded.get(name);
    if (kept) return kept;
    let room = this.budget - this.#bytes(name);
    for (const other of this.#loaded.keys()) room -= this.#bytes(other);
    if (room < 0) this.clear();
    const weights = await loadStage(this.engine, this.manifest, name, this.readShard, options);
    this.#loaded.set(name, weights);
    return weights;
  }

  /** Gives all weights back. */
  clear() {
    for (const weights of this.#loaded.values()) weights.destroy();
    this.#loaded.clear();
  }
}
