/**
 * Records attention (kernels/attention.wgsl, attention_tile.wgsl) and what prepares its q and k (kernels/qk_norm_rope.wgsl).
 */

import { grid } from "../program.js";
import { attentionCandidates } from "./attention_candidates.js";
import { rowSlices } from "./products.js";

/**
 * @typedef {import("../program.js").Program} Program
 * @typedef {import("../program.js").Range} Range
 * @typedef {import("../tensor.js").Tensor} Tensor
 */

/** Elements of a row's start that attention.wgsl reads at once, and in f16 attention_tile.wgsl. */
const FOUR = 4;
const EIGHT = 8;
/** Invocations of a workgroup of qk_norm_rope.wgsl, each for 8 elements of a head. */
const ROPE_WORKGROUP = 256;

/** @param {Tensor} tensor @param {number} elements @returns {boolean} whether every row starts at a multiple of so many */
const aligned = ({ offset, stride }, elements) => offset % elements === 0 && stride % elements === 0;

/**
 * out = softmax(q k^T / sqrt(headDim)) v for every head.
 *
 * @param {Program} program
 * @param {Tensor} q [queries, heads * headDim]
 * @param {Tensor} k [keys, kvHeads * headDim]: only keys that may be seen, at least one
 * @param {Tensor} v like k
 * @param {Tensor} out like q, not in a buffer of q, k or v
 * @param {{headDim: number, causal?: boolean}} options headDim: a multiple of 8; causal: query i sees keys j <= i
 * @throws {RangeError} when they do not fit each other, or their rows do not start at multiples of 4 elements
 */
export function attention(program, q, k, v, out, { headDim, causal = false }) {
  const heads = q.columns / headDim;
  const groupSize = q.columns / k.columns;
  if (!Number.isInteger(heads) || !Number.isInteger(groupSize) || headDim % EIGHT !== 0 || k.rows !== v.rows || k.columns !== v.columns
    || k.rows < 1 || ![q, k, v, out].every((tensor) => aligned(tensor, FOUR))) {
    throw new RangeError(`attention: q ${q.columns}, k ${k.rows} x ${k.columns}, head dimension ${headDim}`);
  }
  const { engine, float } = program;
  const all = attentionCandidates(headDim, float, engine.info);
  const whole = float === "f32" || (aligned(q, EIGHT) && aligned(k, EIGHT));
  const { kernel = "", constants, flags, queries } = engine.tuning.pick(
    `attention.${headDim}${causal ? ".causal" : ""}`, whole ? all : all.filter((candidate) => candidate.kernel === "attention"));
  const flopsPerRow = 4 * k.rows * q.columns;
  for (const [begin, end] of rowSlices(program, q.rows, flopsPerRow, queries)) {
    program.dispatch({
      variant: {
        kernel, types: { F: float }, constants: { ...constants, HEAD_DIM: headDim }, flags: causal ? [...flags, "CAUSAL"] : flags,
      },
      uints: [
        end, begin, k.rows, groupSize, q.offset, q.stride, k.offset, k.stride, v.offset, v.stride, out.offset, out.stride,
      ],
      floats: [1 / Math.sqrt(headDim)],
      bindings: { 1: q, 2: k, 3: v, 4: out },
      workgroups: [Math.ceil((end - begin) / queries), heads],
      flops: flopsPerRow * (end - begin) / (causal ? 2 : 1),
    });
  }
}

/**
 * @typedef {object} Heads q or k
 * @property {Tensor} x [rows, heads * headDim], rows starting at multiples of 4 elements
 * @property {Range} weight [headDim] f32
 * @property {number} [positionBegin] the table's row for row 0, 0 unless given
 */

/**
 * x = rope(rms(x) * weight) head by head, in place; q and k in one dispatch.
 *
 * @param {Program} program
 * @param {[Heads] | [Heads, Heads]} parts which do not overlap
 * @param {Tensor} table f32 [positions, headDim]: (cos, sin) pairs
 * @param {{headDim: number, eps: number, layout: "half"|"interleaved"}} options headDim: a multiple of 8; layout: which elements
 *   form a pair
 * @throws {RangeError} when headDim or the rows' starts do not suit the kernel
 */
export function qkNormRope(program, parts, table, { headDim, eps, layout }) {
  const [one, two] = parts;
  if (headDim % EIGHT !== 0 || headDim > EIGHT * ROPE_WORKGROUP || parts.some(({ x }) => !aligned(x, FOUR) || x.dtype !== one.x.dtype)) {
    throw new RangeError(`qkNormRope: head dimension ${headDim}, or a row that does not start at a multiple of ${FOUR} elements`);
  }
  const heads = (/** @type {Heads} */ { x }) => x.columns / headDim;
  const items = (/** @type {Heads} */ part) => part.x.rows * heads(part);
  const fields = (/** @type {Heads} */ part) => [heads(part), part.x.offset, part.x.stride, part.positionBegin ?? 0, items(part)];
  const apart = two !== undefined && two.x.storage !== one.x.storage;
  const count = parts.reduce((sum, part) => sum + items(part), 0);
  const flags = Object.entries({ HALF: layout === "half", SECOND: two !== undefined, APART: apart });
  program.dispatch({
    variant: {
      kernel: "qk_norm_rope", types: { F: one.x.dtype }, constants: { HEAD_DIM: headDim },
      flags: flags.filter(([, on]) => on).map(([flag]) => flag),
    },
    uints: [...fields(one), ...(two ? fields(two) : [0, 0, 0, 0, 0])],
    floats: [eps],
    bindings: { 1: one.x, 2: one.weight, 3: table, 4: two?.weight, 5: apart ? two.x : undefined },
    workgroups: grid(Math.ceil(count / Math.floor(ROPE_WORKGROUP / (headDim / EIGHT)))),
    flops: count * headDim * 8,
  });
}
