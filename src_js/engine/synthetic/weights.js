/**
 * Weights that no file holds: random codes, scales and numbers of a model's true shapes, made on the GPU itself in the layout of its
 * manifest. For measuring and tuning. They are such that activations neither die out nor overflow: a linear or convolution with K
 * inputs has elements of standard deviation about 1/sqrt(K), a norm's weights are near 1, biases near 0. Padding is filled, too: no
 * kernel lets it count.
 */

import { weightShards, weightTensors } from "../../manifest.js";
import { partLayout } from "../../tensor_layout.js";
import { grid } from "../program.js";
import { StageWeights, place } from "../weights.js";

/**
 * @typedef {import("../engine.js").Engine} Engine
 * @typedef {import("../program.js").Program} Program
 * @typedef {import("../../manifest.js").Manifest} Manifest
 * @typedef {import("../../manifest.js").Tensor} TensorEntry
 */

const WORKGROUP = 256;
const WORD_BYTES = 4;
/** About what the making of a word takes, for the executor's budget. */
const WORD_FLOPS = 16;
/** Seeds of a tensor's parts and their sections are numbered; no tensor has more. */
const MOST_PARTS = 64;
const MOST_SECTIONS = 4;
/** Mean squares of (code - zero point) of the numbers that random_codes.wgsl draws: 8 for all, or zero points of variance 1/2. */
const CODE_SQUARE = 17.5;
const ZERO_SQUARE = 0.5;
/** Of an even spread [-1, 1]. */
const SPREAD_SQUARE = 1 / 3;
/** Share by which a block's scale may differ from the mean scale, and a norm's weight from 1. */
const SCALE_SPREAD = 0.25;
const VECTOR_SPREAD = 0.1;
/** Vectors about 0; the others are a norm's weights, about 1. */
const ADDED = /(\.bias|\.mean)$/;

/**
 * The weights of a manifest's stage, made up instead of read.
 * @param {Engine} engine
 * @param {Manifest} manifest
 * @param {string} stageName
 * @param {number} [seed] the same gives the same bytes
 * @returns {Promise<StageWeights>} loaded
 * @throws {import("../../errors.js").KleinbildError} out-of-memory, device-lost
 */
export async function fillStage(engine, manifest, stageName, seed = 0) {
  const weights = beginFilling(engine, manifest, stageName, seed);
  await weights.loaded;
  return weights;
}

/**
 * Begins to make up a stage as beginStage begins to load one: the buffers exist at once, one a shard, and are filled when `loaded` settles.
 * @param {Engine} engine
 * @param {Manifest} manifest
 * @param {string} stageName
 * @param {number} [seed]
 * @returns {StageWeights}
 * @throws {import("../../errors.js").KleinbildError} out-of-memory when the GPU allows no buffer of that size; later failures are `loaded`'s
 */
export function beginFilling(engine, manifest, stageName, seed = 0) {
  const shards = weightShards(manifest, stageName);
  if (shards.length === 0) throw new Error(`stage ${stageName} is not in the manifest`);
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC;
  const buffers = shards.map((index) => engine.memory.create(manifest.shards[index]?.bytes ?? 0, { label: `synthetic ${index}`, usage }));
  const byShard = new Map(shards.map((index, i) => [index, /** @type {GPUBuffer} */ (buffers[i])]));
  const entries = weightTensors(manifest, stageName);
  const program = engine.program(`synthetic ${stageName}`);
  for (const [i, entry] of entries.entries()) recordTensor(program, entry, byShard, seed * entries.length + i);
  const stop = new AbortController();
  const weights = new Map(entries.map((entry) => [entry.name, place(entry, byShard)]));
  return new StageWeights(engine.memory, buffers, weights, { done: fill(program, stop.signal), stop });
}

/** @param {Program} program @param {AbortSignal} signal */
async function fill(program, signal) {
  try {
    await program.build();
    await program.engine.run(program, { signal });
  } finally {
    program.destroy();
  }
}

/** @param {Program} program @param {TensorEntry} entry @param {Map<number, GPUBuffer>} buffers by shard @param {number} seed */
function recordTensor(program, entry, buffers, seed) {
  const inner = entry.shape.slice(1).reduce((a, b) => a * b, 1);
  for (const [i, part] of entry.parts.entries()) {
    const buffer = /** @type {GPUBuffer} */ (buffers.get(part.shard));
    const [values, scales, zeroPoints] = partLayout(entry, part.row_count).sections.map(({ offset, bytes }, section) => ({
      range: { buffer, offset: part.offset + offset, size: Math.ceil(bytes / WORD_BYTES) * WORD_BYTES },
      seed: ((seed * MOST_PARTS + i) * MOST_SECTIONS + section) >>> 0,
    }));
    if (!values) continue;
    if (entry.format === "q4" && scales) {
      const scale = 1 / Math.sqrt(inner * (CODE_SQUARE + (entry.zero_points ? ZERO_SQUARE : 0)));
      recordCodes(program, values, []);
      recordFloats(program, scales, { format: "f16", center: scale, spread: SCALE_SPREAD * scale });
      if (zeroPoints) recordCodes(program, zeroPoints, ["NARROW"]);
    } else {
      recordFloats(program, values, { format: entry.format, ...distribution(entry, inner) });
    }
  }
}

/** @param {TensorEntry} entry dense @param {number} inner products that make one result @returns {{center: number, spread: number}} */
function distribution(entry, inner) {
  if (entry.kind !== "vector") return { center: 0, spread: 1 / Math.sqrt(inner * SPREAD_SQUARE) };
  return { center: ADDED.test(entry.name) ? 0 : 1, spread: VECTOR_SPREAD };
}

/** @typedef {{range: Required<import("../program.js").Range>, seed: number}} Target */

/** @param {Program} program @param {Target} target @param {string[]} flags */
function recordCodes(program, { range, seed }, flags) {
  const words = range.size / WORD_BYTES;
  program.dispatch({
    variant: { kernel: "random_codes", flags }, uints: [words, seed], bindings: { 1: range },
    workgroups: grid(Math.ceil(words / WORKGROUP)), flops: words * WORD_FLOPS,
  });
}

/** @param {Program} program @param {Target} target @param {{format: string, center: number, spread: number}} values */
function recordFloats(program, { range, seed }, { format, center, spread }) {
  const words = range.size / WORD_BYTES;
  program.dispatch({
    variant: { kernel: "random_floats", flags: format === "f16" ? ["HALVES"] : [] },
    uints: [words, seed], floats: [center, spread], bindings: { 1: range },
    workgroups: grid(Math.ceil(words / WORKGROUP)), flops: words * WORD_FLOPS,
  });
}
