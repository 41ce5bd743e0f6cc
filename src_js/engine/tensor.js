/**
 * A view of a storage as a matrix: rows of `columns` elements, `stride` elements apart, from element `offset` on.
 *
 * Views cost nothing: a fused projection's q, k and v are three views of one storage, the text and the picture rows of a
 * joint sequence two. Whoever made the storage gives it back: the program that recorded it, or the engine.
 */

/** @typedef {import("./kernel_source.js").FloatType} FloatType */
/** @typedef {import("./storage.js").Storage} Storage */

export class Tensor {
  /**
   * @param {Storage} storage
   * @param {FloatType} dtype
   * @param {{rows: number, columns: number, offset?: number, stride?: number}} shape in elements
   */
  constructor(storage, dtype, { rows, columns, offset = 0, stride = columns }) {
    this.storage = storage;
    this.dtype = dtype;
    this.rows = rows;
    this.columns = columns;
    this.offset = offset;
    this.stride = stride;
  }

  /** @returns {GPUBuffer} @throws {Error} while its program is being recorded: there is none before `build` */
  get buffer() {
    return this.storage.buffer;
  }

  /** @param {number} begin @param {number} count @returns {Tensor} rows [begin, begin + count) */
  rowRange(begin, count) {
    if (begin < 0 || begin + count > this.rows) throw new RangeError(`rows ${begin}+${count} of ${this.rows}`);
    const { storage, dtype, columns, stride } = this;
    return new Tensor(storage, dtype, { rows: count, columns, offset: this.offset + begin * stride, stride });
  }

  /** @param {number} begin @param {number} count @returns {Tensor} columns [begin, begin + count) */
  columnRange(begin, count) {
    if (begin < 0 || begin + count > this.columns) throw new RangeError(`columns ${begin}+${count} of ${this.columns}`);
    const { storage, dtype, rows, stride } = this;
    return new Tensor(storage, dtype, { rows, columns: count, offset: this.offset + begin, stride });
  }

  /** Whether every row starts at a multiple of four elements, so that a kernel may read vec4s. */
  get vec4Aligned() {
    return this.offset % 4 === 0 && this.stride % 4 === 0;
  }
}

/** @param {FloatType} dtype @returns {number} bytes of an element */
export function elementBytes(dtype) {
  return dtype === "f16" ? 2 : 4;
}
