/**
 * Weights in the packager's byte layout, written byte by byte from plain arrays. Written apart from src_js and from the packager
 * on purpose: a kernel test that passes has read the layout right.
 *
 * Layout of a part (little endian). A linear has k outermost and its columns padded to a multiple of 8: dense, a row of columns for each
 * k; q4, three sections, each padded to 256 bytes: words of two k and four columns, [octet of k][quad of columns][pair of k], column j of
 * the quad at bits 4 j (even k) and 4 j + 16 (odd k), whole blocks of k; scales (f16) and zero points (nibbles; absent: 8 everywhere), a
 * row of columns for each block. A convolution is rows padded with zeros to a multiple of 8 elements.
 */

import { at, halfBits, nearestHalf } from "./reference.js";

/** @typedef {import("../../../src_js/engine/weights.js").Weight} Weight */
/** @typedef {import("../../../src_js/engine/engine.js").Engine} Engine */
/** @typedef {import("./random.js").Random} Random */
/** @typedef {{format: "f32"|"f16"|"q4", block?: number, zeroPoints?: boolean}} Format */

/**
 * @typedef {object} Matrix a weight as it is stored
 * @property {number} n rows
 * @property {number} k columns
 * @property {Format} format
 * @property {boolean} [byRows] stored as rows of k: a convolution
 * @property {Float64Array} values [n, k] what the stored weight is worth, exactly
 * @property {Uint8Array} codes q4: [n, blocks * block]
 * @property {Float64Array} scales q4: [n, blocks], exact halves
 * @property {Uint8Array} zeros q4: [n, blocks]
 */

const SECTION_BYTES = 256;
const up = (/** @type {number} */ value, /** @type {number} */ multiple) => Math.ceil(value / multiple) * multiple;

/** @param {Random} random @param {number} n @param {number} k @param {Format} format @returns {Matrix} */
export function randomMatrix(random, n, k, format) {
  if (format.format !== "q4") return denseMatrix(random.normals(n * k, 1 / Math.sqrt(k)), n, k, format.format);
  const block = format.block ?? 32;
  const blocks = Math.ceil(k / block);
  const zeros = Uint8Array.from({ length: n * blocks }, () => (format.zeroPoints ? random.integer(16) : 8));
  const codes = Uint8Array.from({ length: n * blocks * block }, (_, i) => {
    const row = Math.floor(i / (blocks * block));
    const column = i % (blocks * block);
    return column < k ? random.integer(16) : at(zeros, row * blocks + Math.floor(column / block));
  });
  const scales = random.normals(n * blocks, 0.2 / Math.sqrt(k)).map(nearestHalf);
  const values = Float64Array.from({ length: n * k }, (_, i) => {
    const row = Math.floor(i / k);
    const scale = row * blocks + Math.floor((i % k) / block);
    return (at(codes, row * blocks * block + (i % k)) - at(zeros, scale)) * at(scales, scale);
  });
  return { n, k, format, values, codes, scales, zeros };
}

/** @param {ArrayLike<number>} values [n, k] @param {number} n @param {number} k @param {"f32"|"f16"} format @returns {Matrix} */
export function denseMatrix(values, n, k, format) {
  const stored = Float64Array.from(values, format === "f16" ? nearestHalf : Math.fround);
  const none = new Uint8Array();
  return { n, k, format: { format }, values: stored, codes: none, scales: new Float64Array(), zeros: none };
}

/**
 * A convolution's weight as the matrix it is stored as.
 * @param {ArrayLike<number>} values [o, i, kernel, kernel] @param {[number, number, number, number]} shape
 * @param {"f32"|"f16"} format @returns {Matrix} [o, kernel * kernel * i], the input channel last
 */
export function convMatrix(values, [o, i, kernel], format) {
  const taps = kernel * kernel;
  const moved = Float64Array.from({ length: o * i * taps }, (_, to) => {
    const [row, rest] = [Math.floor(to / (taps * i)), to % (taps * i)];
    return at(values, (row * i + (rest % i)) * taps + Math.floor(rest / i));
  });
  return { ...denseMatrix(moved, o, taps * i, format), byRows: true };
}

/**
 * @param {Matrix} matrix @param {number} begin @param {number} count rows
 * @returns {{sections: Uint8Array[], bytes: Uint8Array}} the part's sections without padding, and the whole part
 */
export function packPart(matrix, begin, count) {
  const { k, format: { format, block = 32, zeroPoints = false }, byRows, values, codes, scales, zeros } = matrix;
  const width = up(count, 8);
  /** @type {Uint8Array[]} */
  const sections = [];
  if (format === "q4") {
    const blocks = Math.ceil(k / block);
    const row = blocks * block;
    const packed = new Uint8Array((width * row) / 2);
    const halves = new DataView(new ArrayBuffer(blocks * width * 2));
    const points = new Uint8Array((blocks * width) / 2);
    for (let r = 0; r < count; r++) {
      for (let i = 0; i < row; i++) {
        const word = (Math.floor(i / 8) * (width / 4) + Math.floor(r / 4)) * 4 + Math.floor((i % 8) / 2);
        nibble(packed, word * 8 + (i % 2) * 4 + (r % 4), at(codes, (begin + r) * row + i));
      }
      for (let b = 0; b < blocks; b++) {
        halves.setUint16((b * width + r) * 2, halfBits(at(scales, (begin + r) * blocks + b)), true);
        nibble(points, b * width + r, at(zeros, (begin + r) * blocks + b));
      }
    }
    sections.push(packed, new Uint8Array(halves.buffer));
    if (zeroPoints) sections.push(points);
  } else {
    const bytes = format === "f16" ? 2 : 4;
    const view = new DataView(new ArrayBuffer((byRows ? count * up(k, 8) : k * width) * bytes));
    for (let r = 0; r < count; r++) {
      for (let i = 0; i < k; i++) {
        const value = at(values, (begin + r) * k + i);
        const to = byRows ? r * up(k, 8) + i : i * width + r;
        if (format === "f16") view.setUint16(to * 2, halfBits(value), true);
        else view.setFloat32(to * 4, value, true);
      }
    }
    sections.push(new Uint8Array(view.buffer));
  }
  const bytes = new Uint8Array(sections.reduce((sum, section) => sum + up(section.length, SECTION_BYTES), 0));
  let to = 0;
  for (const section of sections) {
    bytes.set(section, to);
    to += up(section.length, SECTION_BYTES);
  }
  return { sections, bytes };
}

/** @param {Uint8Array} bytes @param {number} i nibble index, low nibble first @param {number} value */
function nibble(bytes, i, value) {
  bytes[i >> 1] = at(bytes, i >> 1) | (value << ((i & 1) * 4));
}

/**
 * Puts a matrix on the GPU, every part in a buffer of its own behind `rubbish` bytes.
 * @param {Engine} engine
 * @param {Matrix} matrix
 * @param {{name?: string, shape?: number[], rows?: number[], rubbish?: number}} [options] shape: canonical, [n, k] unless given;
 *   rows: of each part, all in one unless given; rubbish: a multiple of 256
 * @returns {{weight: Weight, destroy: () => void}}
 */
export function placeWeight(engine, matrix, { name = "w", shape = [matrix.n, matrix.k], rows = [matrix.n], rubbish = 256 } = {}) {
  const { k, format: { format, block = 32 } } = matrix;
  const blocks = Math.ceil(k / block);
  /** @type {GPUBuffer[]} */
  const buffers = [];
  let rowStart = 0;
  const parts = rows.map((rowCount) => {
    const { sections, bytes } = packPart(matrix, rowStart, rowCount);
    const whole = new Uint8Array(rubbish + bytes.length).fill(0xff);
    whole.set(bytes, rubbish);
    const buffer = engine.device.createBuffer({
      size: whole.length, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
    });
    engine.device.queue.writeBuffer(buffer, 0, whole);
    buffers.push(buffer);
    let offset = rubbish;
    const [values, scales, zeroPoints] = sections.map((section) => {
      const range = { buffer, offset, size: up(section.length, SECTION_BYTES) };
      offset += range.size;
      return range;
    });
    const stride = matrix.byRows ? up(k, 8) : up(rowCount, 8);
    const part = { rowStart, rowCount, stride, values: /** @type {Required<import("../../../src_js/engine/program.js").Range>} */ (values), scales, zeroPoints };
    rowStart += rowCount;
    return part;
  });
  const q4 = format === "q4";
  const weight = { name, shape, format, blockSize: q4 ? block : 0, storedRows: q4 ? blocks * block : k, parts };
  return { weight, destroy: () => buffers.forEach((buffer) => buffer.destroy()) };
}
