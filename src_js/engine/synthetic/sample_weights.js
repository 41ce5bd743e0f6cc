/**
 * One weight made up on the GPU as a manifest describes it, for kernels that are compared and timed without a model.
 */

import { partLayout } from "../../tensor_layout.js";
import { fillStage } from "./weights.js";
import { place } from "../weights.js";

/**
 * @typedef {import("../engine.js").Engine} Engine
 * @typedef {import("../../manifest.js").Manifest} Manifest
 * @typedef {import("../../manifest.js").Tensor} TensorEntry
 * @typedef {import("../weights.js").Weight} Weight
 * @typedef {{weight: Weight, destroy: () => void}} SampleWeight destroy gives its memory back
 */

const SHARD_GRAIN = 256;
/** Fill patterns of `constantWeight`: f16 and f32 of 0.5, code 11, zero point 5. */
const HALF_WORD = 0x38003800;
const FLOAT_WORD = 0x3f000000;
const CODE_WORD = 0xbbbbbbbb;
const ZERO_WORD = 0x55555555;

/**
 * @param {Engine} engine
 * @param {Manifest} manifest
 * @param {TensorEntry} entry one of its tensors
 * @param {number} [seed]
 * @returns {Promise<SampleWeight>} random, of the tensor's shape, format and parts
 */
export async function randomWeight(engine, manifest, entry, seed = 0) {
  const alone = { ...entry, parts: entry.parts.map((part, shard) => ({ ...part, shard, offset: 0 })) };
  const shards = alone.parts.map(({ row_count: rows }, i) => (
    sampleShard(`sample/${i}`, shardBytes(partLayout(entry, rows).bytes))));
  const stages = [{ name: entry.stage, load: /** @type {const} */ ("start"), shards: shards.map((_, i) => i) }];
  const weights = await fillStage(engine, { ...manifest, tensors: [alone], shards, stages }, entry.stage, seed);
  return { weight: weights.get(entry.name), destroy: () => weights.destroy() };
}

/**
 * @param {Engine} engine
 * @param {Omit<TensorEntry, "parts">} tensor its parts are one
 * @returns {SampleWeight & {value: number}} every element is worth `value`
 */
export function constantWeight(engine, tensor) {
  const rows = tensor.shape[0] ?? 1;
  const { sections, bytes } = partLayout(tensor, rows);
  const q4 = tensor.format === "q4";
  const words = new Uint32Array(shardBytes(bytes) / 4);
  const patterns = q4 ? [CODE_WORD, HALF_WORD, ZERO_WORD] : [tensor.format === "f16" ? HALF_WORD : FLOAT_WORD];
  for (const [i, { offset }] of sections.entries()) words.fill(patterns[i] ?? 0, offset / 4);
  const buffer = engine.memory.create(words.byteLength, { label: "constant weight" });
  engine.device.queue.writeBuffer(buffer, 0, words);
  const part = { shard: 0, row_start: 0, row_count: rows, offset: 0, length: bytes };
  const weight = place({ ...tensor, parts: [part] }, new Map([[0, buffer]]));
  const value = q4 ? (11 - (tensor.zero_points ? 5 : 8)) * 0.5 : 0.5;
  return { weight, value, destroy: () => engine.memory.destroy(buffer) };
}

/** @param {string} path @param {number} bytes @returns {import("../../manifest.js").Shard} */
function sampleShard(path, bytes) {
  return { path, sha256: "", bytes, encoding: "", transfer_bytes: bytes };
}

/** @param {number} bytes */
function shardBytes(bytes) {
  return Math.ceil(bytes / SHARD_GRAIN) * SHARD_GRAIN;
}
