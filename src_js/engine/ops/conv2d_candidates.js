/**
 * The ways in which a convolution can be computed (kernels/conv2d.wgsl, conv2d_packed.wgsl), and their tiles.
 */

/** @typedef {import("../candidates.js").Candidate} Candidate */

/**
 * @typedef {object} Tile
 * @property {[number, number]} pixels width and height of the workgroup's pixels
 * @property {number} columns of the workgroup, a multiple of 8
 * @property {number} channels that a step takes through workgroup memory, a multiple of 8
 * @property {[number, number]} quads 4 pixels and 4 columns each, that an invocation makes
 * @property {boolean} [interleaved] as the kernel's flag
 */

const INVOCATION_ELEMENTS = 16;
const LOAD_ELEMENTS = 8;

/** @param {Tile} tile @returns {{invocations: number, constants: Record<string, number>}} of either kernel */
function tileConstants({ pixels: [width, height], columns, channels, quads: [rowQuads, columnQuads] }) {
  const invocations = (width * height * columns) / (INVOCATION_ELEMENTS * rowQuads * columnQuads);
  const loads = (/** @type {number} */ elements) => Math.ceil(elements / LOAD_ELEMENTS / invocations);
  const constants = {
    TILE_W: width, TILE_H: height, TILE_N: columns, K_PARTS: channels / LOAD_ELEMENTS, M_QUADS: rowQuads, N_QUADS: columnQuads,
    A_LOADS: loads(width * height * channels), W_LOADS: loads(channels * columns),
  };
  return { invocations, constants };
}

/** f32 products, so that a map of any values is right. @param {string} name @param {Tile} tile @returns {Candidate} */
function candidate(name, tile) {
  const { invocations, constants } = tileConstants(tile);
  const [width, height] = tile.pixels;
  return {
    name, family: "plain", constants, flags: tile.interleaved ? ["INTERLEAVED"] : [],
    needs: { invocations, workgroupStorage: (width * height + tile.columns) * tile.channels * 4 },
  };
}

/** f16 products, for inputs of order one. @param {string} name @param {Tile} tile @returns {Candidate} */
function packed(name, tile) {
  const { invocations, constants } = tileConstants(tile);
  const [width, height] = tile.pixels;
  return {
    name, family: "plain", kernel: "conv2d_packed", constants, flags: ["PAIRS", ...(tile.interleaved ? ["INTERLEAVED"] : [])],
    needs: {
      invocations, precision: "f16", workgroupStorage: (width * height * (tile.channels + LOAD_ELEMENTS) + tile.columns * tile.channels) * 2,
    },
  };
}

/** 16 KiB and a few lines of code: compiles fast where kernels are compiled for a processor. */
const SMALL = candidate("8x8x64", { pixels: [8, 8], columns: 64, channels: 8, quads: [1, 1] });

const WIDE = Object.freeze([
  candidate("16x8x128", { pixels: [16, 8], columns: 128, channels: 16, quads: [2, 2], interleaved: true }),
  candidate("16x8x64", { pixels: [16, 8], columns: 64, channels: 16, quads: [2, 2], interleaved: true }),
  SMALL,
]);

/** For maps that a norm keeps at order one. */
const PACKED = Object.freeze([
  packed("packed 16x8x128", { pixels: [16, 8], columns: 128, channels: 32, quads: [2, 2], interleaved: true }),
]);

/** For a few output channels: pixels are what an invocation can take more of. */
const NARROW = Object.freeze([candidate("32x8x8", { pixels: [32, 8], columns: 8, channels: 8, quads: [1, 1] })]);

/** Output channels up to which the narrow tile wastes less than a wide one. */
const NARROW_COLUMNS = 16;

/**
 * @param {object} work
 * @param {number} work.kernel 1 or 3
 * @param {boolean} work.upsample
 * @param {number} work.channels input channels
 * @param {number} work.columns output channels
 * @param {boolean} work.software whether the device is a processor
 * @returns {{kind: string, candidates: readonly Candidate[]}} for engine.tuning; the first serves until kernels were timed
 */
export function convCandidates({ kernel, upsample, channels, columns, software }) {
  const form = upsample ? "up" : String(kernel);
  if (columns <= NARROW_COLUMNS) return { kind: `conv2d.${form}.narrow`, candidates: NARROW };
  const candidates = form === "3" && channels % LOAD_ELEMENTS === 0 ? [...WIDE, ...PACKED] : WIDE;
  return { kind: `conv2d.${form}`, candidates: software ? [SMALL, ...candidates.filter((c) => c !== SMALL)] : candidates };
}
