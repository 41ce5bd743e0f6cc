/**
 * Operators on made-up data, as the tuner compares and times them: what each records, how its inputs are filled, and what the smallest
 * ones must give.
 */

import { attention } from "../../engine/ops/attention.js";
import { conv2d } from "../../engine/ops/conv2d.js";
import { linear } from "../../engine/ops/linear.js";
import { fillRandom } from "../../engine/synthetic/inputs.js";
import { attentionExpected, convExpected, linearExpected } from "./expected.js";

/**
 * @typedef {import("../../engine/tuning/tuner.js").Workload} Workload
 * @typedef {import("../../engine/weights.js").Weight} Weight
 * @typedef {import("./shapes.js").AttentionShape} AttentionShape
 */

/** Rows of a linear's probe: whole tiles and a part of one. */
const PROBE_ROWS = 137;
/** Queries and keys of attention's, and the sides of a convolution's. */
const PROBE_QUERIES = 77;
const PROBE_KEYS = 203;
const PROBE_WIDTH = 13;
const PROBE_HEIGHT = 11;
/** Sizes of the probes that JavaScript works out. Enough results that chance weighs little in their error. */
const FIXED = Object.freeze({ rows: 69, columns: 72, inner: 256, width: 7, height: 3, channels: 32, queries: 9, keys: 14 });

/**
 * @param {import("../../manifest.js").Tensor} entry a linear or convolution
 * @returns {import("../../manifest.js").Tensor} a small one stored like it
 */
export function smallWeight(entry) {
  const inner = entry.kind === "conv" ? FIXED.channels : FIXED.inner;
  return { ...entry, shape: [FIXED.columns, inner, ...entry.shape.slice(2)] };
}

/** @param {Weight} weight @param {number} rows @param {number} share @returns {Workload} */
export function linearWorkload(weight, rows, share) {
  const [columns = 1, inner = 1] = weight.shape;
  return {
    shape: `${rows} x ${inner} to ${columns}`, share,
    record(program) {
      const a = program.tensor(rows, inner);
      const out = program.tensor(rows, columns);
      linear(program, a, weight, out);
      return { out, fill: () => fillRandom(program.engine, a) };
    },
  };
}

/** @param {Weight} weight @returns {Workload} of its own shape, compared with the plainest kernel */
export function linearProbe(weight) {
  return linearWorkload(weight, PROBE_ROWS, 0);
}

/** @param {{weight: Weight, value: number}} constant of smallWeight's shape @returns {Workload} worked out */
export function fixedLinear({ weight, value }) {
  const { rows, columns, inner } = FIXED;
  return { ...linearWorkload(weight, rows, 0), expected: () => linearExpected(rows, columns, inner, value) };
}

/**
 * @param {Weight} weight
 * @param {{width: number, height: number, upsample: boolean, share: number}} map that goes in
 * @returns {Workload}
 */
export function convWorkload(weight, { width, height, upsample, share }) {
  const [columns = 1, channels = 1, kernel = 1] = weight.shape;
  const scale = upsample ? 2 : 1;
  return {
    shape: `${width} x ${height}${upsample ? ", doubled" : ""}, ${channels} to ${columns} channels, ${kernel} x ${kernel}`, share,
    record(program) {
      const input = { width, height, tensor: program.tensor(width * height, channels) };
      const out = { width: width * scale, height: height * scale, tensor: program.tensor(width * height * scale ** 2, columns) };
      const bias = program.tensor(1, columns, "f32");
      conv2d(program, input, weight, bias, out, { upsample });
      return {
        out: out.tensor,
        fill: () => {
          fillRandom(program.engine, input.tensor);
          fillRandom(program.engine, bias, 1);
        },
      };
    },
  };
}

/** @param {Weight} weight @param {boolean} upsample @returns {Workload} of its own channels, compared with the plainest kernel */
export function convProbe(weight, upsample) {
  return convWorkload(weight, { width: PROBE_WIDTH, height: PROBE_HEIGHT, upsample, share: 0 });
}

/** @param {{weight: Weight, value: number}} constant of smallWeight's shape @param {boolean} upsample @returns {Workload} worked out */
export function fixedConv({ weight, value }, upsample) {
  const { width, height, channels, columns } = FIXED;
  const expected = () => convExpected({ width, height, channels, columns, kernel: weight.shape[2] ?? 1, upsample }, value);
  return { ...convWorkload(weight, { width, height, upsample, share: 0 }), expected };
}

/** @param {AttentionShape} shape @returns {Workload[]} with its head dimension and grouping */
export function attentionProbes(shape) {
  const { heads, kvHeads, causal } = shape;
  const few = { ...shape, heads: (2 * heads) / kvHeads, kvHeads: 2, share: 0 };
  const probe = { ...few, queries: causal ? PROBE_KEYS : PROBE_QUERIES, keys: PROBE_KEYS };
  const fixed = { ...few, queries: causal ? FIXED.keys : FIXED.queries, keys: FIXED.keys };
  return [{ ...attentionWorkload(fixed), expected: () => attentionExpected(fixed) }, attentionWorkload(probe)];
}

/** @param {AttentionShape} shape @returns {Workload} */
export function attentionWorkload({ queries, keys, heads, kvHeads, headDim, causal, share }) {
  return {
    shape: `${queries} x ${keys}, ${heads} heads of ${headDim}${causal ? ", causal" : ""}`, share,
    record(program) {
      const q = program.tensor(queries, heads * headDim);
      const k = program.tensor(keys, kvHeads * headDim);
      const v = program.tensor(keys, kvHeads * headDim);
      const out = program.tensor(queries, heads * headDim);
      attention(program, q, k, v, out, { headDim, causal });
      return { out, fill: () => [q, k, v].forEach((tensor, seed) => fillRandom(program.engine, tensor, seed)) };
    },
  };
}
