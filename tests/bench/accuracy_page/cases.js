/**
 * Kernels and blocks of the transformer at a model's true width, each on made-up inputs: what is recorded, and what a reference needs
 * to know to do the same. Inputs are numbered by the seed that fills them (engine/synthetic/inputs.js).
 */

import { attention } from "../../../src_js/engine/ops/attention.js";
import { linear } from "../../../src_js/engine/ops/linear.js";
import { axesRope, jointPositions } from "../../../src_js/pipeline/rope.js";
import { pictureSize } from "../../../src_js/pipeline/stages.js";
import { modulationColumns, recordDoubleBlock, recordSingleBlock, splitModulation } from "../../../src_js/pipeline/transformer.js";

/**
 * @typedef {import("../../../src_js/engine/program.js").Program} Program
 * @typedef {import("../../../src_js/engine/tensor.js").Tensor} Tensor
 * @typedef {import("../../../src_js/engine/weights.js").StageWeights} StageWeights
 * @typedef {import("../../../src_js/manifest.js").ModelConfig} ModelConfig
 */

/**
 * @typedef {object} Recorded
 * @property {Tensor[]} inputs to be filled with random values, the first with seed 0
 * @property {Tensor} out
 * @property {{tensor: Tensor, values: Float32Array<ArrayBuffer>}} [table] to be uploaded
 */

/**
 * @typedef {object} Case
 * @property {Record<string, unknown>} facts for the reference: name, kind, and what that kind needs
 * @property {(program: Program, weights: StageWeights) => Recorded} record
 */

/** @param {ModelConfig} config @param {number} side of the picture in pixels @returns {Case[]} */
export function accuracyCases(config, side) {
  const { rows, columns } = pictureSize(config, { width: side, height: side, steps: 1 });
  const tokens = config.prompt.text_seq_len + rows * columns;
  const double = "transformer_blocks.0.";
  const single = "single_transformer_blocks.0.attn.";
  return [
    linearCase(`${double}attn.to_q.weight`, tokens),
    linearCase(`${double}ff.linear_in.weight`, tokens),
    linearCase(`${double}ff.linear_out.weight`, tokens),
    linearCase(`${single}to_qkv_mlp_proj.weight`, tokens),
    linearCase(`${single}to_out.weight`, tokens),
    attentionCase(config, tokens),
    blockCase(config, "double block", rows, columns, (program, weights, io) => recordDoubleBlock(program, config.transformer, weights, double, io)),
    blockCase(config, "single block", rows, columns, (program, weights, io) => (
      recordSingleBlock(program, config.transformer, weights, single, { ...io, first: 0 }))),
  ];
}

/** @param {string} weight @param {number} rows @returns {Case} */
function linearCase(weight, rows) {
  return {
    facts: { name: `${weight}, ${rows} rows`, kind: "linear", weight },
    record(program, weights) {
      const w = weights.get(weight);
      const [columns = 1, inner = 1] = w.shape;
      const [a, out] = [program.tensor(rows, inner), program.tensor(rows, columns)];
      linear(program, a, w, out);
      return { inputs: [a], out };
    },
  };
}

/** @param {ModelConfig} config @param {number} rows @returns {Case} */
function attentionCase({ transformer: { num_attention_heads: heads, attention_head_dim: headDim } }, rows) {
  return {
    facts: { name: `attention ${heads} x ${headDim}, ${rows} rows`, kind: "attention", headDim },
    record(program) {
      const [q, k, v, out] = /** @type {[Tensor, Tensor, Tensor, Tensor]} */ ([0, 1, 2, 3].map(() => program.tensor(rows, heads * headDim)));
      attention(program, q, k, v, out, { headDim });
      return { inputs: [q, k, v], out };
    },
  };
}

/**
 * @param {ModelConfig} config @param {"double block"|"single block"} kind @param {number} rows @param {number} columns of the picture's tokens
 * @param {(program: Program, weights: StageWeights, io: {h: Tensor, text: number, vectors: ReturnType<typeof splitModulation>, table: Tensor}) => void} record
 * @returns {Case}
 */
function blockCase({ transformer, prompt }, kind, rows, columns, record) {
  const { hidden_size: hidden, attention_head_dim: headDim } = transformer;
  const text = prompt.text_seq_len;
  const count = text + rows * columns;
  return {
    facts: { name: `${kind}, ${count} rows`, kind, rows, columns },
    record(program, weights) {
      const h = program.tensor(count, hidden, "f32");
      const modulation = program.tensor(1, modulationColumns(transformer), "f32");
      const table = program.tensor(count, headDim, "f32");
      record(program, weights, { h, text, vectors: splitModulation(modulation, hidden), table });
      const values = axesRope(jointPositions(text, rows, columns), transformer.axes_dims_rope, transformer.rope_theta);
      return { inputs: [h, modulation], out: h, table: { tensor: table, values } };
    },
  };
}
