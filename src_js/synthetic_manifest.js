/**
 * The manifest of a model that does not exist: the shapes of a ModelConfig, packed into shards as the packager packs them, so that
 * whatever reads a manifest can run on weights made up in place (engine/synthetic/weights.js). Its digests are no digests of anything.
 */

import { SHARD_BYTES } from "./manifest.js";
import { modelTensors } from "./model_tensors.js";
import { ALIGNMENT_BYTES, partLayout } from "./tensor_layout.js";

/**
 * @typedef {import("./manifest.js").Manifest} Manifest
 * @typedef {import("./manifest.js").ModelConfig} ModelConfig
 * @typedef {import("./manifest.js").Tensor} Tensor
 *
 * @typedef {object} StorageOptions how weights are stored
 * @property {Tensor["format"]} [format] of the blocks' linears; the others are f32 when it is f32, f16 otherwise
 * @property {number} [blockSize] of q4: 16, 32, 64 or 128
 * @property {boolean} [zeroPoints] of q4
 * @property {number[]} [tableSigmas] of the modulation table; none: modulation is computed from its weights
 */

/** Linears that a q4 bundle keeps in 4 bits: those of the text encoder's layers and the transformer's blocks. */
const QUANTISED = /^(model\.layers|transformer_blocks|single_transformer_blocks)\./;
/** Stages that are fetched when a picture needs them. */
const DEFERRED = new Set(["embedding", "modulation"]);
/** A prompt needs some rows of the embedding, so its shards are small. */
const EMBEDDING_SHARD_BYTES = 1024 * 1024;
/** Parts of a linear larger than a shard are whole tiles of so many rows, where one fits. */
const ROW_GRAIN = 128;

/**
 * @param {ModelConfig} config
 * @param {StorageOptions} [options]
 * @returns {Manifest} one that parseManifest accepts
 */
export function syntheticManifest(config, { format = "q4", blockSize = 32, zeroPoints = false, tableSigmas = [] } = {}) {
  /** @type {Tensor["format"]} */
  const dense = format === "f32" ? "f32" : "f16";
  const packing = new Packing();
  for (const [stage, specs] of Object.entries(modelTensors(config, tableSigmas.length))) {
    packing.begin(/** @type {Tensor["stage"]} */ (stage));
    for (const { name, kind, shape } of specs) {
      const q4 = format === "q4" && kind === "linear" && QUANTISED.test(name);
      packing.add({
        name, stage: /** @type {Tensor["stage"]} */ (stage), kind, shape,
        format: q4 ? "q4" : kind === "vector" || kind === "table" ? "f32" : dense, block_size: q4 ? blockSize : 0, zero_points: q4 && zeroPoints,
      });
    }
  }
  const { tensors, shards, stages } = packing;
  return {
    schema: 4, id: "synthetic", name: "Synthetic", revision: "synthetic", notice: {}, examples: [], sizes: [], weights: format, config,
    tokenizer: file(0, "json", 1),
    table_sigmas: tableSigmas, stages, tensors, shards: shards.map((bytes, i) => file(i + 1, "bin", bytes)),
  };
}

/** @param {number} number @param {string} suffix @param {number} bytes @returns {import("./manifest.js").FileRef} */
function file(number, suffix, bytes) {
  const sha256 = number.toString(16).padStart(64, "0");
  return { path: `w/${sha256}.${suffix}`, sha256, bytes, encoding: "", transfer_bytes: bytes };
}

/** Lays tensors into shards in the order in which they come; every stage begins a shard of its own. */
class Packing {
  /** Whether the last shard takes no more. */
  #closed = false;
  /** @type {Tensor[]} */
  tensors = [];
  /** @type {number[]} bytes */
  shards = [];
  /** @type {Manifest["stages"]} */
  stages = [];

  /** @param {Tensor["stage"]} name */
  begin(name) {
    this.stages.push({ name, load: DEFERRED.has(name) ? "needed" : "start", shards: [] });
  }

  /** @param {Omit<Tensor, "parts">} tensor a table gets shards of its own */
  add(tensor) {
    const rows = tensor.shape[0] ?? 1;
    const most = rowsWithin(tensor, rows);
    /** @type {Tensor["parts"]} */
    const parts = [];
    for (let start = 0; start < rows; start += most) {
      const count = Math.min(most, rows - start);
      const length = partLayout(tensor, count).bytes;
      parts.push({ ...this.#append(length), row_start: start, row_count: count, length });
    }
    this.#closed = tensor.kind === "table";
    this.tensors.push({ ...tensor, parts });
  }

  /** @param {number} length bytes @returns {{shard: number, offset: number}} */
  #append(length) {
    const stage = /** @type {Manifest["stages"][number]} */ (this.stages.at(-1));
    const open = stage.shards.at(-1);
    const used = open === undefined ? Infinity : /** @type {number} */ (this.shards[open]);
    if (this.#closed || used + length > shardBytes(stage.name)) {
      this.#closed = false;
      stage.shards.push(this.shards.length);
      this.shards.push(0);
    }
    const shard = this.shards.length - 1;
    const offset = /** @type {number} */ (this.shards[shard]);
    this.shards[shard] = offset + Math.ceil(length / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    return { shard, offset };
  }
}

/** @param {Tensor["stage"]} stage @returns {number} most bytes of one of its shards */
function shardBytes(stage) {
  return stage === "embedding" ? EMBEDDING_SHARD_BYTES : SHARD_BYTES;
}

/** @param {Omit<Tensor, "parts">} tensor @param {number} rows @returns {number} the most of its rows that fit a shard together */
function rowsWithin(tensor, rows) {
  const limit = shardBytes(tensor.stage);
  const fits = (/** @type {number} */ count) => partLayout(tensor, count).bytes <= limit;
  if (fits(rows)) return rows;
  let least = 0;
  let tooMany = rows;
  while (tooMany - least > 1) {
    const middle = Math.floor((least + tooMany) / 2);
    if (fits(middle)) least = middle;
    else tooMany = middle;
  }
  if (least === 0) throw new RangeError(`${tensor.name}: one row is larger than a shard of ${limit} bytes`);
  return tensor.kind === "linear" && least > ROW_GRAIN ? least - (least % ROW_GRAIN) : least;
}
