/**
 * Puts a stage's shards on the GPU, one buffer a shard, and finds each tensor's bytes in them.
 *
 * Where the tensors lie is known before any byte is read, so a stage can be recorded and compiled while it loads. Bytes are read
 * straight into mapped staging memory: no copy in the JavaScript heap. A weight split over several shards keeps its parts (runs of
 * rows); linear.js runs one dispatch for each.
 */

import { KleinbildError, throwIfCancelled } from "../errors.js";
import { weightShards, weightTensors } from "../manifest.js";
import { partLayout } from "../tensor_layout.js";
import { SLOT_BYTES, Staging } from "./staging.js";

/**
 * @typedef {import("../manifest.js").Manifest} Manifest
 * @typedef {import("../manifest.js").Shard} Shard
 * @typedef {import("../manifest.js").Tensor} TensorEntry
 * @typedef {import("./program.js").Range} Range
 * @typedef {(sha256: string, offset: number, target: Uint8Array) => void | Promise<void>} ReadShard
 */

/**
 * @typedef {object} WeightPart
 * @property {number} rowStart
 * @property {number} rowCount
 * @property {number} stride elements between stored rows (tensor_layout.js)
 * @property {Required<Range>} values the codes, when q4
 * @property {Required<Range> | undefined} scales
 * @property {Required<Range> | undefined} zeroPoints
 */

/**
 * @typedef {object} Weight
 * @property {string} name
 * @property {number[]} shape canonical: a linear is [N out, K in]
 * @property {"f32"|"f16"|"q4"} format
 * @property {number} blockSize 0 unless q4
 * @property {number} storedRows of a linear: K, for q4 rounded up to whole blocks
 * @property {WeightPart[]} parts
 */

/** A binding must hold whole vec4s; shards are padded beyond their last section. */
const BINDING_BYTES = 16;

/**
 * @typedef {object} LoadProgress
 * @property {number} bytes of this stage on their way to the GPU so far
 * @property {number} totalBytes of this stage
 * @property {number} bytesPerSecond since the stage began to load
 */

/**
 * @typedef {object} LoadOptions
 * @property {AbortSignal | undefined} [signal]
 * @property {((progress: LoadProgress) => void) | undefined} [onProgress] after every shard
 * @property {import("./staging.js").StagingSize} [staging] other than the usual
 */

export class StageWeights {
  #memory;
  #loading;

  /**
   * @param {import("./gpu_memory.js").GpuMemory} memory that the buffers came from
   * @param {GPUBuffer[]} buffers
   * @param {Map<string, Weight>} weights
   * @param {{done: Promise<void>, stop: AbortController}} [loading] unless the buffers are filled already: how it ends, and what ends it
   */
  constructor(memory, buffers, weights, loading) {
    this.#memory = memory;
    this.#loading = loading;
    this.buffers = buffers;
    this.weights = weights;
    /** Settles when all bytes are in the queue, before whatever is submitted next. On failure the buffers are gone. */
    this.loaded = this.#finish(loading?.done);
    this.loaded.catch(() => {});                               // a failure that nobody waits for is no fault of the page
  }

  /** @param {Promise<void> | undefined} done */
  async #finish(done) {
    try {
      await done;
    } catch (error) {
      this.#release();
      throw error;
    } finally {
      this.#loading = undefined;
    }
  }

  /** @param {string} name canonical name @returns {Weight} */
  get(name) {
    const weight = this.weights.get(name);
    if (!weight) throw new Error(`weight ${name} is not in the manifest`);
    return weight;
  }

  /** @param {string} name @returns {boolean} */
  has(name) {
    return this.weights.has(name);
  }

  /** @param {string} name a vector's name @returns {Required<Range>} its float32 values */
  vector(name) {
    return /** @type {WeightPart} */ (this.get(name).parts[0]).values;
  }

  /** Gives the GPU memory back: at once, or, while still loading, as soon as the read in hand is over. */
  destroy() {
    if (!this.#loading) return this.#release();
    this.#loading.stop.abort();
    this.loaded.then(() => this.#release(), () => {});         // the read's copy must not meet a buffer that is gone
  }

  #release() {
    for (const buffer of this.buffers.splice(0)) this.#memory.destroy(buffer);
  }
}

/**
 * Begins to load a stage. When this returns the buffers exist and every weight is placed in them, so that programs can be recorded
 * and their pipelines compiled while the bytes arrive; a program may run once `loaded` has settled.
 * @param {import("./engine.js").Engine} engine
 * @param {Manifest} manifest validated
 * @param {string} stageName
 * @param {ReadShard} readShard
 * @param {LoadOptions} [options]
 * @returns {StageWeights}
 * @throws {KleinbildError} out-of-memory when the GPU allows no buffer of that size, cancelled; later failures are `loaded`'s
 */
export function beginStage(engine, manifest, stageName, readShard, { signal, onProgress, staging } = {}) {
  const indices = weightShards(manifest, stageName);
  if (indices.length === 0) throw new Error(`stage ${stageName} is not in the manifest`);
  throwIfCancelled(signal);
  const shards = indices.map((index) => /** @type {Shard} */ (manifest.shards[index]));
  for (const { bytes } of shards) engine.checkBufferSize(bytes);
  const { buffers, created } = createBuffers(engine, shards);
  const byShard = new Map(indices.map((index, i) => [index, /** @type {GPUBuffer} */ (buffers[i])]));
  const weights = new Map(weightTensors(manifest, stageName).map((entry) => [entry.name, place(entry, byShard)]));
  const stop = new AbortController();
  const ended = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const done = fillBuffers(engine, { shards, buffers: [...buffers], created, readShard }, { signal: ended, onProgress, staging });
  return new StageWeights(engine.memory, buffers, weights, { done, stop });
}

/**
 * Loads a stage and waits for it.
 * @param {Parameters<typeof beginStage>} of as beginStage
 * @returns {Promise<StageWeights>} loaded
 * @throws {KleinbildError} out-of-memory, cancelled, device-lost, what `readShard` throws; no buffer is left then
 */
export async function loadStage(...of) {
  const stage = beginStage(...of);
  await stage.loaded;
  return stage;
}

/**
 * @param {import("./engine.js").Engine} engine
 * @param {Shard[]} shards
 * @returns {{buffers: GPUBuffer[], created: Promise<void>}} `created` rejects with out-of-memory
 */
function createBuffers({ device, memory }, shards) {
  device.pushErrorScope("out-of-memory");
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
  const buffers = shards.map(({ path, bytes }) => memory.create(bytes, { label: path, usage }));
  const created = device.popErrorScope().then((error) => {
    if (!error) return;
    const size = Math.ceil(shards.reduce((sum, { bytes }) => sum + bytes, 0) / 2 ** 20);
    throw new KleinbildError("out-of-memory",
      `The GPU has no ${size} MiB free for this part of the model's weights: close other programs and try again.`);
  });
  return { buffers, created };
}

/**
 * Fills the buffers with their shards, in order: while bytes are on their way to the GPU the next ones are read.
 * @param {import("./engine.js").Engine} engine
 * @param {{shards: Shard[], buffers: GPUBuffer[], created: Promise<void>, readShard: ReadShard}} what
 * @param {LoadOptions} options
 */
async function fillBuffers(engine, { shards, buffers, created, readShard }, { signal, onProgress, staging: size }) {
  const start = performance.now();
  const totalBytes = shards.reduce((sum, shard) => sum + shard.bytes, 0);
  const staging = new Staging(engine, { slotBytes: Math.min(SLOT_BYTES, Math.max(...shards.map((shard) => shard.bytes))), ...size });
  try {
    await created;
    let done = 0;
    for (const [i, { sha256, bytes }] of shards.entries()) {
      for (let offset = 0; offset < bytes; offset += staging.slotBytes) {
        throwIfCancelled(signal);
        engine.check();
        const length = Math.min(staging.slotBytes, bytes - offset);
        const target = /** @type {GPUBuffer} */ (buffers[i]);
        await staging.write(target, offset, length, (memory) => readShard(sha256, offset, memory));
      }
      done += bytes;
      onProgress?.({ bytes: done, totalBytes, bytesPerSecond: (done * 1000) / Math.max(performance.now() - start, 1) });
    }
    engine.check();
  } catch (error) {
    if (!(error instanceof KleinbildError)) {
      await new Promise((resolve) => setTimeout(resolve));     // news of a lost device may come just after what failed for it
      engine.check();
    }
    throw error;
  } finally {
    staging.destroy();
  }
}

/** @param {TensorEntry} entry @param {Map<number, GPUBuffer>} buffers by shard index @returns {Weight} */
export function place(entry, buffers) {
  const { storedRows } = partLayout(entry, 1);
  const parts = entry.parts.map((part) => {
    const buffer = /** @type {GPUBuffer} */ (buffers.get(part.shard));
    const { sections, rowStride: stride } = partLayout(entry, part.row_count);
    const [values, scales, zeroPoints] = sections.map(({ offset, bytes }) => (
      { buffer, offset: part.offset + offset, size: Math.ceil(bytes / BINDING_BYTES) * BINDING_BYTES }));
    return { rowStart: part.row_start, rowCount: part.row_count, stride, values: /** @type {Required<Range>} */ (values), scales, zeroPoints };
  });
  const { name, shape, format, block_size: blockSize } = entry;
  return { name, shape, format, blockSize, storedRows, parts };
}
