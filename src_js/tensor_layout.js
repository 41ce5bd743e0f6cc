/**
 * The byte layout of a tensor's part in its shard: the one place in the page that knows it, as kleinbild/package/layout.py is in
 * the packager. The validator measures parts with it, the engine finds a part's sections with it.
 *
 * A linear [N, K] is stored with k outermost, as its kernels read it (kernels/linear_weights.wgsl): dense, a row of all columns n for each
 * k; q4, words of two k and four columns, then the scales (f16) and, if any, the zero points (nibbles), a row of all columns for each
 * block of k. Rows of columns are padded to ROW_ELEMENTS. A convolution [N, K] is rows of K, padded likewise; a vector is rows of one
 * f32, an embedding or a table rows as they are. Each section starts on ALIGNMENT_BYTES.
 */

/** @typedef {Pick<import("./manifest.js").Tensor, "kind"|"shape"|"format"|"block_size"|"zero_points">} Stored */

/**
 * @typedef {object} PartLayout
 * @property {number} rowElements used elements of a stored row: columns of a linear
 * @property {number} rowStride elements between stored rows; of q4, also scales and zero points between theirs
 * @property {number} storedRows of a linear: K, for q4 rounded up to whole blocks
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
  const width = tensor.format === "f16" ? 2 : 4;
  if (tensor.kind !== "linear") {
    const rowStride = tensor.kind === "conv" ? roundUp(columns, ROW_ELEMENTS) : columns;
    return { rowElements: columns, rowStride, storedRows: rowCount, ...place([rowCount * rowStride * width]) };
  }
  const rowStride = roundUp(rowCount, ROW_ELEMENTS);
  if (tensor.format !== "q4") {
    return { rowElements: rowCount, rowStride, storedRows: columns, ...place([columns * rowStride * width]) };
  }
  const blocks = Math.ceil(columns / tensor.block_size);
  const storedRows = blocks * tensor.block_size;
  const sizes = [(storedRows * rowStride) / 2, blocks * rowStride * 2];
  if (tensor.zero_points) sizes.push((blocks * rowStride) / 2);
  return { rowElements: rowCount, rowStride, storedRows, ...place(sizes) };
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
