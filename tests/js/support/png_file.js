/**
 * PNG files built chunk by chunk, by the test's own code, so that they can be wrong wherever a test wants them to be.
 */

import { crc32, deflateSync } from "node:zlib";

export const SIGNATURE = Buffer.from("89504e470d0a1a0a", "hex");

/** @param {string} type @param {Buffer | string} [data] a string is taken as Latin-1 @param {number} [wrong] added to the CRC */
export function chunk(type, data = "", wrong = 0) {
  const body = Buffer.concat([Buffer.from(type, "latin1"), typeof data === "string" ? Buffer.from(data, "latin1") : data]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(body.length - 4, 0);
  ends.writeUInt32BE((crc32(body) + wrong) >>> 0, 4);
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
}

/** @param {number} width @param {number} height @param {number[]} [kind] depth, colour, compression, filter, interlace */
export function header(width, height, kind = [8, 2, 0, 0, 0]) {
  const data = Buffer.alloc(13);
  data.writeUInt32BE(width, 0);
  data.writeUInt32BE(height, 4);
  data.set(kind, 8);
  return chunk("IHDR", data);
}

/** @param {Buffer[]} chunks between IHDR and IEND; pixels of 2 x 2 unless told otherwise */
export function png(chunks, { width = 2, height = 2, pixels = chunk("IDAT", deflateSync(Buffer.alloc(height * (1 + 3 * width)))) } = {}) {
  return Buffer.concat([SIGNATURE, header(width, height), ...chunks, pixels, chunk("IEND")]);
}

/** @param {string} keyword @param {string} text @param {{ compressed?: boolean }} [options] */
export function internationalText(keyword, text, { compressed = false } = {}) {
  const data = Buffer.from(text);
  const head = Buffer.from(`${keyword}\0${compressed ? "\x01" : "\0"}\0en\0a name\0`, "latin1");
  return chunk("iTXt", Buffer.concat([head, compressed ? deflateSync(data) : data]));
}

/** @param {Buffer} bytes */
export function blob(bytes) {
  return new Blob([new Uint8Array(bytes)], { type: "image/png" });
}
