/**
 * Records convolutions (kernels/conv2d.wgsl).
 */

import { outputTile, rowSlices, weightAccess } from "./products.js";

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
 * @property {Tensor} tensor [height * width, channels]
 */

/**
 * Convolution 1x1 or 3x3, stride 1, same padding, optionally of the map doubled by nearest neighbour.
 *
 * @param {Program} program
 * @param {FeatureMap} input channels a multiple of 4
 * @param {Weight} weight [O, I, k, k]
 * @param {Range} bias [O] f32
 * @param {FeatureMap} out
 * @param {{residual?: Tensor, upsample?: boolean}} [options] residual: added, same shape as out
 */
export function conv2d(program, input, weight, bias, out, { residual, upsample = false } = {}) {
  const [columns = 0, channels = 0, kernel = 0] = weight.shape;
  const scale = upsample ? 2 : 1;
  if (input.tensor.columns !== channels || out.tensor.columns !== columns || channels % 4 !== 0
    || out.width !== input.width * scale || out.height !== input.height * scale) {
    throw new RangeError(`${weight.name} [${weight.shape}] does not fit its maps`);
  }
  const part = /** @type {WeightPart} */ (weight.parts[0]);
  const { flags, constants, bindings } = weightAccess(weight);
  if (upsample) flags.push("UPSAMPLE");
  if (residual) flags.push("RESIDUAL");
  const inner = kernel * kernel * channels;
  const rows = out.width * out.height;
  const tile = outputTile(columns);
  for (const [begin, end] of rowSlices(program, rows, columns * inner * 2, tile.rows)) {
    program.dispatch({
      variant: {
        kernel: "conv2d", flags, constants: { ...constants, KERNEL: kernel, TILE_N: tile.columns },
        types: { F: program.float, A: input.tensor.dtype, C: out.tensor.dtype },
      },
      uints: [end, columns, inner, begin, out.width, out.height, channels, weight.stride, weight.scaleStride, weight.zeroStride],
      bindings: { 1: input.tensor, 2: out.tensor, ...bindings(part), 6: bias, 7: residual },
      workgroups: [Math.ceil(columns / tile.columns), Math.ceil((end - begin) / tile.rows)],
      flops: (end - begin) * columns * inner * 2,
    });
  }
}
