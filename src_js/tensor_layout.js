/**
 * The byte layout of a tensor's part in its shard: the one place in the page that knows it, as kleinbild/package/layout.py is in
 * the packager. The validator measures parts with it, the engine finds a part's sections with it.
 *
 * Dense rows follow each other, those of a linear or convolution padded to ROW_ELEMENTS; a vector is rows of one f32. A q4 part has
 * the sections codes (two a byte), scales (f16, rows of an even count) and, if any, zero points (nibbles, rows of whole words), each
 * starting on ALIGNMENT_BYTES.
 */

/** @typedef {Pick<import("./manifest.js").Tensor, "kind"|"shape"|"format"|"block_size"|"zero_points">} Stored */

/**
 * @typedef {object} PartLayout
 * @property {number} rowStride elements between rows
 * @property {number} scaleStride q4: scales between rows
 * @property {number} zeroStride q4: zero points between rows
 * @property {{offset: number, bytes: number}[]} sections from the part's start: values, or codes, scales, zero points
 * @property {number} bytes of the whole part, without padding after the last section
 */

export const ALIGNMENT_BYTES = 256;
const ROW_ELEMENTS = 8;

/** @param {number} value @param {number} multiple */
function roundUp(value, multiple) {
  return Math.ceil(value / multiple) * multiple;
}

/**
 * @param {Pick<Stored, "shape">} tensor
 * @returns {{ rows: number, columns: number }} the matrix that is stored; a vector has one column
 */
export function storedMatrix({ shape }) {
  const [rows = 1, ...rest] = shape;
  return { rows, columns: rest.reduce((a, b) => a * b, 1) };
}

/** @param {Stored} tensor @param {number} rowCount rows of the part @returns {PartLayout} */
export function partLayout(tensor, rowCount) {
  const { columns } = storedMatrix(tensor);
  if (tensor.format !== "q4") {
    const padded = tensor.kind === "linear" || tensor.kind === "conv";
    const rowStride = padded ? roundUp(columns, ROW_ELEMENTS) : columns;
    return { rowStride, scaleStride: 0, zeroStride: 0, ...place([rowCount * rowStride * (tensor.format === "f16" ? 2 : 4)]) };
  }
  const blocks = Math.ceil(columns / tensor.block_size);
  const rowStride = blocks * tensor.block_size;
  const scaleStride = roundUp(blocks, 2);
  const zeroStride = roundUp(blocks, ROW_ELEMENTS);
  const sizes = [(rowCount * rowStride) / 2, rowCount * scaleStride * 2];
  if (tensor.zero_points) sizes.push((rowCount * zeroStride) / 2);
  return { rowStride, scaleStride, zeroStride, ...place(sizes) };
}

/** @param {readonly number[]} sizes bytes of each section @returns {Pick<PartLayout, "sections" | "bytes">} */
function place(sizes) {
  let bytes = 0;
  const sections = sizes.map((size) => {
    const section = { offset: roundUp(bytes, ALIGNMENT_BYTES), bytes: size };
    bytes = section.offset + size;
    return section;
  });
  return { sections, bytes };
}
