/**
 * The stages of a picture, each alone: recorded as the pipeline records them, on random inputs, run by the engine's executor.
 */

import { fillRandom } from "../engine/synthetic/inputs.js";
import { modulationProgram, pictureSize, preludeProgram, sharedShapes, stepProgram, textEncoderProgram, vaeDecoderProgram } from "../pipeline/stages.js";
import { timeWarm } from "./wall_clock.js";
import { decodeFlops, modulationFlops, preludeFlops, stepFlops, textEncoderFlops } from "./work.js";

/**
 * @typedef {import("./lab.js").Lab} Lab
 * @typedef {import("../engine/program.js").Program} Program
 * @typedef {import("../engine/tensor.js").Tensor} Tensor
 * @typedef {import("../engine/weights.js").StageWeights} StageWeights
 * @typedef {import("../manifest.js").ModelConfig} ModelConfig
 * @typedef {import("../pipeline/residency.js").GpuStage} GpuStage
 */

/** @typedef {Record<"promptEmbeds"|"context"|"modulation"|"latents", Tensor>} Shared */

/**
 * @typedef {object} StageCase
 * @property {string} name
 * @property {GpuStage} stage whose weights it needs
 * @property {number} side pixels of the square picture
 * @property {number} flops
 * @property {(program: Program, config: ModelConfig, weights: StageWeights, shared: Shared) => Tensor[]} record returns the inputs
 */

/** Tokens of an ordinary prompt, the template's included. */
const SHORT_PROMPT = 32;

/**
 * @param {ModelConfig} config @param {readonly number[]} sizes sides in pixels, ascending @param {number} steps of a picture
 * @returns {StageCase[]} stage by stage
 */
export function stageCases(config, sizes, steps) {
  const rows = config.prompt.text_seq_len;
  const smallest = /** @type {number} */ (sizes[0]);
  const text = [...new Set([Math.min(SHORT_PROMPT, rows), rows])].map((length) => (/** @type {StageCase} */ ({
    name: `text encoder, ${length} tokens of ${rows} rows`, stage: "text_encoder", side: smallest,
    flops: textEncoderFlops(config.text_encoder, rows, length),
    record(program, of, weights, { promptEmbeds }) {
      const { x, table } = textEncoderProgram(program, of, weights, { length, promptEmbeds });
      return [x, table];
    },
  })));
  return [
    ...text, modulationCase(config, smallest, steps), preludeCase(config, smallest),
    ...sizes.map((side) => stepCase(config, side)), ...sizes.map((side) => vaeCase(config, side)),
  ];
}

/** @param {ModelConfig} config @param {number} side @param {number} steps @returns {StageCase} what a table saves at the preset sizes */
function modulationCase(config, side, steps) {
  return {
    name: `modulation of ${steps} steps`, stage: "modulation", side, flops: modulationFlops(config, steps),
    record(program, of, weights, shared) {
      return [modulationProgram(program, of, weights, shared).timesteps];
    },
  };
}

/** @param {ModelConfig} config @param {number} side @returns {StageCase} */
function preludeCase(config, side) {
  return {
    name: "prelude", stage: "transformer", side, flops: preludeFlops(config),
    record(program, _, weights, shared) {
      preludeProgram(program, weights, shared);
      return [shared.promptEmbeds];
    },
  };
}

/** @param {ModelConfig} config @param {number} side @returns {StageCase} */
function stepCase(config, side) {
  return {
    name: `denoise step ${side} x ${side}`, stage: "transformer", side, flops: stepFlops(config, side),
    record(program, of, weights, shared) {
      const { modulation, stepSize, table } = stepProgram(program, of, weights, shared);
      return [shared.latents, shared.context, modulation, stepSize, table];
    },
  };
}

/** @param {ModelConfig} config @param {number} side @returns {StageCase} */
function vaeCase(config, side) {
  return {
    name: `VAE decode ${side} x ${side}`, stage: "vae_decoder", side, flops: decodeFlops(config, side),
    record(program, of, weights, shared) {
      vaeDecoderProgram(program, of, weights, { ...shared, ...pictureSize(of, { width: side, height: side, steps: 1 }) });
      return [shared.latents];
    },
  };
}

/**
 * Seconds that the case takes warm, from the first submit to the last one's end.
 * @param {Lab} lab @param {StageCase} stage @param {number} steps of a picture
 * @returns {Promise<number>}
 */
export async function timeStage(lab, stage, steps) {
  return withProgram(lab, stage, steps, async (program, inputs) => {
    await program.build();
    for (const [seed, tensor] of inputs.entries()) fillRandom(lab.engine, tensor, seed);
    return timeWarm(() => lab.engine.run(program));
  });
}

/**
 * Seconds that compiling all pipelines of the case takes, less those that were compiled before.
 * @param {Lab} lab @param {StageCase} stage @param {number} steps of a picture
 * @returns {Promise<number>}
 */
export async function timeCompilation(lab, stage, steps) {
  return withProgram(lab, stage, steps, async (program) => {
    const start = performance.now();
    await Promise.all(program.dispatches.map(({ variant }) => lab.engine.pipeline(variant)));
    return (performance.now() - start) / 1000;
  });
}

/**
 * @template T
 * @param {Lab} lab @param {StageCase} stage @param {number} steps
 * @param {(program: Program, inputs: Tensor[]) => Promise<T>} work gets the recorded program, not built yet
 * @returns {Promise<T>}
 */
async function withProgram(lab, { name, stage, side, record }, steps, work) {
  const { engine, config } = lab;
  const weights = await lab.weights(stage);
  const shapes = sharedShapes(config, pictureSize(config, { width: side, height: side, steps }));
  const program = engine.program(name);
  /** @type {Partial<Shared>} */
  const shared = {};
  try {
    for (const [key, [rows, columns]] of Object.entries(shapes)) shared[/** @type {keyof Shared} */ (key)] = engine.tensor(rows, columns, "f32");
    return await work(program, record(program, config, weights, /** @type {Shared} */ (shared)));
  } finally {
    program.destroy();
    engine.release(...Object.values(shared));
  }
}
