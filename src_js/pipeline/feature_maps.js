/**
 * Feature maps that may lie in bands: where a whole map would be too large for the memory or for a buffer, its rows are cut into tensors
 * that lie below each other. What reads a map asks for rows and gets them in one piece, whatever bands they lie in.
 */

import { copy } from "../engine/ops/elementwise.js";

/**
 * @typedef {import("../engine/program.js").Program} Program
 * @typedef {import("../engine/tensor.js").Tensor} Tensor
 * @typedef {import("../engine/kernel_source.js").FloatType} FloatType
 * @typedef {import("../engine/ops/conv2d.js").FeatureMap} FeatureMap
 */

export class BandedMap {
  /**
   * @param {number} width
   * @param {Tensor[]} bands [rows * width, channels] each, all but the last of equally many rows
   */
  constructor(width, bands) {
    this.width = width;
    this.bands = bands;
    this.height = bands.reduce((rows, band) => rows + band.rows, 0) / width;
  }

  get channels() {
    return this.#first.columns;
  }

  get dtype() {
    return this.#first.dtype;
  }

  /** Whether it lies in one tensor. */
  get whole() {
    return this.bands.length === 1;
  }

  /** Rows of all bands but the last. */
  get bandRows() {
    return this.#first.rows / this.width;
  }

  get #first() {
    return /** @type {Tensor} */ (this.bands[0]);
  }

  /** Each band as a map of its own. @returns {FeatureMap[]} */
  get maps() {
    return this.bands.map((tensor) => ({ width: this.width, height: tensor.rows / this.width, tensor }));
  }

  /** The one tensor of a whole map. @returns {FeatureMap} @throws {RangeError} when it lies in bands */
  get map() {
    if (!this.whole) throw new RangeError("a map in bands is used as a whole");
    return { width: this.width, height: this.height, tensor: this.#first };
  }

  /**
   * Copies rows into a tensor of their own.
   * @param {Program} program @param {number} begin @param {number} end rows [begin, end)
   * @returns {FeatureMap} the caller's to release
   */
  gather(program, begin, end) {
    const { width } = this;
    const tensor = program.tensor((end - begin) * width, this.channels, this.dtype);
    this.#meet(begin, end, (band, from, count, row) => (
      copy(program, band.rowRange(from * width, count * width), tensor.rowRange((row - begin) * width, count * width))));
    return { width, height: end - begin, tensor };
  }

  /**
   * Copies rows of a map into this one.
   * @param {Program} program @param {number} begin first row here @param {number} end
   * @param {FeatureMap} source @param {number} first row of it
   */
  scatter(program, begin, end, source, first) {
    const { width } = this;
    this.#meet(begin, end, (band, from, count, row) => (
      copy(program, source.tensor.rowRange((first + row - begin) * width, count * width), band.rowRange(from * width, count * width))));
  }

  /** @param {Program} program */
  release(program) {
    program.release(...this.bands);
  }

  /**
   * Cuts rows where bands meet.
   * @param {number} begin @param {number} end
   * @param {(band: Tensor, from: number, count: number, row: number) => void} each gets the row in the band, and the same row of the map
   */
  #meet(begin, end, each) {
    for (let row = begin; row < end;) {
      const index = Math.min(Math.floor(row / this.bandRows), this.bands.length - 1);
      const band = /** @type {Tensor} */ (this.bands[index]);
      const from = row - index * this.bandRows;
      const count = Math.min(end - row, band.rows / this.width - from);
      each(band, from, count, row);
      row += count;
    }
  }
}

/**
 * @param {Program} program
 * @param {{width: number, height: number, channels: number}} size
 * @param {number} mostRows of a band
 * @returns {BandedMap} contents undefined, of the program's float type
 */
export function newMap(program, { width, height, channels }, mostRows) {
  const rows = Math.min(height, Math.max(1, mostRows));
  const bands = Array.from({ length: Math.ceil(height / rows) }, (_, i) => (
    program.tensor(Math.min(rows, height - i * rows) * width, channels)));
  return new BandedMap(width, bands);
}
