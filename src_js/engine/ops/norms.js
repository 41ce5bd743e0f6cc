/**
 * Records the norms: RMS norm, modulated layer norm, group norm (kernels of the same names).
 */

import { grid } from "../program.js";
import { copy } from "./elementwise.js";
import { unitsOf } from "./units.js";

/**
 * @typedef {import("../program.js").Program} Program
 * @typedef {import("../program.js").Range} Range
 * @typedef {import("../tensor.js").Tensor} Tensor
 * @typedef {import("./conv2d.js").FeatureMap} FeatureMap
 */

const GROUP_NORM_WORKGROUP = 256;
/** Chunks of a map for its statistics: enough to fill a large GPU, few enough to merge in no time. */
const STATISTICS_CHUNKS = 2048;
/** And for applying them: far below the most workgroups that a dispatch may have. */
const APPLY_CHUNKS = 32768;
/** Elements of a channel that an invocation reads at least, so that its setting up is paid for. */
const LEAST_ELEMENTS = 8;

/** @param {number} units of a row @returns {{WORKGROUP: number, VALUES: number}} a power of two, 32 to 256, and what each invocation holds */
function rowConstants(units) {
  const workgroup = Math.min(256, Math.max(32, 2 ** Math.floor(Math.log2(units / 2))));
  return { WORKGROUP: workgroup, VALUES: Math.ceil(units / workgroup) };
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
  const { flags, count } = unitsOf(x.columns, x, out);
  const constants = rowConstants(count(x.columns));
  program.dispatch({
    variant: { kernel: "rms_norm", types: { C: out.dtype }, constants, flags },
    uints: [x.columns, ...[x.columns, x.offset, x.stride, out.offset, out.stride].map(count), x.rows],
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
  if (shift.storage !== scale.storage) throw new RangeError("shift and scale must be views of one tensor");
  const { flags, count } = unitsOf(x.columns, x, out, shift, scale);
  const constants = rowConstants(count(x.columns));
  program.dispatch({
    variant: { kernel: "layer_norm", types: { C: out.dtype }, constants, flags },
    uints: [
      x.columns, ...[x.columns, x.offset, x.stride, out.offset, out.stride, shift.offset, scale.offset].map(count), x.rows,
    ],
    floats: [eps],
    bindings: { 1: x, 2: shift, 3: out },
    workgroups: grid(x.rows),
    flops: x.rows * x.columns * 8,
  });
}

/**
 * out = group norm of a feature map, affine, then silu if asked
 * @param {Program} program
 * @param {FeatureMap} x channels a multiple of 4
 * @param {{weight: Range, bias: Range}} affine [channels] f32 each
 * @param {Tensor} out like x.tensor, or x.tensor itself
 * @param {{groups: number, eps: number, silu?: boolean}} options
 * @throws {RangeError} for channels that are no multiple of 4 or of the groups
 */
export function groupNorm(program, x, affine, out, { groups, eps, silu = false }) {
  const statistics = groupStatistics(program, [x], { groups, eps });
  normaliseGroups(program, x, statistics, affine, out, { silu });
  program.release(statistics);
}

/**
 * Mean and reciprocal standard deviation of every group over the pixels of a map that may lie in bands.
 * @param {Program} program
 * @param {readonly FeatureMap[]} bands of one width and as many channels, all but the last of equal height
 * @param {{groups: number, eps: number}} options
 * @returns {Tensor} f32 [groups, 2], the caller's to release
 * @throws {RangeError} for channels that are no multiple of 4 or of the groups
 */
export function groupStatistics(program, bands, { groups, eps }) {
  const [{ width, height, tensor }] = /** @type {[FeatureMap]} */ (bands);
  const channels = tensor.columns;
  const groupChannels = channels / groups;
  if (!Number.isInteger(groupChannels) || channels % 4 !== 0) throw new RangeError(`${channels} channels in ${groups} groups`);
  const { lanes, blocks } = groupLanes(channels);
  const pixels = bands.reduce((sum, band) => sum + band.width * band.height, 0);
  const leastPixels = Math.max(lanes * LEAST_ELEMENTS, Math.ceil(pixels / STATISTICS_CHUNKS));
  const chunkPixels = bands.length === 1 ? leastPixels : width * divisor(height, leastPixels / width);
  const chunks = Math.ceil(pixels / chunkPixels);
  const partial = program.tensor(chunks * 2, channels, "f32");
  let first = 0;
  for (const band of bands) {
    const bandPixels = band.width * band.height;
    const count = Math.ceil(bandPixels / chunkPixels);
    const own = bands.length === 1 ? partial : program.tensor(count * 2, channels, "f32");
    program.dispatch({
      variant: { kernel: "group_norm_partial", types: { A: band.tensor.dtype } },
      uints: [bandPixels, channels, chunkPixels],
      bindings: { 1: band.tensor, 2: own },
      workgroups: [count, blocks],
      flops: bandPixels * channels * 4,
    });
    if (own !== partial) {
      copy(program, own, partial.rowRange(first * 2, count * 2));
      program.release(own);
    }
    first += count;
  }
  const statistics = program.tensor(groups, 2, "f32");
  program.dispatch({
    variant: { kernel: "group_norm_combine" },
    uints: [pixels, channels, groupChannels, chunkPixels, chunks],
    floats: [eps],
    bindings: { 1: partial, 2: statistics },
    workgroups: [groups, 1],
    flops: chunks * channels * 8,
  });
  program.release(partial);
  return statistics;
}

/**
 * out = (x - mean) * reciprocal deviation, affine, then silu if asked
 * @param {Program} program
 * @param {FeatureMap} x a map or some rows of it
 * @param {Tensor} statistics as groupStatistics gives them, of the whole map
 * @param {{weight: Range, bias: Range}} affine [channels] f32 each
 * @param {Tensor} out like x.tensor, or x.tensor itself
 * @param {{silu?: boolean}} [options]
 */
export function normaliseGroups(program, x, statistics, { weight, bias }, out, { silu = false } = {}) {
  const pixels = x.width * x.height;
  const channels = x.tensor.columns;
  const { lanes, blocks } = groupLanes(channels);
  const chunkPixels = Math.max(lanes * LEAST_ELEMENTS, Math.ceil(pixels / APPLY_CHUNKS));
  const inPlace = out.storage === x.tensor.storage;
  program.dispatch({
    variant: {
      kernel: "group_norm_apply", types: { A: x.tensor.dtype, C: out.dtype },
      flags: [...(silu ? ["SILU"] : []), ...(inPlace ? ["IN_PLACE"] : [])],
    },
    uints: [pixels, channels, channels / statistics.rows, chunkPixels],
    bindings: { 1: x.tensor, 2: statistics, 3: weight, 4: bias, 5: inPlace ? undefined : out },
    workgroups: [Math.ceil(pixels / chunkPixels), blocks],
    flops: pixels * channels * 8,
  });
}

/**
 * @param {number} channels
 * @returns {{lanes: number, blocks: number}} pixels that a workgroup touches at once, in as many blocks of channels as it cannot hold
 */
function groupLanes(channels) {
  const quads = channels / 4;
  return { lanes: Math.max(1, Math.floor(GROUP_NORM_WORKGROUP / quads)), blocks: Math.ceil(quads / GROUP_NORM_WORKGROUP) };
}

/** @param {number} count @param {number} least @returns {number} the smallest divisor of `count` that is no less, or `count` */
function divisor(count, least) {
  let result = Math.max(1, Math.ceil(least));
  while (result < count && count % result !== 0) result++;
  return Math.min(result, count);
}
