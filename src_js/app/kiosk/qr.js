/**
 * QR codes of short texts: byte mode, error correction M (15 % of the symbol may be lost), versions 1 to 10, which is 213 bytes.
 * ISO/IEC 18004. It makes the matrix; drawing it is qr_view.js's.
 */

import { KleinbildError } from "../../errors.js";
import { correctionBytes } from "./reed_solomon.js";

/** By version: [codewords in all, correction codewords a block, blocks], of level M. */
const VERSIONS = /** @type {const} */ ([
  [26, 10, 1], [44, 16, 1], [70, 26, 1], [100, 18, 2], [134, 24, 2], [172, 16, 4], [196, 18, 4], [242, 22, 4], [292, 22, 5], [346, 26, 5],
]);
const BYTE_MODE = 0b0100;
const PADDING = [0xec, 0x11];
const LEVEL_M = 0b00;

/** The eight masks: whether the module in `row`, `column` is turned over. @type {((row: number, column: number) => boolean)[]} */
const MASKS = [
  (r, c) => (r + c) % 2 === 0,
  (r) => r % 2 === 0,
  (_, c) => c % 3 === 0,
  (r, c) => (r + c) % 3 === 0,
  (r, c) => (Math.floor(r / 2) + Math.floor(c / 3)) % 2 === 0,
  (r, c) => ((r * c) % 2) + ((r * c) % 3) === 0,
  (r, c) => (((r * c) % 2) + ((r * c) % 3)) % 2 === 0,
  (r, c) => (((r + c) % 2) + ((r * c) % 3)) % 2 === 0,
];

/**
 * @typedef {object} QrCode
 * @property {number} side modules; the quiet zone of 4 modules around is not in it
 * @property {number} mask 0..7
 * @property {(row: number, column: number) => boolean} dark
 */

/**
 * @param {string} text
 * @param {number} [mask] 0..7 (default: the one that scanners read best)
 * @returns {QrCode}
 * @throws {KleinbildError} "bad-input" when the text is too long
 */
export function qrCode(text, mask) {
  const bytes = new TextEncoder().encode(text);
  const version = versionFor(bytes.length);
  const codewords = interleave(dataCodewords(bytes, version), version);
  const masks = mask === undefined ? MASKS.map((_, index) => index) : [mask];
  const symbols = masks.map((index) => new Symbol(version, codewords, index));
  const best = symbols.reduce((a, b) => (b.penalty() < a.penalty() ? b : a));
  return { side: best.side, mask: best.mask, dark: (row, column) => best.at(row, column) === 1 };
}

/** @param {number} length bytes of the text @returns {number} the smallest version that holds them */
function versionFor(length) {
  for (let version = 1; version <= VERSIONS.length; version++) {
    if (4 + countBits(version) + 8 * length <= 8 * dataLength(version)) return version;
  }
  throw new KleinbildError("bad-input", `A QR code here holds 213 bytes, not ${length}.`);
}

/** @param {number} version @returns {number} bits of the length field */
function countBits(version) {
  return version < 10 ? 8 : 16;
}

/** @param {number} version @returns {readonly [number, number, number]} */
function sizes(version) {
  const found = VERSIONS[version - 1];
  if (!found) throw new RangeError(`version ${version}`);
  return found;
}

/** @param {number} version @returns {number} data codewords in all */
function dataLength(version) {
  const [total, correction, blocks] = sizes(version);
  return total - correction * blocks;
}

/** @param {Uint8Array} bytes @param {number} version @returns {Uint8Array} mode, length, text, padding */
function dataCodewords(bytes, version) {
  /** @type {number[]} */
  const bits = [];
  const put = (/** @type {number} */ value, /** @type {number} */ width) => {
    for (let bit = width - 1; bit >= 0; bit--) bits.push((value >> bit) & 1);
  };
  put(BYTE_MODE, 4);
  put(bytes.length, countBits(version));
  for (const byte of bytes) put(byte, 8);
  const length = dataLength(version);
  put(0, Math.min(4, 8 * length - bits.length));
  while (bits.length % 8 !== 0) bits.push(0);
  const data = new Uint8Array(length);
  bits.forEach((bit, index) => (data[index >> 3] = (data[index >> 3] ?? 0) | (bit << (7 - (index & 7)))));
  for (let at = bits.length / 8, turn = 0; at < length; at++, turn++) data[at] = PADDING[turn % 2] ?? 0;
  return data;
}

/** @param {Uint8Array} data @param {number} version @returns {Uint8Array} codewords in the order in which they are drawn */
function interleave(data, version) {
  const [total, correction, count] = sizes(version);
  const short = Math.floor(data.length / count);
  const long = data.length % count;          // as many blocks, the last ones, hold one codeword more
  /** @type {Uint8Array[]} */
  const blocks = [];
  for (let index = 0, at = 0; index < count; index++) {
    const length = short + (index >= count - long ? 1 : 0);
    blocks.push(data.subarray(at, at + length));
    at += length;
  }
  const corrections = blocks.map((block) => correctionBytes(block, correction));
  const out = new Uint8Array(total);
  let at = 0;
  for (const parts of [blocks, corrections]) {
    const longest = Math.max(...parts.map((part) => part.length));
    for (let index = 0; index < longest; index++) {
      for (const part of parts) {
        const byte = part[index];
        if (byte !== undefined) out[at++] = byte;
      }
    }
  }
  return out;
}

/** One symbol: 1 dark, 0 light, 2 not drawn yet. */
class Symbol {
  /** @param {number} version @param {Uint8Array} codewords @param {number} mask */
  constructor(version, codewords, mask) {
    this.side = 17 + 4 * version;
    this.mask = mask;
    this.modules = new Uint8Array(this.side * this.side).fill(2);
    this.#drawFinders();
    this.#drawAlignment(version);
    this.#drawTiming();
    this.#drawFormat();
    if (version >= 7) this.#drawVersion(version);
    this.#drawData(codewords);
  }

  /** @param {number} row @param {number} column @returns {number} */
  at(row, column) {
    return this.modules[row * this.side + column] ?? 2;
  }

  /** @param {number} row @param {number} column @param {boolean | number} dark */
  #set(row, column, dark) {
    this.modules[row * this.side + column] = dark ? 1 : 0;
  }

  #drawFinders() {
    const far = this.side - 7;
    for (const [top, left] of /** @type {[number, number][]} */ ([[0, 0], [0, far], [far, 0]])) {
      for (let r = -1; r <= 7; r++) {
        for (let c = -1; c <= 7; c++) {
          if (top + r < 0 || left + c < 0 || top + r >= this.side || left + c >= this.side) continue;
          const ring = Math.max(Math.abs(r - 3), Math.abs(c - 3));
          this.#set(top + r, left + c, ring !== 2 && ring !== 4);
        }
      }
    }
  }

  /** @param {number} version */
  #drawAlignment(version) {
    const centres = alignmentCentres(version);
    for (const row of centres) {
      for (const column of centres) {
        if (this.at(row, column) !== 2) continue;          // a finder is there
        for (let r = -2; r <= 2; r++) {
          for (let c = -2; c <= 2; c++) this.#set(row + r, column + c, Math.max(Math.abs(r), Math.abs(c)) !== 1);
        }
      }
    }
  }

  #drawTiming() {
    for (let at = 8; at < this.side - 8; at++) {
      this.#set(6, at, at % 2 === 0);
      this.#set(at, 6, at % 2 === 0);
    }
  }

  #drawFormat() {
    const data = (LEVEL_M << 3) | this.mask;
    const bits = ((data << 10) | remainder(data, 10, 0x537)) ^ 0x5412;
    const far = this.side - 1;
    for (let index = 0; index < 15; index++) {
      const dark = (bits >> index) & 1;
      // Beside the upper left finder, from its lower end around the corner; and again along the two others.
      if (index < 6) this.#set(index, 8, dark);
      else if (index < 8) this.#set(index + 1, 8, dark);
      else if (index === 8) this.#set(8, 7, dark);
      else this.#set(8, 14 - index, dark);
      if (index < 8) this.#set(8, far - index, dark);
      else this.#set(far - 14 + index, 8, dark);
    }
    this.#set(this.side - 8, 8, true);
  }

  /** @param {number} version */
  #drawVersion(version) {
    const bits = (version << 12) | remainder(version, 12, 0x1f25);
    for (let index = 0; index < 18; index++) {
      const dark = (bits >> index) & 1;
      const near = Math.floor(index / 3);
      const far = this.side - 11 + (index % 3);
      this.#set(near, far, dark);
      this.#set(far, near, dark);
    }
  }

  /** @param {Uint8Array} codewords in pairs of columns from the right, up and down in turn */
  #drawData(codewords) {
    const mask = MASKS[this.mask];
    if (!mask) throw new RangeError(`mask ${this.mask}`);
    let bit = 0;
    let upwards = true;
    for (let right = this.side - 1; right > 0; right -= 2, upwards = !upwards) {
      if (right === 6) right = 5;                             // the timing pattern has this column
      for (let step = 0; step < this.side; step++) {
        const row = upwards ? this.side - 1 - step : step;
        for (const column of [right, right - 1]) {
          if (this.at(row, column) !== 2) continue;
          const byte = codewords[bit >> 3] ?? 0;               // the last few modules are light
          const dark = (byte >> (7 - (bit & 7))) & 1;
          this.#set(row, column, mask(row, column) ? 1 - dark : dark);
          bit += 1;
        }
      }
    }
  }

  /** @returns {number} how hard it is to read, by the standard's four rules */
  penalty() {
    const { side } = this;
    let sum = 0;
    for (let line = 0; line < side; line++) {
      sum += linePenalty(side, (index) => this.at(line, index)) + linePenalty(side, (index) => this.at(index, line));
    }
    let dark = 0;
    for (let row = 0; row < side; row++) {
      for (let column = 0; column < side; column++) {
        const module = this.at(row, column);
        dark += module;
        const block = row + 1 < side && column + 1 < side && module === this.at(row, column + 1)
          && module === this.at(row + 1, column) && module === this.at(row + 1, column + 1);
        if (block) sum += 3;
      }
    }
    return sum + 10 * Math.floor(Math.abs((100 * dark) / (side * side) - 50) / 5);
  }
}

/** @param {number} side @param {(index: number) => number} at @returns {number} of runs, and of what looks like a finder */
function linePenalty(side, at) {
  let sum = 0;
  let run = 1;
  for (let index = 1; index <= side; index++) {
    if (index < side && at(index) === at(index - 1)) {
      run += 1;
      continue;
    }
    if (run >= 5) sum += run - 2;
    run = 1;
  }
  const line = Array.from({ length: side }, (_, index) => at(index)).join("");
  for (let index = line.indexOf("1011101"); index >= 0; index = line.indexOf("1011101", index + 1)) {
    const before = line.slice(Math.max(0, index - 4), index);
    const after = line.slice(index + 7, index + 11);
    if (!before.includes("1") || !after.includes("1")) sum += 40;
  }
  return sum;
}

/** @param {number} version @returns {number[]} rows, and columns, of the centres of alignment patterns */
function alignmentCentres(version) {
  if (version === 1) return [];
  const last = 10 + 4 * version;
  return version < 7 ? [6, last] : [6, last / 2 + 3, last];
}

/**
 * @param {number} value
 * @param {number} bits of the remainder
 * @param {number} generator
 * @returns {number} of value x 2^bits, divided by the generator in GF(2)
 */
function remainder(value, bits, generator) {
  let rest = value;
  for (let index = 0; index < bits; index++) rest = (rest << 1) ^ ((rest >> (bits - 1)) * generator);
  return rest;
}
