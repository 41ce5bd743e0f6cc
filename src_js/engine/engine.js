/**
 * The engine: a GPU device, its compiled kernels, buffers and queue. It knows WebGPU and nothing of FLUX.
 *
 * Operators (ops/) record into a Program; `run` executes it; `upload` and `read` move arrays. Errors that WebGPU reports
 * out of band (out of memory, a lost device) are kept and thrown at the next step of whatever runs.
 */

import { KleinbildError } from "../errors.js";
import { openDevice } from "./device.js";
import { Executor, maxDispatchFlops } from "./executor.js";
import { GpuMemory } from "./gpu_memory.js";
import { KERNEL_FILES, renderKernel, variantKey } from "./kernel_source.js";
import { Program } from "./program.js";
import { Storage } from "./storage.js";
import { Tensor, elementBytes } from "./tensor.js";
import { Tuning } from "./tuning/tuning.js";
import { floatsFromHalves } from "./half.js";

/** @typedef {{bytes: number, peakBytes: number, buffers: number, bindGroups: number, pipelines: number, reads: number}} EngineUsage */

export class Engine {
  /** @type {Map<string, Promise<GPUComputePipeline>>} */
  #pipelines = new Map();
  /** @type {KleinbildError | undefined} */
  #failure;

  /**
   * @param {GPUDevice} device
   * @param {import("./device.js").DeviceInfo} info
   * @param {ReadonlyMap<string, string>} sources kernel files by name
   */
  constructor(device, info, sources) {
    this.device = device;
    this.info = info;
    this.sources = sources;
    this.memory = new GpuMemory(device, (bytes) => this.checkBufferSize(bytes));
    this.executor = new Executor(device, () => this.check());
    this.tuning = new Tuning();
    this.maxDispatchFlops = maxDispatchFlops(info);
    /** Bind groups of programs that are built and not destroyed. */
    this.bindGroups = 0;
    /** Reads under way. */
    this.reads = 0;
    device.addEventListener("uncapturederror", (event) => {
      const { error } = /** @type {GPUUncapturedErrorEvent} */ (event);
      const memory = error instanceof GPUOutOfMemoryError;
      this.#failure ??= new KleinbildError(memory ? "out-of-memory" : "internal", error.message || "The GPU is out of memory.");
    });
  }

  /** @param {string} message what the browser said when the device was lost @returns {KleinbildError} what `check` throws from now on */
  markLost(message) {
    this.#failure = new KleinbildError("device-lost", `The GPU stopped working for this page: ${message || "no reason given"}`);
    return this.#failure;
  }

  /** @throws {KleinbildError} the failure that the device reported, if any */
  check() {
    if (this.#failure) throw this.#failure;
  }

  /** @param {number} bytes @throws {KleinbildError} out-of-memory when the GPU allows no such buffer */
  checkBufferSize(bytes) {
    const most = Math.min(this.device.limits.maxBufferSize, this.device.limits.maxStorageBufferBindingSize);
    if (bytes > most) {
      throw new KleinbildError("out-of-memory",
        `This size needs a GPU buffer of ${Math.ceil(bytes / 2 ** 20)} MiB; the GPU allows ${Math.floor(most / 2 ** 20)} MiB. Choose a smaller picture.`);
    }
  }

  /** What it holds on the GPU: bytes and counts. @returns {EngineUsage} */
  usage() {
    const { bytes, peakBytes, buffers } = this.memory;
    return { bytes, peakBytes, buffers, bindGroups: this.bindGroups, pipelines: this.#pipelines.size, reads: this.reads };
  }

  /** @param {import("./kernel_source.js").Variant} variant @returns {Promise<GPUComputePipeline>} compiled once */
  pipeline(variant) {
    const key = variantKey(variant);
    let pipeline = this.#pipelines.get(key);
    if (!pipeline) {
      const module = this.device.createShaderModule({ label: key, code: renderKernel(this.sources, variant) });
      pipeline = this.device.createComputePipelineAsync({ label: key, layout: "auto", compute: { module, entryPoint: "main" } });
      this.#pipelines.set(key, pipeline);
    }
    return pipeline;
  }

  /**
   * @param {string} label
   * @param {import("./kernel_source.js").FloatType} [float] of activations and arithmetic, the engine's precision unless given
   * @returns {Program} an empty program
   */
  program(label, float) {
    return new Program(this, label, float);
  }

  /**
   * Memory that outlives a program: what passes from one to the next.
   * @param {number} rows
   * @param {number} columns
   * @param {import("./kernel_source.js").FloatType} [dtype] the engine's precision unless given
   * @returns {Tensor} allocated at once, zeros; the caller's until `release`
   * @throws {KleinbildError} out-of-memory when it is larger than the GPU allows
   */
  tensor(rows, columns, dtype = this.info.precision) {
    const storage = new Storage(rows * columns * elementBytes(dtype));
    storage.place(this.memory.create(storage.bytes, { label: "tensor" }));
    return new Tensor(storage, dtype, { rows, columns });
  }

  /** @param {...Tensor} tensors that `tensor` gave; work already submitted still finds them */
  release(...tensors) {
    for (const { storage } of tensors) {
      this.memory.destroy(storage.buffer);
      storage.place(undefined);
    }
  }

  /**
   * @param {Program} program
   * @param {Parameters<Executor["run"]>[1]} [options]
   */
  run(program, options) {
    return this.executor.run([{ program }], options);
  }

  /** @param {Parameters<Executor["run"]>} of as Executor.run */
  runAll(...of) {
    return this.executor.run(...of);
  }

  /** @param {Tensor} tensor f32, contiguous rows @param {Float32Array} data rows * columns values */
  upload(tensor, data) {
    if (tensor.dtype !== "f32" || tensor.stride !== tensor.columns || data.length !== tensor.rows * tensor.columns) {
      throw new RangeError("upload takes a contiguous f32 tensor and as many values");
    }
    this.device.queue.writeBuffer(lasting(tensor), tensor.offset * 4, /** @type {Float32Array<ArrayBuffer>} */ (data));
  }

  /** @param {Tensor} source f32, contiguous @param {Tensor} target like source, in another buffer: gets its values */
  copy(source, target) {
    const encoder = this.device.createCommandEncoder();
    const bytes = source.rows * source.columns * 4;
    encoder.copyBufferToBuffer(lasting(source), source.offset * 4, lasting(target), target.offset * 4, bytes);
    this.device.queue.submit([encoder.finish()]);
  }

  /** @param {Tensor} tensor contiguous rows @returns {Promise<Float32Array<ArrayBuffer>>} its values, row by row, as float32 */
  async read(tensor) {
    const count = tensor.rows * tensor.columns;
    if (tensor.stride !== tensor.columns) throw new RangeError("read takes a contiguous tensor");
    const width = elementBytes(tensor.dtype);
    const bytes = await this.readBytes(lasting(tensor), tensor.offset * width, count * width);
    return tensor.dtype === "f32" ? new Float32Array(bytes) : floatsFromHalves(new Uint16Array(bytes));
  }

  /** @param {GPUBuffer} buffer @param {number} offset bytes @param {number} length bytes @returns {Promise<ArrayBuffer>} */
  async readBytes(buffer, offset, length) {
    const from = Math.floor(offset / 4) * 4;
    const size = Math.ceil((offset + length - from) / 4) * 4;
    this.reads += 1;
    const staging = this.device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    try {
      const encoder = this.device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, from, staging, 0, size);
      this.device.queue.submit([encoder.finish()]);
      await staging.mapAsync(GPUMapMode.READ);
      return staging.getMappedRange().slice(offset - from, offset - from + length);
    } catch (error) {
      await new Promise((resolve) => setTimeout(resolve)); // news of a lost device may come just after the failed read
      this.check();
      throw error;
    } finally {
      staging.destroy();
      this.reads -= 1;
    }
  }

  /** Gives the device back. Nothing of this engine may be used afterwards. */
  destroy() {
    this.device.destroy();
  }
}

/**
 * @param {Tensor} tensor
 * @returns {GPUBuffer} memory that is the tensor's alone outside of runs
 * @throws {RangeError} when it was released, so that others use it too
 */
function lasting({ storage }) {
  if (storage.scratch) throw new RangeError("a released tensor has no contents of its own outside of runs");
  return storage.buffer;
}

/**
 * @param {object} options
 * @param {GPU | undefined} options.gpu navigator.gpu
 * @param {import("./device.js").Precision} options.precision
 * @param {(name: string) => Promise<string>} options.readKernel source of a kernel file, by name without .wgsl
 * @param {(error: KleinbildError) => void} [options.onLost] called once if the device is lost
 * @returns {Promise<Engine>}
 * @throws {KleinbildError} no-webgpu, no-adapter
 */
export async function createEngine({ gpu, precision, readKernel, onLost }) {
  const sources = Promise.all(KERNEL_FILES.map(async (name) => /** @type {const} */ ([name, await readKernel(name)])));
  sources.catch(() => {});                                // fetched while the GPU opens; its own failure comes first
  const { device, info } = await openDevice(gpu, precision);
  const engine = new Engine(device, info, new Map(await sources));
  void device.lost.then(({ reason, message }) => {
    const error = engine.markLost(message);
    if (reason !== "destroyed") onLost?.(error);          // destroyed by us: no news, but what still runs must fail
  });
  return engine;
}
