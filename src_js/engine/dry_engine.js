/**
 * What operators ask of an engine while they record, without a GPU: its facts and the kernels it chose. Programs recorded on it tell
 * what they would run and need (`dispatches`, `plan`), the same as on the engine itself; they cannot be built.
 */

import { maxDispatchFlops } from "./executor.js";
import { Program } from "./program.js";
import { Storage } from "./storage.js";
import { Tensor, elementBytes } from "./tensor.js";
import { Tuning } from "./tuning/tuning.js";

/**
 * @typedef {import("./engine.js").Engine} Engine
 * @typedef {import("./kernel_source.js").FloatType} FloatType
 */

export class DryEngine {
  /**
   * @param {object} of an engine that exists, or of one that might
   * @param {import("./device.js").DeviceInfo} of.info
   * @param {Tuning} [of.tuning] the kernels it chose; nothing measured unless given
   * @param {number} [of.maxDispatchFlops] what such a GPU is given at once unless given
   */
  constructor({ info, tuning = new Tuning(), maxDispatchFlops: most = maxDispatchFlops(info) }) {
    this.info = info;
    this.tuning = tuning;
    this.maxDispatchFlops = most;
  }

  /** Anything may be recorded: whether the GPU could hold it is for the reader of the plan. */
  checkBufferSize() {}

  /** @param {string} label @param {FloatType} [float] @returns {Program} for recording only */
  program(label, float) {
    return new Program(/** @type {Engine} */ (/** @type {unknown} */ (this)), label, float);
  }

  /** @param {number} rows @param {number} columns @param {FloatType} [dtype] @returns {Tensor} one that never gets memory */
  tensor(rows, columns, dtype = this.info.precision) {
    return new Tensor(new Storage(rows * columns * elementBytes(dtype)), dtype, { rows, columns });
  }
}
