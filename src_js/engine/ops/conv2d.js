/**
 * Records convolutions (kernels/conv2d.wgsl, conv2d_packed.wgsl) and what prepares their weights (kernels/conv_weights.wgsl).
 */

import { usable } from "../candidates.js";
import { grid } from "../program.js";
import { convCandidates } from "./conv2d_candidates.js";
import { rowSlices } from "./products.js";

/**
 * @typedef {import("../program.js").Program} Program
 * @typedef {import("../program.js").Range} Range
 * @typedef {import("../tensor.js").Tensor} Tensor
 * @typedef {import("../weights.js").Weight} Weight
 * @typedef {import("../weights.js").WeightPart} WeightPart
 */

/**
 * @typedef {object} FeatureMap NHWC maps
 * @property {number} width
 * @property {number} height
 * @property {Tensor} tensor [height * width, channels], contiguous
 */

const WORKGROUP = 256;
const PARITIES = 4;

/** @param {number} value @param {number} multiple */
const roundUp = (value, multiple) => Math.ceil(value / multiple) * multiple;

/**
 * Convolution 1x1 or 3x3, stride 1, same padding, optionally of the map doubled by nearest neighbour. A 3x3 convolution of a map as it
 * is expects one of order one, as a norm leaves it: on f16 engines its products and short sums of them may be f16.
 *
 * The weight is laid out for the kernel anew each time, next to nothing beside the convolution, so that shards keep one layout for
 * every form of it.
 *
 * @param {Program} program
 * @param {FeatureMap} input channels a multiple of 4
 * @param {Weight} weight [O, I, k, k]
 * @param {Range} bias [O] f32
 * @param {FeatureMap} out
 * @param {{residual?: Tensor, upsample?: boolean}} [options] residual: added, same shape as out; upsample: of 3x3 only
 * @throws {RangeError} when the weight does not fit its maps
 */
export function conv2d(program, input, weight, bias, out, { residual, upsample = false } = {}) {
  const [columns = 0, channels = 0, kernel = 0] = weight.shape;
  const scale = upsample ? 2 : 1;
  if (input.tensor.columns !== channels || out.tensor.columns !== columns || channels % 4 !== 0
    || out.width !== input.width * scale || out.height !== input.height * scale || (kernel !== 3 && (kernel !== 1 || upsample))) {
    throw new RangeError(`${weight.name} [${weight.shape}] does not fit its maps`);
  }
  const { engine } = program;
  const { kind, candidates } = convCandidates({ kernel, upsample, channels, columns, software: engine.info.fallback });
  const { kernel: file = "conv2d", constants, flags } = engine.tuning.pick(kind, usable(candidates, engine.info, program.float));
  const { TILE_W = 0, TILE_H = 0, TILE_N = 0, K_PARTS = 0 } = constants;
  const [taps, parities, folded] = upsample ? [4, PARITIES, ["FOLD"]] : [kernel ** 2, 1, []];
  const layout = flags.includes("PAIRS") ? ["PAIRS", ...folded] : folded;
  const channelRows = roundUp(channels, K_PARTS * 8);
  const prepared = prepareWeight(program, weight, parities * taps, channelRows, roundUp(columns, TILE_N), layout);

  const a = input.tensor;
  const loads = Object.entries({
    A_WIDE: a.dtype === "f16" && channels % 8 === 0, C_VEC4: columns % 4 === 0, RESIDUAL: residual !== undefined,
  }).filter(([, on]) => on).map(([flag]) => flag);
  const tilesX = Math.ceil(input.width / TILE_W);
  const tiles = tilesX * Math.ceil(input.height / TILE_H);
  const flops = 2 * input.width * input.height * parities * columns * taps * channels;
  for (const [begin, end] of rowSlices(program, tiles, flops / tiles, 1)) {
    program.dispatch({
      variant: {
        kernel: file, flags: [...flags, ...folded, ...loads],
        constants: { ...constants, KERNEL: Math.sqrt(taps) },
        types: { F: program.float, A: a.dtype, C: out.tensor.dtype },
      },
      uints: [input.width, input.height, channels, columns, tilesX, begin, prepared.columns, channelRows],
      bindings: { 1: a, 2: out.tensor, 3: prepared, 4: bias, 5: residual },
      workgroups: [(prepared.columns / TILE_N) * parities, end - begin],
      flops: (flops * (end - begin)) / tiles,
    });
  }
  program.release(prepared);
}

/**
 * @param {Program} program @param {Weight} weight [O, I, k, k], dense
 * @param {number} taps of the result, all parities' @param {number} channelRows rows a tap @param {number} stride columns, padded
 * @param {string[]} flags
 * @returns {Tensor} [taps * channelRows, stride] as conv2d.wgsl reads it
 */
function prepareWeight(program, weight, taps, channelRows, stride, flags) {
  const [columns = 0, channels = 0] = weight.shape;
  const part = /** @type {WeightPart} */ (weight.parts[0]);
  const prepared = program.tensor(taps * channelRows, stride);
  const elements = prepared.rows * stride;
  program.dispatch({
    variant: { kernel: "conv_weights", flags: [`W_${weight.format.toUpperCase()}`, ...flags], types: { C: prepared.dtype } },
    uints: [columns, channels, part.stride, channelRows, stride, elements],
    bindings: { 1: part.values, 2: prepared },
    workgroups: grid(Math.ceil(elements / WORKGROUP)),
    flops: elements,
  });
  return prepared;
}
