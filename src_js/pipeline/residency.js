/**
 * Which stages' weights are on the GPU. They stay while the memory budget holds them beside what the running stage needs, so that a
 * second picture starts at once. Where it does not, the stages are loaded in turn, and what costs least to load again makes room.
 */

import { beginStage } from "../engine/weights.js";
import { DEFAULT_BUDGET_BYTES } from "./budget.js";
import { stageBytes } from "./plan.js";

/** @typedef {import("../engine/weights.js").StageWeights} StageWeights */
/** @typedef {"text_encoder"|"modulation"|"transformer"|"vae_decoder"} GpuStage */

export class Residency {
  /** @type {Map<GpuStage, StageWeights>} */
  #loaded = new Map();

  /**
   * @param {import("../engine/engine.js").Engine} engine
   * @param {import("../manifest.js").Manifest} manifest
   * @param {import("../engine/weights.js").ReadShard} readShard
   * @param {number} [budget] bytes of GPU memory for weights and work together
   */
  constructor(engine, manifest, readShard, budget = DEFAULT_BUDGET_BYTES) {
    this.engine = engine;
    this.manifest = manifest;
    this.readShard = readShard;
    this.budget = budget;
    /** How a stage comes onto the GPU: from its shards, unless somebody makes weights up. */
    this.begin = beginStage;
  }

  /**
   * @param {GpuStage} name
   * @param {number} workBytes that the stage needs beside its weights
   * @param {import("../engine/weights.js").LoadOptions} [options] of the loading, if it must be loaded
   * @param {readonly GpuStage[]} [beside] stages that run together with it: they stay, and what they need is left free
   * @returns {StageWeights} on the GPU, or on their way there (`loaded`), until another stage needs the room
   * @throws {import("../errors.js").KleinbildError} out-of-memory, cancelled
   */
  stage(name, workBytes, options = {}, beside = []) {
    const together = [name, ...beside];
    const others = [...this.#loaded.keys()].filter((other) => !together.includes(other));
    const room = together.reduce((left, stage) => left - stageBytes(this.manifest, stage), this.budget - workBytes);
    for (const other of evictions(others.map((stage) => ({ stage, bytes: stageBytes(this.manifest, stage) })), room)) this.#drop(other);
    const kept = this.#loaded.get(name);
    if (kept) return kept;
    const weights = this.begin(this.engine, this.manifest, name, this.readShard, options);
    this.#loaded.set(name, weights);
    weights.loaded.catch(() => {
      if (this.#loaded.get(name) === weights) this.#loaded.delete(name);      // the next picture tries again
    });
    return weights;
  }

  /**
   * Begins to load a stage that runs later, if it fits beside all that is there.
   * @param {GpuStage} name
   * @param {number} workBytes that the stage running now needs beside its weights
   * @param {import("../engine/weights.js").LoadOptions} [options]
   * @throws {import("../errors.js").KleinbildError} cancelled
   */
  ahead(name, workBytes, options) {
    if (this.#loaded.has(name)) return;
    const bytes = [name, ...this.#loaded.keys()].reduce((sum, stage) => sum + stageBytes(this.manifest, stage), 0);
    if (bytes + workBytes <= this.budget) this.stage(name, workBytes, options);
  }

  /** Waits until nothing is being loaded, whether it arrived or not. */
  async settled() {
    await Promise.allSettled([...this.#loaded.values()].map(({ loaded }) => loaded));
  }

  /** @param {GpuStage} name */
  #drop(name) {
    this.#loaded.get(name)?.destroy();
    this.#loaded.delete(name);
  }

  /** Gives all weights back. */
  clear() {
    for (const name of [...this.#loaded.keys()]) this.#drop(name);
  }
}

/**
 * Which of the loaded stages must go so that the rest fits: those that together cost least to load again.
 * @template T
 * @param {readonly {stage: T, bytes: number}[]} loaded
 * @param {number} room bytes for those that stay
 * @returns {T[]} all of them when nothing fits
 */
export function evictions(loaded, room) {
  const total = loaded.reduce((sum, { bytes }) => sum + bytes, 0);
  let [best, bestBytes] = [loaded, total];
  for (let subset = 0; subset < 2 ** loaded.length; subset++) {
    const gone = loaded.filter((_, i) => subset & (1 << i));
    const bytes = gone.reduce((sum, stage) => sum + stage.bytes, 0);
    if (total - bytes <= room && bytes < bestBytes) [best, bestBytes] = [gone, bytes];
  }
  return best.map(({ stage }) => stage);
}
