/**
 * Staging memory: a few mappable buffers that carry bytes into GPU buffers, again and again.
 *
 * Bytes are written straight into mapped memory, never into the JavaScript heap. While one buffer is being filled, the others are on
 * their way: unmapped, copied on the queue, mapped again. A buffer mapped at its creation would be cleared first, page by page, every
 * time; these are cleared once. Bounded: SLOTS buffers of SLOT_BYTES, created as they are needed.
 */

import { KleinbildError } from "../errors.js";

/** Small enough for the processor's cache between the page's write and the GPU process's read, large enough to amortise the mapping. */
export const SLOT_BYTES = 8 * 2 ** 20;
/** As many as hide the round trip of a mapping (some milliseconds) at several GB/s. */
export const SLOTS = 8;

/** @typedef {{ slotBytes?: number, slots?: number }} StagingSize slotBytes: a multiple of 8 */
/** @typedef {{ buffer: GPUBuffer, mapped: Promise<void> }} Slot */

export class Staging {
  /** @type {Slot[]} the one used longest ago first */
  #slots = [];
  #engine;

  /**
   * @param {Pick<import("./engine.js").Engine, "device"|"memory">} engine
   * @param {StagingSize} [size]
   */
  constructor(engine, { slotBytes = SLOT_BYTES, slots = SLOTS } = {}) {
    this.#engine = engine;
    this.slotBytes = slotBytes;
    this.slots = slots;
  }

  /**
   * Carries bytes into `target`; work submitted to the queue afterwards sees them. One call at a time.
   * @param {GPUBuffer} target with usage COPY_DST
   * @param {number} offset in bytes, a multiple of 4
   * @param {number} bytes a multiple of 4, at most slotBytes
   * @param {(memory: Uint8Array<ArrayBuffer>) => void | Promise<void>} fill writes them
   * @throws {KleinbildError} out-of-memory; what `fill` throws
   * @throws {DOMException} when the device is lost
   */
  async write(target, offset, bytes, fill) {
    const { device } = this.#engine;
    const slot = this.#slots.length < this.slots ? this.#create() : /** @type {Slot} */ (this.#slots.shift());
    this.#slots.push(slot);
    await slot.mapped;
    await fill(new Uint8Array(slot.buffer.getMappedRange(), 0, bytes));
    slot.buffer.unmap();
    const encoder = device.createCommandEncoder({ label: "staging" });
    encoder.copyBufferToBuffer(slot.buffer, 0, target, offset, bytes);
    device.queue.submit([encoder.finish()]);
    slot.mapped = slot.buffer.mapAsync(GPUMapMode.WRITE);
    slot.mapped.catch(() => {});                             // told by the next `write` on it, or nobody's concern after destroy
  }

  /** Gives the memory back; copies already submitted still arrive. Not while a `write` is in hand. */
  destroy() {
    for (const { buffer } of this.#slots.splice(0)) this.#engine.memory.destroy(buffer);
  }

  /** @returns {Slot} mapped */
  #create() {
    try {
      const usage = GPUBufferUsage.MAP_WRITE | GPUBufferUsage.COPY_SRC;
      const buffer = this.#engine.memory.create(this.slotBytes, { label: "staging", usage, mapped: true });
      return { buffer, mapped: Promise.resolve() };
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const message = "The memory to load the model's weights could not be had: close other programs and try again.";
      throw new KleinbildError("out-of-memory", message, { cause: error });
    }
  }
}
