/**
 * Records linear layers and convolutions (kernels/linear.wgsl, conv2d.wgsl): the two matrix products.
 */

/**
 * @typedef {import("../program.js").Program} Program
 * @typedef {import("../program.js").Range} Range
 * @typedef {import("../tensor.js").Tensor} Tensor
 * @typedef {import("../weights.js").Weight} Weight
 * @typedef {import("../weights.js").WeightPart} WeightPart
 */

/** Elements of an output tile, and the narrowest it comes (kernels/gemm_tile.wgsl). */
const TILE_ELEMENTS = 4096;
const TILE_WIDTHS = /** @type {const} */ ([16, 32]);
const WIDEST_TILE = 64;

/**
 * out = epilogue(a W^T): + bias, then silu, then stored, or added to `out` times `gate`.
 *
 * @param {Program} program
 * @param {Tensor} a [rows, K]
 * @param {Weight} weight [N, K]
 * @param {Tensor} out [rows, N], not in the buffer of `a`
 * @param {object} [options]
 * @param {Range} [options.bias] [N] f32
 * @param {boolean} [options.silu]
 * @param {boolean} [options.accumulate] add to `out` instead of storing
 * @param {Tensor} [options.gate] with accumulate: f32 [1, N], or [1, 1] for one gate
 * @param {boolean} [options.exact] multiply in f32 whatever the engine's precision: for inputs beyond f16's range
 */
export function linear(program, a, weight, out, { bias, silu = false, accumulate = false, gate, exact = false } = {}) {
  const [columns = 0, inner = 0] = weight.shape;
  if (a.columns !== inner || out.columns !== columns || a.rows !== out.rows) {
    throw new RangeError(`${weight.name} [${columns}, ${inner}]: [${a.rows}, ${a.columns}] to [${out.rows}, ${out.columns}]`);
  }
  const epilogue = { BIAS: bias, SILU: silu, ACCUMULATE: accumulate, GATE: gate };
  const vec4 = a.vec4Aligned && inner % 4 === 0;
  const { flags, constants, bindings } = weightAccess(weight);
  if (vec4) flags.push("A_VEC4");
  for (const [flag, on] of Object.entries(epilogue)) if (on) flags.push(flag);
  const types = { F: exact ? /** @type {const} */ ("f32") : program.float, A: a.dtype, C: out.dtype };
  for (const part of weight.parts) {
    const tile = outputTile(part.rowCount);
    for (const [begin, end] of rowSlices(program, a.rows, part.rowCount * inner * 2, tile.rows)) {
      program.dispatch({
        variant: { kernel: "linear", types, constants: { ...constants, TILE_N: tile.columns }, flags },
        uints: [
          end, part.rowCount, inner, begin, a.offset, a.stride, out.offset, out.stride, part.rowStart,
          weight.stride, weight.scaleStride, weight.zeroStride, gate?.offset ?? 0, gate && gate.columns > 1 ? 1 : 0,
        ],
        bindings: { 1: a, 2: out, ...bindings(part), 6: bias, 7: gate },
        workgroups: [Math.ceil(part.rowCount / tile.columns), Math.ceil((end - begin) / tile.rows)],
        flops: (end - begin) * part.rowCount * inner * 2,
      });
    }
  }
}

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

/** @param {number} columns of the output @returns {{rows: number, columns: number}} the tile that wastes least of it */
function outputTile(columns) {
  const width = TILE_WIDTHS.find((w) => columns <= w) ?? WIDEST_TILE;
  return { rows: TILE_ELEMENTS / width, columns: width };
}

/** @param {Weight} weight How weights.wgsl must read it. */
function weightAccess(weight) {
  const flags = [`W_${weight.format.toUpperCase()}`];
  const q4 = weight.format === "q4";
  const zeros = q4 && weight.parts[0]?.zeroPoints !== undefined;
  if (zeros) flags.push("ZERO_POINTS");
  /** @type {Record<string, number>} */
  const constants = q4 ? { BLOCK: weight.blockSize } : {};
  const bindings = (/** @type {WeightPart} */ part) => ({ 3: part.values, 4: part.scales, 5: part.zeroPoints });
  return { flags, constants, bindings };
}

/**
 * Cuts rows so that no dispatch exceeds the engine's limit: a submit cannot be cut inside a dispatch.
 *
 * @param {Program} program
 * @param {number} rows
 * @param {number} flopsPerRow
 * @param {number} tile rows are cut at multiples of this
 * @returns {[number, number][]} begin and end of each slice
 */
export function rowSlices(program, rows, flopsPerRow, tile) {
  const most = Math.max(1, Math.floor(program.engine.maxDispatchFlops / (flopsPerRow * tile))) * tile;
  const slices = Math.ceil(rows / most);
  const size = Math.ceil(rows / slices / tile) * tile;
  /** @type {[number, number][]} */
  const result = [];
  for (let begin = 0; begin < rows; begin += size) result.push([begin, Math.min(rows, begin + size)]);
  return result;
}
