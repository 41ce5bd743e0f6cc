/**
 * Puts a stage's shards on the GPU, one buffer a shard, and finds each tensor's bytes in them.
 *
 * A shard is read straight into its mapped buffer: no copy in the JavaScript heap. A weight split over several shards keeps its
 * parts (runs of rows); linear.js runs one dispatch for each.
 */

import { KleinbildError, throwIfCancelled } from "../errors.js";
import { partLayout } from "../tensor_layout.js";

/**
 * @typedef {import("../manifest.js").Manifest} Manifest
 * @typedef {import("../manifest.js").Tensor} TensorEntry
 * @typedef {import("./program.js").Range} Range
 * @typedef {(sha256: string, offset: number, target: Uint8Array) => void | Promise<void>} ReadShard
 */

/**
 * @typedef {object} WeightPart
 * @property {number} rowStart
 * @property {number} rowCount
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
 * @property {number} stride elements between rows
 * @property {number} scaleStride
 * @property {number} zeroStride nibbles
 * @property {WeightPart[]} parts
 */

/** A binding must hold whole vec4s; shards are padded beyond their last section. */
const BINDING_BYTES = 16;

export class StageWeights {
  /** @param {GPUBuffer[]} buffers @param {Map<string, Weight>} weights */
  constructor(buffers, weights) {
    this.buffers = buffers;
    this.weights = weights;
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

  /** Gives the GPU memory back. */
  destroy() {
    for (const buffer of this.buffers) buffer.destroy();
  }
}

/**
 * @param {import("./engine.js").Engine} engine
 * @param {Manifest} manifest validated
 * @param {string} stageName
 * @param {ReadShard} readShard
 * @param {{signal?: AbortSignal | undefined, onProgress?: ((fraction: number) => void) | undefined}} [options]
 * @returns {Promise<StageWeights>}
 */
export async function loadStage(engine, manifest, stageName, readShard, { signal, onProgress } = {}) {
  const stage = manifest.stages.find((s) => s.name === stageName);
  if (!stage) throw new Error(`stage ${stageName} is not in the manifest`);
  /** @type {Map<number, GPUBuffer>} */
  const buffers = new Map();
  try {
    for (const index of stage.shards) {
      throwIfCancelled(signal);
      const shard = /** @type {import("../manifest.js").Shard} */ (manifest.shards[index]);
      engine.checkBufferSize(shard.bytes);
      const buffer = mappedBuffer(engine.device, shard);
      buffers.set(index, buffer);
      await readShard(shard.sha256, 0, new Uint8Array(buffer.getMappedRange(), 0, shard.bytes));
      buffer.unmap();
      engine.check();
      onProgress?.(buffers.size / stage.shards.length);
    }
  } catch (error) {
    for (const buffer of buffers.values()) buffer.destroy();
    throw error;
  }
  /** @type {Map<string, Weight>} */
  const weights = new Map();
  for (const entry of manifest.tensors) {
    if (entry.stage === stageName) weights.set(entry.name, place(entry, buffers));
  }
  return new StageWeights([...buffers.values()], weights);
}

/** @param {GPUDevice} device @param {import("../manifest.js").Shard} shard @returns {GPUBuffer} mapped, to be filled */
function mappedBuffer(device, { path, bytes }) {
  try {
    return device.createBuffer({ label: path, size: bytes, usage: GPUBufferUsage.STORAGE, mappedAtCreation: true });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new KleinbildError("out-of-memory", "The memory for the model's weights could not be had: close other programs and try again.", { cause: error });
  }
}

/** @param {TensorEntry} entry @param {Map<number, GPUBuffer>} buffers by shard index @returns {Weight} */
function place(entry, buffers) {
  const { rowStride: stride, scaleStride, zeroStride } = partLayout(entry, 1);
  const parts = entry.parts.map((part) => {
    const buffer = /** @type {GPUBuffer} */ (buffers.get(part.shard));
    const [values, scales, zeroPoints] = partLayout(entry, part.row_count).sections.map(({ offset, bytes }) => (
      { buffer, offset: part.offset + offset, size: Math.ceil(bytes / BINDING_BYTES) * BINDING_BYTES }));
    return { rowStart: part.row_start, rowCount: part.row_count, values: /** @type {Required<Range>} */ (values), scales, zeroPoints };
  });
  const { name, shape, format, block_size: blockSize } = entry;
  return { name, shape, format, blockSize, stride, scaleStride, zeroStride, parts };
}
