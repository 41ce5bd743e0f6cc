/**
 * Records attention and what prepares its q and k (kernels/attention.wgsl, qk_norm_rope.wgsl).
 */

import { grid } from "../program.js";
import { rowSlices } from "./products.js";

/**
 * @typedef {import("../program.js").Program} Program
 * @typedef {import("../program.js").Range} Range
 * @typedef {import("../tensor.js").Tensor} Tensor
 */

const QUERY_TILE = 32;

/**
 * out = softmax(q k^T / sqrt(headDim)) v for every head.
 *
 * @param {Program} program
 * @param {Tensor} q [queries, heads * headDim]
 * @param {Tensor} k [keys, kvHeads * headDim]: only keys that may be seen
 * @param {Tensor} v like k
 * @param {Tensor} out like q, not in a buffer of q, k or v
 * @param {{headDim: number, causal?: boolean}} options causal: query i sees keys j <= i
 */
export function attention(program, q, k, v, out, { headDim, causal = false }) {
  const heads = q.columns / headDim;
  const groupSize = q.columns / k.columns;
  if (!Number.isInteger(heads) || !Number.isInteger(groupSize) || headDim % 8 !== 0 || k.rows !== v.rows) {
    throw new RangeError(`attention: q ${q.columns}, k ${k.columns}, head dimension ${headDim}`);
  }
  const flopsPerRow = 4 * k.rows * q.columns;
  for (const [begin, end] of rowSlices(program, q.rows, flopsPerRow, QUERY_TILE)) {
    program.dispatch({
      variant: {
        kernel: "attention", types: { F: program.float }, constants: { HEAD_DIM: headDim }, flags: causal ? ["CAUSAL"] : [],
      },
      uints: [
        end, begin, k.rows, groupSize, q.offset, q.stride, k.offset, k.stride, v.offset, v.stride, out.offset, out.stride,
      ],
      floats: [1 / Math.sqrt(headDim)],
      bindings: { 1: q, 2: k, 3: v, 4: out },
      workgroups: [Math.ceil((end - begin) / QUERY_TILE), heads],
      flops: flopsPerRow * (end - begin) / (causal ? 2 : 1),
    });
  }
}

/**
 * x = rope(rms(x) * weight) head by head, in place.
 *
 * @param {Program} program
 * @param {Tensor} x [rows, heads * headDim]
 * @param {Range} weight [headDim] f32
 * @param {Tensor} table f32 [positions, headDim]: (cos, sin) pairs
 * @param {{headDim: number, eps: number, layout: "half"|"interleaved", positionBegin?: number}} options
 *   layout: which elements form a pair; positionBegin: the table's row for row 0
 */
export function qkNormRope(program, x, weight, table, { headDim, eps, layout, positionBegin = 0 }) {
  const heads = x.columns / headDim;
  program.dispatch({
    variant: {
      kernel: "qk_norm_rope", types: { F: x.dtype }, constants: { HEAD_DIM: headDim }, flags: layout === "half" ? ["HALF"] : [],
    },
    uints: [heads, x.offset, x.stride, positionBegin, x.rows * heads],
    floats: [eps],
    bindings: { 1: x, 2: weight, 3: table },
    workgroups: grid(x.rows * heads),
    flops: x.rows * x.columns * 8,
  });
}
