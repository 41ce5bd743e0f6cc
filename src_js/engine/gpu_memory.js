/**
 * Every GPU buffer of an engine is created and destroyed here, so that the memory in use and its peak are known.
 */

const ALIGNMENT_BYTES = 256;

/** @param {number} bytes @returns {number} what a buffer for them takes */
export function bufferBytes(bytes) {
  return Math.max(1, Math.ceil(bytes / ALIGNMENT_BYTES)) * ALIGNMENT_BYTES;
}

export class GpuMemory {
  /** @type {Set<GPUBuffer>} */
  #buffers = new Set();

  /** @param {GPUDevice} device @param {(bytes: number) => void} check throws when the device cannot have such a buffer */
  constructor(device, check) {
    this.device = device;
    this.check = check;
    /** In use now. */
    this.bytes = 0;
    /** The most that was in use at once since the engine began, or since `resetPeak`. */
    this.peakBytes = 0;
  }

  /**
   * @param {number} bytes
   * @param {{label?: string, usage?: GPUBufferUsageFlags, mapped?: boolean}} [options] usage: a storage buffer that can be copied
   *   from and to unless given; mapped: to be filled and unmapped by the caller
   * @returns {GPUBuffer} of at least `bytes`
   * @throws {import("../errors.js").KleinbildError} out-of-memory when the device allows no such buffer
   * @throws {RangeError} the browser's, when memory cannot be mapped
   */
  create(bytes, { label = "", usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST, mapped = false } = {}) {
    const size = bufferBytes(bytes);
    this.check(size);
    const buffer = this.device.createBuffer({ label, size, usage, mappedAtCreation: mapped });
    this.#buffers.add(buffer);
    this.bytes += size;
    this.peakBytes = Math.max(this.peakBytes, this.bytes);
    return buffer;
  }

  /** @param {GPUBuffer} buffer one that `create` gave; work already submitted still finds it */
  destroy(buffer) {
    if (!this.#buffers.delete(buffer)) throw new Error("destroyed a buffer twice, or one of another owner");
    this.bytes -= buffer.size;
    buffer.destroy();
  }

  /** Buffers that hold memory. */
  get buffers() {
    return this.#buffers.size;
  }

  /** From now on `peakBytes` tells of later use only. */
  resetPeak() {
    this.peakBytes = this.bytes;
  }
}
