/**
 * Size and texts of a PNG file that anybody may have made. Only the heads of its chunks and the texts that are asked for are read, some
 * kilobytes of a file of any size, and every length is checked before it is believed. Pixels are the browser's business: whether they
 * can be decoded is not known here.
 */

import { KleinbildError } from "../errors.js";
import { crc32 } from "./crc32.js";
import { inflate } from "./inflate.js";
import { CHUNK_CRC_BYTES, CHUNK_HEAD_BYTES, MAX_KEYWORD_BYTES, MAX_TEXT, SIGNATURE } from "./png_chunks.js";

const IHDR_BYTES = 13;
const MAX_SIDE = 65535;
const MAX_CHUNKS = 100_000;
/** Of one text, compressed or not, in bytes: three for a character is what UTF-8 needs in most scripts. */
const MAX_TEXT_BYTES = 3 * MAX_TEXT;
const WINDOW_BYTES = 64 * 1024;
const TEXT_TYPES = new Set(["tEXt", "zTXt", "iTXt"]);
/** Bit depths by colour type. @type {Record<number, readonly number[]>} */
const DEPTHS = { 0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16] };

/**
 * @typedef {object} PngFacts
 * @property {number} width
 * @property {number} height
 * @property {Map<string, string>} texts by keyword; of several by one keyword the first
 */

/**
 * @param {Blob} file
 * @param {readonly string[]} keywords of the texts that are wanted
 * @returns {Promise<PngFacts>}
 * @throws {KleinbildError} "bad-input" when it is no PNG, cut off, or damaged in what was read
 */
export async function readPng(file, keywords) {
  const source = new Source(file);
  if (file.size < SIGNATURE.length || !same(await source.bytes(0, SIGNATURE.length), SIGNATURE)) {
    throw new KleinbildError("bad-input", "The file is no PNG picture.");
  }
  /** @type {Map<string, string>} */
  const texts = new Map();
  let size = { width: 0, height: 0 };
  let at = SIGNATURE.length;
  for (let count = 0; ; count++) {
    if (count === MAX_CHUNKS) throw damaged(`has more than ${MAX_CHUNKS} parts`);
    const { type, length } = readHead(await source.bytes(at, CHUNK_HEAD_BYTES));
    if (at + CHUNK_HEAD_BYTES + length + CHUNK_CRC_BYTES > file.size) throw damaged("is cut off");
    if ((type === "IHDR") !== (count === 0)) throw damaged("does not begin as PNG asks for");
    if (type === "IHDR") size = readHeader(await source.chunk(at, length, IHDR_BYTES));
    else if (type === "IEND") return { ...size, texts };
    else if (TEXT_TYPES.has(type)) await addText(texts, keywords, source, { type, at, length });
    at += CHUNK_HEAD_BYTES + length + CHUNK_CRC_BYTES;
  }
}

/** Bytes of a file, read some at a time. */
class Source {
  #file;
  #window = new Uint8Array();
  #start = 0;

  /** @param {Blob} file */
  constructor(file) {
    this.#file = file;
  }

  /** @param {number} start @param {number} length @returns {Promise<Uint8Array<ArrayBuffer>>} @throws {KleinbildError} "bad-input" */
  async bytes(start, length) {
    if (start + length > this.#file.size) throw damaged("is cut off");
    if (start < this.#start || start + length > this.#start + this.#window.length) {
      this.#window = new Uint8Array(await this.#file.slice(start, start + Math.max(length, WINDOW_BYTES)).arrayBuffer());
      this.#start = start;
    }
    return this.#window.subarray(start - this.#start, start - this.#start + length);
  }

  /**
   * @param {number} at where the chunk begins
   * @param {number} length of its data
   * @param {number} most that its data may have
   * @returns {Promise<Uint8Array<ArrayBuffer>>} its data, checked against its CRC
   */
  async chunk(at, length, most) {
    if (length > most) throw damaged(`has a part of ${length} bytes where at most ${most} are taken`);
    const bytes = await this.bytes(at + 4, 4 + length + CHUNK_CRC_BYTES);
    const covered = bytes.subarray(0, 4 + length);
    if (viewOf(bytes).getUint32(4 + length) !== crc32(covered)) throw damaged("has a part that does not fit its checksum");
    return covered.subarray(4);
  }
}

/** @param {Uint8Array<ArrayBuffer>} head */
function readHead(head) {
  const length = viewOf(head).getUint32(0);
  const type = latin1(head.subarray(4));
  if (length > 0x7fffffff || !/^[A-Za-z]{4}$/.test(type)) throw damaged("has a part that PNG does not know");
  return { length, type };
}

/** @param {Uint8Array<ArrayBuffer>} data of IHDR */
function readHeader(data) {
  if (data.length !== IHDR_BYTES) throw damaged("does not begin as PNG asks for");
  const view = viewOf(data);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, colour, compression, filter, interlace] = data.subarray(8);
  const known = DEPTHS[/** @type {number} */ (colour)]?.includes(/** @type {number} */ (depth));
  if (!known || compression !== 0 || filter !== 0 || (interlace !== 0 && interlace !== 1)) {
    throw damaged("has a kind of pixels that PNG does not know");
  }
  if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE) {
    throw damaged(`claims ${width} x ${height} pixels; sides from 1 to ${MAX_SIDE} are taken`);
  }
  return { width, height };
}

/**
 * @param {Map<string, string>} texts
 * @param {readonly string[]} keywords
 * @param {Source} source
 * @param {{ type: string, at: number, length: number }} chunk
 */
async function addText(texts, keywords, source, { type, at, length }) {
  const start = await source.bytes(at + CHUNK_HEAD_BYTES, Math.min(length, MAX_KEYWORD_BYTES + 1));
  const end = start.indexOf(0);
  if (end < 1) throw damaged("has a text without a name");
  const keyword = latin1(start.subarray(0, end));
  if (!keywords.includes(keyword) || texts.has(keyword)) return;
  const data = await source.chunk(at, length, MAX_TEXT_BYTES);
  texts.set(keyword, await readText(type, data.subarray(end + 1)));
}

/** @param {string} type @param {Uint8Array<ArrayBuffer>} data behind the keyword's NUL @returns {Promise<string>} */
async function readText(type, data) {
  if (type === "tEXt") return latin1(data);
  if (type === "zTXt") {
    if (data[0] !== 0) throw damaged("has a text compressed in a way that PNG does not know");
    return latin1(await inflate(data.subarray(1), MAX_TEXT_BYTES));
  }
  const [compressed, method] = data;
  const language = data.indexOf(0, 2);
  const translated = language < 0 ? -1 : data.indexOf(0, language + 1);
  if (translated < 0) throw damaged("has a text that ends too soon");
  const text = data.subarray(translated + 1);
  if (compressed === 0) return utf8(text);
  if (compressed !== 1 || method !== 0) throw damaged("has a text compressed in a way that PNG does not know");
  return utf8(await inflate(text, MAX_TEXT_BYTES));
}

/** @param {Uint8Array} bytes @returns {string} each byte the character of its number */
function latin1(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return text;
}

/** @param {Uint8Array<ArrayBuffer>} bytes @returns {string} */
function utf8(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new KleinbildError("bad-input", "The picture's file has a text that is no UTF-8.", { cause });
  }
}

/** @param {Uint8Array} bytes @returns {DataView} */
function viewOf(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** @param {Uint8Array} a @param {Uint8Array} b */
function same(a, b) {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** @param {string} problem */
function damaged(problem) {
  return new KleinbildError("bad-input", `The picture's file is damaged: it ${problem}.`);
}
