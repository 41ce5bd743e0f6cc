/**
 * Pixels to a PNG file (ISO/IEC 15948): RGB, 8 bits, not interlaced, each row filtered by whichever of the five
 * filters leaves the smallest sum of absolute differences, deflated by the browser's CompressionStream. Alpha is
 * dropped: the pictures are opaque. Written here because a canvas cannot store text with a picture, and because a
 * canvas may change pixels by colour management.
 */

import { KleinbildError } from "../errors.js";
import { SIGNATURE, chunk, concatenate, textChunk } from "./png_chunks.js";

const BYTES_PER_PIXEL = 3;
const FILTER_COUNT = 5;
const MAX_SIDE = 16384;
const MAX_PIXELS = 1 << 26;
const BATCH_BYTES = 1 << 20; // filtered rows handed to the compressor at a time

/**
 * @param {object} picture
 * @param {number} picture.width 1 .. 16384
 * @param {number} picture.height 1 .. 16384
 * @param {Uint8ClampedArray | Uint8Array} picture.rgba [height, width, 4]
 * @param {Record<string, string>} [picture.text] Keyword (1-79 characters of Latin-1) to text: tEXt where Latin-1
 *   suffices, iTXt otherwise.
 * @param {Record<string, unknown>} [picture.json] Keyword to what is kept as JSON, always in iTXt, whose text is UTF-8.
 * @returns {Promise<Uint8Array>}
 * @throws {KleinbildError} "bad-input" for sizes, pixels or texts that make no PNG.
 */
export async function encodePng({ width, height, rgba, text = {}, json = {} }) {
  checkSize(width, height, rgba);
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8); // bits a sample
  header.setUint8(9, 2); // truecolour; then 0: deflate, adaptive filters, not interlaced
  return concatenate([
    SIGNATURE,
    chunk("IHDR", new Uint8Array(header.buffer)),
    ...Object.entries(text).map(([keyword, value]) => textChunk(keyword, value)),
    ...Object.entries(json).map(([keyword, value]) => textChunk(keyword, JSON.stringify(value), true)),
    chunk("IDAT", await deflate(filteredRows(width, height, rgba))),
    chunk("IEND", new Uint8Array(0)),
  ]);
}

/** @param {number} width @param {number} height @param {Uint8ClampedArray | Uint8Array} rgba */
function checkSize(width, height, rgba) {
  const sides = [width, height].every((side) => Number.isInteger(side) && side >= 1 && side <= MAX_SIDE);
  if (!sides || width * height > MAX_PIXELS) {
    throw new KleinbildError("bad-input", `A picture of ${width} x ${height} pixels cannot be stored as PNG here.`);
  }
  if (rgba?.length !== width * height * 4) {
    throw new KleinbildError(
      "bad-input",
      `A picture of ${width} x ${height} pixels has ${width * height * 4} bytes, not ${rgba?.length}.`,
    );
  }
}

/** @param {Iterable<Uint8Array<ArrayBuffer>>} parts @returns {Promise<Uint8Array>} A zlib stream. */
async function deflate(parts) {
  const { readable, writable } = new CompressionStream("deflate");
  const compressed = new Response(readable).arrayBuffer();
  const writer = writable.getWriter();
  for (const part of parts) await writer.write(part);
  await writer.close();
  return new Uint8Array(await compressed);
}

/**
 * The rows, each behind the number of its filter, some rows at a time.
 * @param {number} width @param {number} height @param {Uint8ClampedArray | Uint8Array} rgba
 * @returns {Generator<Uint8Array<ArrayBuffer>>}
 */
function* filteredRows(width, height, rgba) {
  const stride = 1 + width * BYTES_PER_PIXEL;
  const batchRows = Math.max(1, Math.floor(BATCH_BYTES / stride));
  const filters = Array.from({ length: FILTER_COUNT }, (_, filter) => new Uint8Array(stride).fill(filter, 0, 1));
  // Each row stands behind one black pixel, so that the first pixel's left neighbours are the zeros PNG asks for.
  let above = new Uint8Array(BYTES_PER_PIXEL + width * BYTES_PER_PIXEL);
  let row = new Uint8Array(above.length);
  for (let y = 0; y < height; y += batchRows) {
    const rows = Math.min(batchRows, height - y);
    const batch = new Uint8Array(rows * stride);
    for (let i = 0; i < rows; i++) {
      dropAlpha(rgba, (y + i) * width * 4, row);
      batch.set(bestFilter(row, above, filters), i * stride);
      [row, above] = [above, row];
    }
    yield batch;
  }
}

/** @param {Uint8ClampedArray | Uint8Array} rgba @param {number} from @param {Uint8Array} row */
function dropAlpha(rgba, from, row) {
  for (let to = BYTES_PER_PIXEL; to < row.length; from += 4) {
    row[to++] = /** @type {number} */ (rgba[from]);
    row[to++] = /** @type {number} */ (rgba[from + 1]);
    row[to++] = /** @type {number} */ (rgba[from + 2]);
  }
}

/**
 * @param {Uint8Array} row @param {Uint8Array} above
 * @param {Uint8Array[]} filters Overwritten: the row by each filter (None, Sub, Up, Average, Paeth).
 * @returns {Uint8Array} The one whose bytes, taken as signed, have the smallest sum of magnitudes.
 */
function bestFilter(row, above, filters) {
  const [none, sub, up, average, paeth] = /** @type {[Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array]} */ (
    filters
  );
  let [noneSum, subSum, upSum, averageSum, paethSum] = [0, 0, 0, 0, 0];
  for (let at = BYTES_PER_PIXEL, to = 1; at < row.length; at++, to++) {
    const x = /** @type {number} */ (row[at]);
    const a = /** @type {number} */ (row[at - BYTES_PER_PIXEL]);
    const b = /** @type {number} */ (above[at]);
    const c = /** @type {number} */ (above[at - BYTES_PER_PIXEL]);
    noneSum += magnitude((none[to] = x));
    subSum += magnitude((sub[to] = x - a));
    upSum += magnitude((up[to] = x - b));
    averageSum += magnitude((average[to] = x - ((a + b) >> 1)));
    paethSum += magnitude((paeth[to] = x - paethPredictor(a, b, c)));
  }
  const sums = [noneSum, subSum, upSum, averageSum, paethSum];
  return filters[sums.indexOf(Math.min(...sums))] ?? none;
}

/** @param {number} difference -255 .. 255 @returns {number} Of its low byte taken as signed. */
function magnitude(difference) {
  return Math.abs((difference << 24) >> 24);
}

/** @param {number} a Left. @param {number} b Above. @param {number} c Above left. @returns {number} */
function paethPredictor(a, b, c) {
  const toA = Math.abs(b - c);
  const toB = Math.abs(a - c);
  const toC = Math.abs(a + b - 2 * c);
  if (toA <= toB && toA <= toC) return a;
  return toB <= toC ? b : c;
}
