/**
 * The Qwen3 text encoder: token embeddings to prompt embeddings, the residual stream tapped after chosen layers.
 *
 * Pads stand right of the prompt and are never keys, so k and v are computed for the prompt's rows alone and causal
 * attention over them needs no mask. The residual stream is f32; matrix inputs have the engine's precision.
 */

import { attention, qkNormRope } from "../engine/ops/attention.js";
import { copy, swiglu } from "../engine/ops/elementwise.js";
import { linear } from "../engine/ops/linear.js";
import { rmsNorm } from "../engine/ops/norms.js";

/**
 * @typedef {import("../engine/program.js").Program} Program
 * @typedef {import("../engine/tensor.js").Tensor} Tensor
 * @typedef {import("../engine/weights.js").StageWeights} StageWeights
 * @typedef {import("../manifest.js").TextEncoderConfig} TextEncoderConfig
 */

/**
 * @param {Program} program
 * @param {TextEncoderConfig} config
 * @param {StageWeights} weights
 * @param {object} io
 * @param {Tensor} io.x f32 [S, hidden]: token embeddings; becomes the residual stream
 * @param {number} io.length the prompt's tokens, the rest are pads
 * @param {Tensor} io.table f32 [S, headDim]: textRope
 * @param {Tensor} io.promptEmbeds f32 [S, taps * hidden]: the result
 * @param {number} io.contextClip largest magnitude in it, 0: any
 */
export function recordTextEncoder(program, config, weights, { x, length, table, promptEmbeds, contextClip }) {
  const { hidden_size: hidden, intermediate_size: intermediate, head_dim: headDim, rms_norm_eps: eps } = config;
  const S = x.rows;
  const normed = program.tensor(S, hidden);
  const q = program.tensor(S, config.num_attention_heads * headDim);
  const k = program.tensor(length, config.num_key_value_heads * headDim);
  const v = program.tensor(length, config.num_key_value_heads * headDim);
  const heads = program.tensor(S, q.columns);
  const gateUp = program.tensor(S, 2 * intermediate);
  const activated = program.tensor(S, intermediate);
  const gate = gateUp.columnRange(0, intermediate);
  const up = gateUp.columnRange(intermediate, intermediate);
  const rope = /** @type {const} */ ({ headDim, eps, layout: "half" });

  for (let i = 0; i < config.num_layers; i++) {
    const layer = `model.layers.${i}.`;
    const W = (/** @type {string} */ name) => weights.get(`${layer}${name}.weight`);
    const V = (/** @type {string} */ name) => weights.vector(`${layer}${name}.weight`);
    rmsNorm(program, x, V("input_layernorm"), normed, eps);
    linear(program, normed, W("self_attn.q_proj"), q);
    linear(program, normed.rowRange(0, length), W("self_attn.k_proj"), k);
    linear(program, normed.rowRange(0, length), W("self_attn.v_proj"), v);
    qkNormRope(program, [{ x: q, weight: V("self_attn.q_norm") }, { x: k, weight: V("self_attn.k_norm") }], table, rope);
    attention(program, q, k, v, heads, { headDim, causal: true });
    linear(program, heads, W("self_attn.o_proj"), x, { accumulate: true });
    rmsNorm(program, x, V("post_attention_layernorm"), normed, eps);
    linear(program, normed, W("mlp.gate_proj"), gate);
    linear(program, normed, W("mlp.up_proj"), up);
    swiglu(program, gate, up, activated);
    linear(program, activated, W("mlp.down_proj"), x, { accumulate: true });
    const tap = config.tapped_layers.indexOf(i + 1);
    if (tap >= 0) copy(program, x, promptEmbeds.columnRange(tap * hidden, hidden), contextClip);
  }
  program.release(normed, q, k, v, heads, gateUp, activated);
}
