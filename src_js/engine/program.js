/**
 * A program: dispatches and buffer copies, recorded once, run as often as needed.
 *
 * The operators in ops/ record into it; nothing touches the GPU's queue until the executor runs it. Activations come from
 * the engine's pool and stay the program's until `release` or `destroy`; a released one may serve other programs between
 * two runs of this one, so trim the pool only when no program is left. Parameters of all dispatches live in one buffer.
 */

import { Tensor, elementBytes } from "./tensor.js";

/** @typedef {import("./kernel_source.js").Variant} Variant */
/** @typedef {import("./kernel_source.js").FloatType} FloatType */
/** @typedef {{buffer: GPUBuffer, offset?: number, size?: number}} Range */

/**
 * @typedef {object} Dispatch
 * @property {Variant} variant
 * @property {number[]} uints the uniform's u32 fields, in order
 * @property {number[]} [floats] its f32 fields, after them
 * @property {Record<number, Range | Tensor | undefined>} bindings by binding number (0 is the uniform); undefined: not bound
 * @property {[number, number]} workgroups
 * @property {number} flops
 */

/**
 * @typedef {{pipeline: GPUComputePipeline, bindGroup: GPUBindGroup, workgroups: [number, number], flops: number}} Command
 */

const MAX_WORKGROUPS = 65535;

/** @param {number} count @returns {[number, number]} a grid of at least `count` workgroups; the kernel drops the surplus */
export function grid(count) {
  const x = Math.min(count, MAX_WORKGROUPS);
  return [x, Math.ceil(count / x)];
}

export class Program {
  /** @type {Dispatch[]} */
  #dispatches = [];
  /** @type {Set<GPUBuffer>} */
  #owned = new Set();
  /** @type {GPUBuffer | undefined} */
  #uniforms;

  /** @param {import("./engine.js").Engine} engine @param {string} label */
  constructor(engine, label) {
    this.engine = engine;
    this.label = label;
    this.flops = 0;
    /** @type {Command[]} */
    this.commands = [];
  }

  /** The float type of activations. @returns {FloatType} */
  get float() {
    return this.engine.info.precision;
  }

  /**
   * @param {number} rows
   * @param {number} columns
   * @param {FloatType} [dtype] the engine's precision unless given
   * @returns {Tensor} fresh memory, contents undefined, the program's until `release` or `destroy`
   */
  tensor(rows, columns, dtype = this.float) {
    const buffer = this.engine.pool.acquire(rows * columns * elementBytes(dtype));
    this.#owned.add(buffer);
    return new Tensor(buffer, dtype, { rows, columns });
  }

  /** @param {...Tensor} tensors whose last reader is recorded: later tensors may reuse their memory */
  release(...tensors) {
    for (const { buffer } of tensors) {
      if (!this.#owned.delete(buffer)) throw new Error(`${this.label}: released a tensor that is not its own`);
      this.engine.pool.release(buffer);
    }
  }

  /** @param {Dispatch} dispatch */
  dispatch(dispatch) {
    for (const count of dispatch.workgroups) {
      if (count < 1 || count > MAX_WORKGROUPS) throw new RangeError(`${dispatch.variant.kernel}: ${count} workgroups`);
    }
    this.#dispatches.push(dispatch);
    this.flops += dispatch.flops;
  }

  /** Compiles the pipelines and binds the buffers. Call once, after the last dispatch is recorded. */
  async build() {
    const { device } = this.engine;
    const slot = Math.max(256, device.limits.minUniformBufferOffsetAlignment);
    const words = new Uint32Array((this.#dispatches.length * slot) / 4);
    const floats = new Float32Array(words.buffer);
    for (const [i, { uints, floats: tail = [] }] of this.#dispatches.entries()) {
      words.set(uints, (i * slot) / 4);
      floats.set(tail, (i * slot) / 4 + uints.length);
    }
    const uniforms = device.createBuffer({ size: words.byteLength, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
    this.#uniforms = uniforms;
    device.queue.writeBuffer(uniforms, 0, words);
    const pipelines = await Promise.all(this.#dispatches.map((dispatch) => this.engine.pipeline(dispatch.variant)));
    this.commands = this.#dispatches.map(({ bindings, workgroups, flops, variant }, i) => {
      const pipeline = /** @type {GPUComputePipeline} */ (pipelines[i]);
      /** @type {GPUBindGroupEntry[]} */
      const entries = [{ binding: 0, resource: { buffer: uniforms, offset: i * slot, size: slot } }];
      for (const [binding, range] of Object.entries(bindings)) {
        if (!range) continue;
        const resource = range instanceof Tensor ? { buffer: range.buffer } : range;
        entries.push({ binding: Number(binding), resource });
      }
      const bindGroup = device.createBindGroup({ label: variant.kernel, layout: pipeline.getBindGroupLayout(0), entries });
      return { pipeline, bindGroup, workgroups, flops };
    });
    this.#dispatches = [];
    return this;
  }

  /** Gives everything back. The program must not run again. */
  destroy() {
    for (const buffer of this.#owned) this.engine.pool.release(buffer);
    this.#owned.clear();
    this.#uniforms?.destroy();
    this.commands = [];
  }
}
