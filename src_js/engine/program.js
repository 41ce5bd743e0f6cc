/**
 * A program: dispatches, recorded once, run as often as needed.
 *
 * The operators in ops/ record into it; nothing touches the GPU until `build`. Its tensors are symbols while it is recorded: each
 * dispatch tells which are alive, `plan` finds the memory that all need together (memory_plan.js), and `build` allocates it. A tensor
 * that was released is scratch and shares its memory with others; one that was not is kept, before, between and after runs, so that
 * arrays can be uploaded to it and read from it. Parameters of all dispatches live in one buffer.
 */

import { bufferBytes } from "./gpu_memory.js";
import { planMemory } from "./memory_plan.js";
import { Storage } from "./storage.js";
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

/** @typedef {{first: number, last: number}} Uses the dispatches that bind a storage, by index; none when first > last */

const MAX_WORKGROUPS = 65535;
/** Of a dispatch: what WebGPU asks for between uniforms in one buffer, at most. */
const PARAMETER_BYTES = 256;

/** @param {number} count @returns {[number, number]} a grid of at least `count` workgroups; the kernel drops the surplus */
export function grid(count) {
  const x = Math.min(count, MAX_WORKGROUPS);
  return [x, Math.ceil(count / x)];
}

export class Program {
  /** @type {Map<Storage, Uses>} */
  #uses = new Map();
  /** @type {GPUBuffer[]} */
  #slots = [];
  /** @type {GPUBuffer | undefined} */
  #uniforms;

  /**
   * @param {import("./engine.js").Engine} engine
   * @param {string} label
   * @param {FloatType} [float] of activations and arithmetic, the engine's precision unless given
   */
  constructor(engine, label, float = engine.info.precision) {
    this.engine = engine;
    this.label = label;
    this.float = float;
    this.flops = 0;
    /** @type {Dispatch[]} what was recorded; empty once built */
    this.dispatches = [];
    /** @type {Command[]} */
    this.commands = [];
  }

  /**
   * @param {number} rows
   * @param {number} columns
   * @param {FloatType} [dtype] the program's unless given
   * @returns {Tensor} contents undefined; has memory from `build` to `destroy`, its own unless released
   */
  tensor(rows, columns, dtype = this.float) {
    const storage = new Storage(rows * columns * elementBytes(dtype));
    this.engine.checkBufferSize(storage.bytes);
    this.#uses.set(storage, { first: Infinity, last: -Infinity });
    return new Tensor(storage, dtype, { rows, columns });
  }

  /**
   * Lets others have their memory before the first use and after the last.
   * @param {...Tensor} tensors whose last use is recorded, and whose first one writes them
   */
  release(...tensors) {
    for (const { storage } of tensors) {
      if (!this.#uses.has(storage) || storage.scratch) throw new Error(`${this.label}: released a tensor that is not its own`);
      storage.scratch = true;
    }
  }

  /** @param {Dispatch} dispatch */
  dispatch(dispatch) {
    for (const count of dispatch.workgroups) {
      if (count < 1 || count > MAX_WORKGROUPS) throw new RangeError(`${dispatch.variant.kernel}: ${count} workgroups`);
    }
    for (const range of Object.values(dispatch.bindings)) {
      if (range instanceof Tensor) this.#use(range.storage, dispatch.variant.kernel);
    }
    this.dispatches.push(dispatch);
    this.flops += dispatch.flops;
  }

  /** @param {Storage} storage @param {string} kernel that binds it in the dispatch to come */
  #use(storage, kernel) {
    if (storage.scratch) throw new Error(`${this.label}: ${kernel} binds a tensor that was released`);
    const uses = this.#uses.get(storage);
    if (!uses) return;                                     // another program's, or the engine's
    uses.first = Math.min(uses.first, this.dispatches.length);
    uses.last = this.dispatches.length;
  }

  /**
   * The memory that its tensors need together, before any is allocated.
   * @returns {import("./memory_plan.js").MemoryPlan & {storages: Storage[], parameterBytes: number}} a slot for each of `storages`;
   *   parameterBytes: beside the slots
   */
  plan() {
    // what was released without a use needs no memory
    const used = [...this.#uses].filter(([storage, { last }]) => !storage.scratch || last >= 0);
    const storages = used.map(([storage]) => storage);
    const lives = used.map(([{ bytes, scratch }, { first, last }]) => (
      scratch ? { bytes, first, last } : { bytes, first: -Infinity, last: Infinity }));
    return { ...planMemory(lives), storages, parameterBytes: bufferBytes(this.dispatches.length * PARAMETER_BYTES) };
  }

  /**
   * Allocates the memory, compiles the pipelines and binds the buffers. Call once, after the last dispatch is recorded.
   * @throws {import("../errors.js").KleinbildError} out-of-memory when a tensor is larger than the GPU allows
   */
  async build() {
    const { device } = this.engine;
    this.#allocate();
    const uniforms = this.#writeParameters();
    const pipelines = await Promise.all(this.dispatches.map((dispatch) => this.engine.pipeline(dispatch.variant)));
    this.commands = this.dispatches.map(({ bindings, workgroups, flops, variant }, i) => {
      const pipeline = /** @type {GPUComputePipeline} */ (pipelines[i]);
      /** @type {GPUBindGroupEntry[]} */
      const entries = [{ binding: 0, resource: { buffer: uniforms, offset: i * PARAMETER_BYTES, size: PARAMETER_BYTES } }];
      for (const [binding, range] of Object.entries(bindings)) {
        if (!range) continue;
        // no more than the tensor's own bytes of a slot: what a kernel reads or writes beyond them is clamped
        const resource = range instanceof Tensor ? { buffer: range.buffer, size: range.storage.bytes } : range;
        entries.push({ binding: Number(binding), resource });
      }
      const bindGroup = device.createBindGroup({ label: variant.kernel, layout: pipeline.getBindGroupLayout(0), entries });
      return { pipeline, bindGroup, workgroups, flops };
    });
    this.dispatches = [];
    this.engine.bindGroups += this.commands.length;
    return this;
  }

  /** @returns {GPUBuffer} every dispatch's uints and floats, PARAMETER_BYTES apart */
  #writeParameters() {
    const words = new Uint32Array((this.dispatches.length * PARAMETER_BYTES) / 4);
    const floats = new Float32Array(words.buffer);
    for (const [i, { uints, floats: tail = [] }] of this.dispatches.entries()) {
      words.set(uints, (i * PARAMETER_BYTES) / 4);
      floats.set(tail, (i * PARAMETER_BYTES) / 4 + uints.length);
    }
    const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
    this.#uniforms = this.engine.memory.create(words.byteLength, { label: `${this.label}: parameters`, usage });
    this.engine.device.queue.writeBuffer(this.#uniforms, 0, words);
    return this.#uniforms;
  }

  #allocate() {
    const { slots, assignment, storages } = this.plan();
    for (const [i, bytes] of slots.entries()) this.#slots.push(this.engine.memory.create(bytes, { label: `${this.label}: slot ${i}` }));
    for (const [i, storage] of storages.entries()) storage.place(this.#slots[assignment[i] ?? -1]);
  }

  /** Gives everything back. The program must not run again. */
  destroy() {
    for (const storage of this.#uses.keys()) storage.place(undefined);
    this.#uses.clear();
    for (const buffer of this.#slots.splice(0)) this.engine.memory.destroy(buffer);
    if (this.#uniforms) this.engine.memory.destroy(this.#uniforms);
    this.#uniforms = undefined;
    this.engine.bindGroups -= this.commands.length;
    this.commands = [];
  }
}
