/**
 * Pixels to a PNG file (ISO/IEC 15948): RGB, 8 bits, not interlaced, each row filtered by whichever of the five
 * filters leaves the smallest sum of absolute differences, deflated by the browser's CompressionStream. Alpha is
 * dropped: the pictures are opaque. Written here because a canvas cannot store text with a picture, and because a
 * canvas may change pixels by colour management.
 */

import { KleinbildError } from "../errors.js";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const BYTES_PER_PIXEL = 3;
const FILTER_COUNT = 5;
const MAX_SIDE = 16384;
const MAX_PIXELS = 1 << 26;
const BATCH_BYTES = 1 << 20; // filtered rows handed to the compressor at a time
const MAX_TEXT = 1 << 16; // UTF-16 units of one text
const KEYWORD = /^[\x21-\x7e\xa1-\xff](?:[\x20-\x7e\xa1-\xff]{0,77}[\x21-\x7e\xa1-\xff])?$/;
const LATIN_1 = /^[\t\n\r\x20-\x7e\xa0-\xff]*$/;

const CRC_TABLE = new Int32Array(256).map((_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/**
 * @param {object} picture
 * @param {number} picture.width 1 .. 16384
 * @param {number} picture.height 1 .. 16384
 * @param {Uint8ClampedArray | Uint8Array} picture.rgba [height, width, 4]
 * @param {Record<string, string>} [picture.text] Keyword (1-79 characters of Latin-1) to text: tEXt where Latin-1
 *   suffices, iTXt otherwise.
 * @returns {Promise<Uint8Array>}
 * @throws {KleinbildError} "bad-input" for sizes, pixels or texts that make no PNG.
 */
export async function encodePng({ width, height, rgba, text = {} }) {
  checkSize(width, height, rgba);
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8); // bits a sample
  header.setUint8(9, 2); // truecolour; then 0: deflate, adaptive filters, not interlaced
  const texts = Object.entries(text).map(([keyword, value]) => textChunk(keyword, value));
  return concatenate([
    Uint8Array.from(SIGNATURE),
    chunk("IHDR", new Uint8Array(header.buffer)),
    ...texts,
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

/** @param {string} keyword @param {string} value @returns {Uint8Array} */
function textChunk(keyword, value) {
  if (!KEYWORD.test(keyword) || keyword.includes("  ")) {
    throw new KleinbildError("bad-input", `PNG allows no text by the name ${JSON.stringify(keyword)}.`);
  }
  if (typeof value !== "string" || value.length > MAX_TEXT) {
    throw new KleinbildError("bad-input", `The text ${JSON.stringify(keyword)} is too long for the picture's file.`);
  }
  const name = latin1(`${keyword}\0`);
  const safe = value.replaceAll("\0", "\ufffd"); // the format uses NUL as a separator
  if (LATIN_1.test(safe)) return chunk("tEXt", concatenate([name, latin1(safe)]));
  // not compressed, no language, no translated keyword
  return chunk("iTXt", concatenate([name, new Uint8Array(4), new TextEncoder().encode(safe)]));
}

/** @param {string} text @returns {Uint8Array} */
function latin1(text) {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** @param {string} type @param {Uint8Array} data @returns {Uint8Array} Length, type, data and checksum. */
function chunk(type, data) {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(latin1(type), 4);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
  return bytes;
}

/** @param {Uint8Array} bytes @returns {number} */
function crc32(bytes) {
  let crc = -1;
  for (const byte of bytes) crc = (crc >>> 8) ^ /** @type {number} */ (CRC_TABLE[(crc ^ byte) & 0xff]);
  return ~crc >>> 0;
}

/** @param {Uint8Array[]} parts @returns {Uint8Array<ArrayBuffer>} */
function concatenate(parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
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
