/**
 * The Flux2 transformer: double stream blocks, then single stream blocks (diffusers, Flux2Transformer2DModel).
 *
 * Text and picture rows share one f32 residual stream h [text + picture, hidden], text first; a double block works on two views of
 * it. What depends on the timestep alone (modulation) is computed for all steps before the loop, if no table holds it; what depends on
 * the prompt alone (context_embedder) once. The Euler step is the epilogue of the last projection.
 */

import { attention, qkNormRope } from "../engine/ops/attention.js";
import { copy, swiglu } from "../engine/ops/elementwise.js";
import { linear } from "../engine/ops/linear.js";
import { layerNorm } from "../engine/ops/norms.js";

/**
 * @typedef {import("../engine/program.js").Program} Program
 * @typedef {import("../engine/tensor.js").Tensor} Tensor
 * @typedef {import("../engine/weights.js").StageWeights} StageWeights
 * @typedef {import("../manifest.js").TransformerConfig} TransformerConfig
 */

/** The modulation projections and how many hidden-size vectors each gives, in the order they lie in the table. */
const MODULATION = /** @type {const} */ ({
  "double_stream_modulation_img.linear": 6,
  "double_stream_modulation_txt.linear": 6,
  "single_stream_modulation.linear": 3,
  "norm_out.linear": 2,
});

/** @param {TransformerConfig} config @returns {number} columns of the modulation table */
export function modulationColumns(config) {
  return Object.values(MODULATION).reduce((a, b) => a + b, 0) * config.hidden_size;
}

/**
 * What is computed once a picture: the prompt's context. In f32: text hidden states have outliers, and the work is small.
 *
 * @param {Program} program
 * @param {StageWeights} weights
 * @param {object} io
 * @param {Tensor} io.promptEmbeds f32 [text, joint_attention_dim]
 * @param {Tensor} io.context f32 [text, hidden]: result
 */
export function recordPrelude(program, weights, { promptEmbeds, context }) {
  linear(program, promptEmbeds, weights.get("context_embedder.weight"), context, { exact: true });
}

/**
 * Every step's modulation, in f32 like the prelude.
 *
 * @param {Program} program
 * @param {TransformerConfig} config
 * @param {StageWeights} weights
 * @param {object} io
 * @param {Tensor} io.timesteps f32 [steps, timestep_channels]: timestepEmbedding of each step
 * @param {Tensor} io.modulation f32 [steps, modulationColumns]: result
 */
export function recordModulation(program, config, weights, { timesteps, modulation }) {
  const W = (/** @type {string} */ name) => weights.get(`${name}.weight`);
  const exact = { exact: true };
  const hidden = program.tensor(timesteps.rows, config.hidden_size, "f32");
  const embedded = program.tensor(timesteps.rows, config.hidden_size, "f32");
  linear(program, timesteps, W("time_guidance_embed.timestep_embedder.linear_1"), hidden, { ...exact, silu: true });
  linear(program, hidden, W("time_guidance_embed.timestep_embedder.linear_2"), embedded, { ...exact, silu: true });
  let column = 0;
  for (const [name, vectors] of Object.entries(MODULATION)) {
    linear(program, embedded, W(name), modulation.columnRange(column, vectors * config.hidden_size), exact);
    column += vectors * config.hidden_size;
  }
  program.release(hidden, embedded);
}

/**
 * One denoising step, latents updated in place: latents += stepSize * velocity.
 *
 * @param {Program} program
 * @param {TransformerConfig} config
 * @param {StageWeights} weights
 * @param {object} io
 * @param {Tensor} io.latents f32 [picture, in_channels]
 * @param {Tensor} io.context f32 [text, hidden]
 * @param {Tensor} io.modulation f32 [1, modulationColumns]: this step's row
 * @param {Tensor} io.stepSize f32 [1, 1]: sigma of the next step minus this one's
 * @param {Tensor} io.table f32 [text + picture, headDim]: axesRope
 */
export function recordStep(program, config, weights, { latents, context, modulation, stepSize, table }) {
  const { hidden_size: hidden, eps } = config;
  const text = context.rows;
  const picture = latents.rows;
  const vectors = splitModulation(modulation, hidden);
  const h = program.tensor(text + picture, hidden, "f32");
  copy(program, context, h.rowRange(0, text));
  linear(program, latents, weights.get("x_embedder.weight"), h.rowRange(text, picture), { exact: true });
  for (let i = 0; i < config.num_layers; i++) {
    recordDoubleBlock(program, config, weights, `transformer_blocks.${i}.`, { h, text, vectors, table });
  }
  for (let i = 0; i < config.num_single_layers; i++) {
    const first = i === config.num_single_layers - 1 ? text : 0;    // of the last block only picture rows are read
    recordSingleBlock(program, config, weights, `single_transformer_blocks.${i}.attn.`, { h, first, vectors, table });
  }
  const normed = program.tensor(picture, hidden, "f32");
  layerNorm(program, h.rowRange(text, picture), vectors.out, normed, eps);
  linear(program, normed, weights.get("proj_out.weight"), latents, { exact: true, accumulate: true, gate: stepSize });
  program.release(h, normed);
}

/** @typedef {ReturnType<typeof splitModulation>} Modulation */

/** @param {Tensor} modulation [1, columns] @param {number} hidden The named vectors of one step. */
export function splitModulation(modulation, hidden) {
  let column = 0;
  const take = () => modulation.columnRange(hidden * column++, hidden);
  const stream = () => {
    const [shift1, scale1, gate1, shift2, scale2, gate2] = [take(), take(), take(), take(), take(), take()];
    return {
      attention: { shift: shift1, scale: scale1 }, attentionGate: gate1,
      mlp: { shift: shift2, scale: scale2 }, mlpGate: gate2,
    };
  };
  const picture = stream();
  const text = stream();
  const single = { shift: take(), scale: take(), gate: take() };
  const out = { scale: take(), shift: take() };                      // scale first here, unlike the others
  return { picture, text, single, out };
}

/**
 * @param {Program} program @param {TransformerConfig} config @param {StageWeights} weights @param {string} prefix
 * @param {{h: Tensor, text: number, vectors: Modulation, table: Tensor}} io
 */
export function recordDoubleBlock(program, config, weights, prefix, { h, text, vectors, table }) {
  const { hidden_size: hidden, attention_head_dim: headDim, mlp_hidden_size: mlp, eps } = config;
  const streams = [
    {
      modulation: vectors.text, begin: 0, count: text, ff: "ff_context",
      q: "add_q_proj", k: "add_k_proj", v: "add_v_proj", out: "to_add_out", normQ: "norm_added_q", normK: "norm_added_k",
    },
    {
      modulation: vectors.picture, begin: text, count: h.rows - text, ff: "ff",
      q: "to_q", k: "to_k", v: "to_v", out: "to_out.0", normQ: "norm_q", normK: "norm_k",
    },
  ];
  const W = (/** @type {string} */ name) => weights.get(`${prefix}${name}.weight`);
  const V = (/** @type {string} */ name) => weights.vector(`${prefix}${name}.weight`);
  const normed = program.tensor(h.rows, hidden);
  const qkv = program.tensor(h.rows, 3 * hidden);
  const heads = program.tensor(h.rows, hidden);
  for (const stream of streams) {
    const rows = (/** @type {Tensor} */ tensor) => tensor.rowRange(stream.begin, stream.count);
    layerNorm(program, rows(h), stream.modulation.attention, rows(normed), eps);
    const [q, k, v] = /** @type {[Tensor, Tensor, Tensor]} */ ([0, 1, 2].map((i) => rows(qkv.columnRange(i * hidden, hidden))));
    linear(program, rows(normed), W(`attn.${stream.q}`), q);
    linear(program, rows(normed), W(`attn.${stream.k}`), k);
    linear(program, rows(normed), W(`attn.${stream.v}`), v);
    const part = (/** @type {Tensor} */ x, /** @type {string} */ norm) => ({ x, weight: V(`attn.${norm}`), positionBegin: stream.begin });
    qkNormRope(program, [part(q, stream.normQ), part(k, stream.normK)], table, { headDim, eps, layout: "interleaved" });
  }
  const [q, k, v] = /** @type {[Tensor, Tensor, Tensor]} */ ([0, 1, 2].map((i) => qkv.columnRange(i * hidden, hidden)));
  attention(program, q, k, v, heads, { headDim });
  program.release(qkv);
  const gateUp = program.tensor(h.rows, 2 * mlp);
  const activated = program.tensor(h.rows, mlp);
  for (const stream of streams) {
    const rows = (/** @type {Tensor} */ tensor) => tensor.rowRange(stream.begin, stream.count);
    linear(program, rows(heads), W(`attn.${stream.out}`), rows(h), { accumulate: true, gate: stream.modulation.attentionGate });
    layerNorm(program, rows(h), stream.modulation.mlp, rows(normed), eps);
    linear(program, rows(normed), W(`${stream.ff}.linear_in`), rows(gateUp));
    swiglu(program, rows(gateUp.columnRange(0, mlp)), rows(gateUp.columnRange(mlp, mlp)), rows(activated));
    linear(program, rows(activated), W(`${stream.ff}.linear_out`), rows(h), { accumulate: true, gate: stream.modulation.mlpGate });
  }
  program.release(normed, heads, gateUp, activated);
}

/**
 * @param {Program} program @param {TransformerConfig} config @param {StageWeights} weights @param {string} prefix
 * @param {{h: Tensor, first: number, vectors: Modulation, table: Tensor}} io first: the first row whose result is wanted
 */
export function recordSingleBlock(program, config, weights, prefix, { h, first, vectors, table }) {
  const { hidden_size: hidden, attention_head_dim: headDim, mlp_hidden_size: mlp, eps } = config;
  const { shift, scale, gate } = vectors.single;
  const wanted = (/** @type {Tensor} */ tensor) => tensor.rowRange(first, h.rows - first);
  const normed = program.tensor(h.rows, hidden);
  const projected = program.tensor(h.rows, 3 * hidden + 2 * mlp);    // q | k | v | gate | up
  const joined = program.tensor(h.rows, hidden + mlp);               // attention | mlp
  layerNorm(program, h, { shift, scale }, normed, eps);
  linear(program, normed, weights.get(`${prefix}to_qkv_mlp_proj.weight`), projected);
  const q = wanted(projected.columnRange(0, hidden));
  const k = projected.columnRange(hidden, hidden);
  const v = projected.columnRange(2 * hidden, hidden);
  qkNormRope(program, [
    { x: q, weight: weights.vector(`${prefix}norm_q.weight`), positionBegin: first },
    { x: k, weight: weights.vector(`${prefix}norm_k.weight`) },
  ], table, { headDim, eps, layout: "interleaved" });
  attention(program, q, k, v, wanted(joined.columnRange(0, hidden)), { headDim });
  swiglu(
    program, wanted(projected.columnRange(3 * hidden, mlp)), wanted(projected.columnRange(3 * hidden + mlp, mlp)),
    wanted(joined.columnRange(hidden, mlp)),
  );
  linear(program, wanted(joined), weights.get(`${prefix}to_out.weight`), wanted(h), { accumulate: true, gate });
  program.release(normed, projected, joined);
}
