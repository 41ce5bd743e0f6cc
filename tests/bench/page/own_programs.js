/**
 * Programs of Kleinbild's operators on random inputs, and on weights made up on the GPU.
 */

import { attention } from "../../../src_js/engine/ops/attention.js";
import { linear } from "../../../src_js/engine/ops/linear.js";
import { fillStage } from "../../../src_js/engine/synthetic/weights.js";
import { fillRandom } from "../../../src_js/engine/synthetic/inputs.js";
import { axesRope, jointPositions } from "../../../src_js/pipeline/rope.js";
import { modulationProgram, preludeProgram, sharedShapes, stepProgram } from "../../../src_js/pipeline/stages.js";
import { timestepEmbedding } from "../../../src_js/pipeline/timestep.js";
import { syntheticManifest } from "../../../src_js/synthetic_manifest.js";

/**
 * @typedef {import("../../../src_js/engine/engine.js").Engine} Engine
 * @typedef {import("../../../src_js/engine/program.js").Program} Program
 * @typedef {import("../../../src_js/engine/tensor.js").Tensor} Tensor
 * @typedef {import("../../../src_js/engine/weights.js").StageWeights} StageWeights
 * @typedef {import("../../../src_js/manifest.js").ModelConfig} ModelConfig
 * @typedef {{blockSize: number, zeroPoints: boolean}} Format of 4-bit weights
 * @typedef {{kind: "chain", rows: number, widths: number[], format: Format}} ChainSpec
 * @typedef {{kind: "attention", rows: number}} AttentionSpec
 * @typedef {{kind: "step", height: number, width: number, sigma: number, format: Format}} StepSpec height and width in tokens
 * @typedef {ChainSpec|AttentionSpec|StepSpec} Spec
 * @typedef {{program: Program, result: Tensor, release: () => void}} Recorded built, inputs in place; release gives all memory back
 */

/** How far a step goes along the velocity. The published graph gives the velocity alone. */
const STEP_SIZE = -0.05;

/**
 * Linears in a row; those of one shape share a weight.
 * @param {Engine} engine @param {ModelConfig} config @param {ChainSpec} spec @returns {Promise<Recorded>}
 */
export async function recordChain(engine, config, { rows, widths: [first = 0, ...widths], format }) {
  /** @type {Map<string, StageWeights>} */
  const stages = new Map();
  const program = engine.program("peer: linears");
  const input = program.tensor(rows, first);
  let result = input;
  for (const columns of widths) {
    const shape = `${columns}x${result.columns}`;
    const stage = stages.get(shape) ?? await feedForward(engine, config, format, result.columns, columns);
    stages.set(shape, stage);
    const next = program.tensor(rows, columns);
    linear(program, result, stage.get("model.layers.0.mlp.up_proj.weight"), next);
    result = next;
  }
  await program.build();
  fillRandom(engine, input);
  const release = () => {
    program.destroy();
    for (const stage of stages.values()) stage.destroy();
  };
  return { program, result, release };
}

/**
 * @param {Engine} engine @param {ModelConfig} config @param {Format} format @param {number} inner @param {number} columns
 * @returns {Promise<StageWeights>} one layer of a text encoder whose up projection is [columns, inner]
 */
function feedForward(engine, config, format, inner, columns) {
  const layer = { ...config.text_encoder, num_layers: 1, hidden_size: inner, intermediate_size: columns };
  return fillStage(engine, syntheticManifest({ ...config, text_encoder: layer }, { format: "q4", ...format }), "text_encoder");
}

/** @param {Engine} engine @param {ModelConfig} config @param {AttentionSpec} spec @returns {Promise<Recorded>} */
export async function recordAttention(engine, { transformer: { hidden_size: hidden, attention_head_dim: headDim } }, { rows }) {
  const program = engine.program("peer: attention");
  const tensor = () => program.tensor(rows, hidden);
  const [q, k, v, result] = [tensor(), tensor(), tensor(), tensor()];
  attention(program, q, k, v, result, { headDim });
  await program.build();
  for (const [seed, input] of [q, k, v].entries()) fillRandom(engine, input, seed);
  return { program, result, release: () => program.destroy() };
}

/**
 * One denoising step as the page runs it: what depends on prompt and timestep alone is computed before, not in it.
 * @param {Engine} engine @param {ModelConfig} config @param {StepSpec} spec @returns {Promise<Recorded>}
 */
export async function recordDenoiseStep(engine, config, { height, width, sigma, format }) {
  const { transformer: c, prompt } = config;
  const weights = await fillStage(engine, syntheticManifest(config, { format: "q4", ...format }), "transformer");
  const shapes = sharedShapes(config, { rows: height, columns: width, steps: 1 });
  const tensor = (/** @type {keyof typeof shapes} */ name) => engine.tensor(...shapes[name], "f32");
  const shared = {
    promptEmbeds: tensor("promptEmbeds"), context: tensor("context"), modulation: tensor("modulation"), latents: tensor("latents"),
  };
  fillRandom(engine, shared.promptEmbeds);
  fillRandom(engine, shared.latents, 1);

  const modulationWeights = await fillStage(engine, syntheticManifest(config, { format: "q4", ...format }), "modulation");
  const before = engine.program("peer: modulation and prelude");
  const { timesteps } = modulationProgram(before, config, modulationWeights, shared);
  preludeProgram(before, weights, shared);
  await before.build();
  engine.upload(timesteps, timestepEmbedding(sigma, c.timestep_channels));
  await engine.run(before);
  before.destroy();
  modulationWeights.destroy();

  const program = engine.program("peer: denoise step");
  const { modulation, stepSize, table } = stepProgram(program, config, weights, shared);
  await program.build();
  engine.copy(shared.modulation, modulation);
  engine.upload(stepSize, Float32Array.of(STEP_SIZE));
  engine.upload(table, axesRope(jointPositions(prompt.text_seq_len, height, width), c.axes_dims_rope, c.rope_theta));
  const release = () => {
    program.destroy();
    engine.release(...Object.values(shared));
    weights.destroy();
  };
  return { program, result: shared.latents, release };
}
