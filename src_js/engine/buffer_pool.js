/**
 * GPU buffers for activations, handed out by size and taken back, so that a stage of many layers needs the memory of one.
 *
 * Work on the queue runs in order, so a buffer may be taken back as soon as its last reader is recorded. Released buffers
 * are kept for the next request of a like size until `trim` destroys them.
 */

/** A kept buffer may serve a request down to this share of its size. */
const LEAST_FIT = 0.75;

export class BufferPool {
  /** @type {GPUBuffer[]} */
  #free = [];

  /** @param {GPUDevice} device @param {(bytes: number) => void} check throws when the device cannot have such a buffer */
  constructor(device, check) {
    this.device = device;
    this.check = check;
    this.bytes = 0;
  }

  /** @param {number} bytes @returns {GPUBuffer} a storage buffer of at least `bytes`, contents undefined */
  acquire(bytes) {
    const size = Math.max(256, Math.ceil(bytes / 256) * 256);
    let best = -1;
    for (const [i, buffer] of this.#free.entries()) {
      const fits = buffer.size >= size && size >= buffer.size * LEAST_FIT;
      if (fits && (best < 0 || buffer.size < /** @type {GPUBuffer} */ (this.#free[best]).size)) best = i;
    }
    const kept = best >= 0 ? this.#free.splice(best, 1)[0] : undefined;
    if (kept) return kept;
    this.check(size);
    this.bytes += size;
    const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
    return this.device.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST });
  }

  /** @param {GPUBuffer} buffer one that `acquire` gave */
  release(buffer) {
    if (this.#free.includes(buffer)) throw new Error("buffer released twice");
    this.#free.push(buffer);
  }

  /** Destroys every buffer that is not in use. */
  trim() {
    for (const buffer of this.#free.splice(0)) {
      this.bytes -= buffer.size;
      buffer.destroy();
    }
  }
}
