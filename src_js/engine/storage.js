/**
 * The memory of one tensor and all its views. It is known by identity and size while a program is recorded; a GPU buffer is put under
 * it when the program is built, and several storages whose lives do not overlap get the same one.
 */

import { bufferBytes } from "./gpu_memory.js";

export class Storage {
  /** @type {GPUBuffer | undefined} */
  #buffer;

  /** @param {number} bytes */
  constructor(bytes) {
    this.bytes = bufferBytes(bytes);
    /** Whether it is memory for a while only: others use the same buffer before and after. */
    this.scratch = false;
  }

  /** @returns {GPUBuffer} of at least `bytes`, shared with other storages when `scratch` @throws {Error} before there is one */
  get buffer() {
    if (!this.#buffer) throw new Error("this tensor has no memory: its program is not built, or destroyed");
    return this.#buffer;
  }

  /** @param {GPUBuffer | undefined} buffer undefined takes it away */
  place(buffer) {
    this.#buffer = buffer;
  }
}
