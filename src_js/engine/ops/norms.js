/**
 * Records the norms: RMS norm, modulated layer norm, group norm (kernels of the same names).
 */

import { grid } from "../program.js";

/**
 * @typedef {import("../program.js").Program} Program
 * @typedef {import("../program.js").Range} Range
 * @typedef {import("../tensor.js").Tensor} Tensor
 * @typedef {import("./conv2d.js").FeatureMap} FeatureMap
 */

const GROUP_NORM_CHUNK_ELEMENTS = 8192;

/** @param {number} columns @returns {number} invocations for a row: a power of two, 32 to 256 */
function rowWorkgroup(columns) {
  return Math.min(256, Math.max(32, 2 ** Math.floor(Math.log2(columns / 2))));
}

/**
 * out = x / sqrt(mean(x^2) + eps) * weight
 * @param {Program} program
 * @param {Tensor} x [rows, columns] f32
 * @param {Range} weight [columns] f32
 * @param {Tensor} out [rows, columns]
 * @param {number} eps
 */
export function rmsNorm(program, x, weight, out, eps) {
  program.dispatch({
    variant: { kernel: "rms_norm", types: { C: out.dtype }, constants: { WORKGROUP: rowWorkgroup(x.columns) } },
    uints: [x.columns, x.offset, x.stride, out.offset, out.stride, x.rows],
    floats: [eps],
    bindings: { 1: x, 2: weight, 3: out },
    workgroups: grid(x.rows),
    flops: x.rows * x.columns * 4,
  });
}

/**
 * out = (x - mean) / sqrt(variance + eps) * (1 + scale) + shift
 * @param {Program} program
 * @param {Tensor} x [rows, columns] f32
 * @param {{shift: Tensor, scale: Tensor}} modulation f32 [1, columns] each, in one buffer
 * @param {Tensor} out [rows, columns]
 * @param {number} eps
 */
export function layerNorm(program, x, { shift, scale }, out, eps) {
  if (shift.buffer !== scale.buffer) throw new RangeError("shift and scale must lie in one buffer");
  program.dispatch({
    variant: { kernel: "layer_norm", types: { C: out.dtype }, constants: { WORKGROUP: rowWorkgroup(x.columns) } },
    uints: [x.columns, x.offset, x.stride, out.offset, out.stride, shift.offset, scale.offset, x.rows],
    floats: [eps],
    bindings: { 1: x, 2: shift, 3: out },
    workgroups: grid(x.rows),
    flops: x.rows * x.columns * 8,
  });
}

/**
 * out = group norm of a feature map, affine, then silu if asked
 * @param {Program} program
 * @param {FeatureMap} x
 * @param {{weight: Range, bias: Range}} affine [channels] f32 each
 * @param {Tensor} out like x.tensor
 * @param {{groups: number, eps: number, silu?: boolean}} options
 */
export function groupNorm(program, x, { weight, bias }, out, { groups, eps, silu = false }) {
  const pixels = x.width * x.height;
  const channels = x.tensor.columns;
  const groupChannels = channels / groups;
  if (!Number.isInteger(groupChannels)) throw new RangeError(`${channels} channels in ${groups} groups`);
  const chunkPixels = Math.max(1, Math.floor(GROUP_NORM_CHUNK_ELEMENTS / groupChannels));
  const chunks = Math.ceil(pixels / chunkPixels);
  const partial = program.tensor(groups * chunks, 4, "f32");
  const statistics = program.tensor(groups, 2, "f32");
  program.dispatch({
    variant: { kernel: "group_norm_partial", types: { A: x.tensor.dtype } },
    uints: [pixels, channels, groupChannels, chunkPixels],
    bindings: { 1: x.tensor, 2: partial },
    workgroups: [chunks, groups],
    flops: pixels * channels * 6,
  });
  program.dispatch({
    variant: { kernel: "group_norm_combine" },
    uints: [chunks, pixels * groupChannels],
    floats: [eps],
    bindings: { 1: partial, 2: statistics },
    workgroups: [groups, 1],
    flops: groups * chunks * 6,
  });
  program.dispatch({
    variant: {
      kernel: "group_norm_apply", types: { A: x.tensor.dtype, C: out.dtype }, flags: silu ? ["SILU"] : [],
    },
    uints: [channels, groupChannels, pixels * channels],
    bindings: { 1: x.tensor, 2: statistics, 3: weight, 4: bias, 5: out },
    workgroups: grid(Math.ceil((pixels * channels) / 256)),
    flops: pixels * channels * 8,
  });
  program.release(partial, statistics);
}
