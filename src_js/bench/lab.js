/**
 * One engine with what measuring needs: a made-up model of chosen shapes, one stage of it on the GPU at a time, and a clock.
 */

import { GpuClock } from "../engine/timing/gpu_clock.js";
import { createEngine } from "../engine/engine.js";
import { measure } from "../engine/timing/measure.js";
import { beginFilling, fillStage } from "../engine/synthetic/weights.js";
import { fillRandom } from "../engine/synthetic/inputs.js";
import { Generator } from "../pipeline/generator.js";
import { syntheticManifest } from "../synthetic_manifest.js";
import { readMadeUp, syntheticVocabulary } from "./synthetic_prompt.js";

/**
 * @typedef {import("../bench_protocol.js").BenchOptions} BenchOptions
 * @typedef {import("../engine/engine.js").Engine} Engine
 * @typedef {import("../engine/program.js").Program} Program
 * @typedef {import("../engine/tensor.js").Tensor} Tensor
 * @typedef {import("../engine/weights.js").StageWeights} StageWeights
 * @typedef {import("../manifest.js").ModelConfig} ModelConfig
 * @typedef {import("../pipeline/residency.js").GpuStage} GpuStage
 */

/**
 * What a benchmark needs of where it runs.
 * @typedef {object} Environment
 * @property {GPU | undefined} gpu navigator.gpu
 * @property {(name: string) => Promise<string>} readKernel WGSL of a kernel file, by name without .wgsl
 * @property {(name: string) => Promise<ModelConfig>} readModel a config of this folder, by name without .json
 */

export class Lab {
  /** @type {{stage: GpuStage, weights: StageWeights} | undefined} */
  #held;
  /** @type {Generator | undefined} */
  #generator;

  /** @param {Engine} engine @param {ModelConfig} config @param {BenchOptions} options */
  constructor(engine, config, { format, blockSize, zeroPoints, family }) {
    this.engine = engine;
    this.config = config;
    this.manifest = syntheticManifest(config, { format, blockSize, zeroPoints });
    this.clock = new GpuClock(engine);
    if (family !== "auto") engine.tuning.restrict([family]);
  }

  /** @param {GpuStage} stage @returns {Promise<StageWeights>} on the GPU until those of another stage are asked for */
  async weights(stage) {
    if (this.#held?.stage === stage) return this.#held.weights;
    this.clear();
    const weights = await fillStage(this.engine, this.manifest, stage);
    this.#held = { stage, weights };
    return weights;
  }

  /** The whole pipeline on made-up weights; it keeps its own. @returns {Generator} */
  generator() {
    this.#held?.weights.destroy();
    this.#held = undefined;
    if (this.#generator) return this.#generator;
    const { engine, manifest, config } = this;
    this.#generator = new Generator({ engine, manifest, vocabulary: syntheticVocabulary(config), readShard: readMadeUp });
    this.#generator.residency.begin = (on, of, stage) => beginFilling(on, of, stage);
    return this.#generator;
  }

  /** Takes all weights off the GPU. */
  clear() {
    this.#held?.weights.destroy();
    this.#held = undefined;
    this.#generator?.residency.clear();
  }

  /**
   * Seconds of one run of what `record` records, by the GPU's clock.
   * @param {string} label
   * @param {(program: Program) => Tensor[]} record returns the tensors to be filled with random values
   * @returns {Promise<{seconds: number, kernels: string[]}>} kernels: the candidates that serve it
   */
  async time(label, record) {
    const { engine, clock } = this;
    const program = engine.program(label);
    try {
      /** @type {Tensor[]} */
      let inputs = [];
      const asked = engine.tuning.observe(() => void (inputs = record(program)));
      const kernels = [...asked].map(([kind, candidates]) => engine.tuning.pick(kind, candidates).name);
      await program.build();
      for (const [seed, tensor] of inputs.entries()) fillRandom(engine, tensor, seed);
      const { seconds } = await measure((repeats) => clock.time(program, repeats));
      return { seconds, kernels: [...new Set(kernels)] };
    } finally {
      program.destroy();
    }
  }

  /** Gives the device back. */
  close() {
    this.clear();
    this.clock.destroy();
    this.engine.destroy();
  }
}

/**
 * @param {Environment} environment
 * @param {BenchOptions} options
 * @returns {Promise<{lab: Lab, model: "klein4b"|"small"}>}
 * @throws {import("../errors.js").KleinbildError} no-webgpu, no-adapter, bad-input
 */
export async function openLab({ gpu, readKernel, readModel }, options) {
  const engine = await createEngine({ gpu, precision: options.precision, readKernel });
  const model = options.model !== "auto" ? options.model : engine.info.fallback ? "small" : "klein4b";
  try {
    return { lab: new Lab(engine, await readModel(model), options), model };
  } catch (error) {
    engine.destroy();
    throw error;
  }
}
