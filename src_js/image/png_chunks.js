/**
 * What the writer and the reader of PNG files share: the signature, the limits, and chunks of bytes and text as ISO/IEC 15948 lays
 * them out. Knows nothing of pixels.
 */

import { KleinbildError } from "../errors.js";
import { crc32 } from "./crc32.js";

export const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
/** Length and type before a chunk's data. */
export const CHUNK_HEAD_BYTES = 8;
export const CHUNK_CRC_BYTES = 4;
export const MAX_KEYWORD_BYTES = 79;
/** UTF-16 units of one text: a prompt of the greatest length fits, even where JSON escapes every character. */
export const MAX_TEXT = 1 << 20;

const KEYWORD = /^[\x21-\x7e\xa1-\xff](?:[\x20-\x7e\xa1-\xff]{0,77}[\x21-\x7e\xa1-\xff])?$/;
const LATIN_1 = /^[\t\n\r\x20-\x7e\xa0-\xff]*$/;

/**
 * A text, as tEXt where Latin-1 suffices and as iTXt otherwise.
 * @param {string} keyword 1-79 characters of Latin-1
 * @param {string} value
 * @param {boolean} [international] iTXt in any case
 * @returns {Uint8Array}
 * @throws {KleinbildError} "bad-input"
 */
export function textChunk(keyword, value, international = false) {
  if (!KEYWORD.test(keyword) || keyword.includes("  ")) {
    throw new KleinbildError("bad-input", `PNG allows no text by the name ${JSON.stringify(keyword)}.`);
  }
  if (typeof value !== "string" || value.length > MAX_TEXT) {
    throw new KleinbildError("bad-input", `The text ${JSON.stringify(keyword)} is too long for the picture's file.`);
  }
  const name = latin1(`${keyword}\0`);
  const safe = value.replaceAll("\0", "\ufffd"); // the format uses NUL as a separator
  if (!international && LATIN_1.test(safe)) return chunk("tEXt", concatenate([name, latin1(safe)]));
  // not compressed, no language, no translated keyword
  return chunk("iTXt", concatenate([name, new Uint8Array(4), new TextEncoder().encode(safe)]));
}

/** @param {string} type @param {Uint8Array} data @returns {Uint8Array} Length, type, data and checksum. */
export function chunk(type, data) {
  const bytes = new Uint8Array(CHUNK_HEAD_BYTES + data.length + CHUNK_CRC_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(latin1(type), 4);
  bytes.set(data, CHUNK_HEAD_BYTES);
  view.setUint32(CHUNK_HEAD_BYTES + data.length, crc32(bytes.subarray(4, CHUNK_HEAD_BYTES + data.length)));
  return bytes;
}

/** @param {Uint8Array[]} parts @returns {Uint8Array<ArrayBuffer>} */
export function concatenate(parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** @param {string} text @returns {Uint8Array} */
function latin1(text) {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
