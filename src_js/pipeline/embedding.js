/**
 * Token embeddings read row by row from the store: the table (up to 0.8 GB) is never loaded, a prompt needs at most
 * text_seq_len rows of it, and all pads are one row. It lies in many small shards, of which only those that hold a prompt's rows
 * need be here.
 */

import { floatFromHalf } from "../engine/half.js";
import { KleinbildError } from "../errors.js";

/**
 * @typedef {import("../manifest.js").Manifest} Manifest
 * @typedef {import("../manifest.js").Shard} Shard
 * @typedef {import("../manifest.js").Tensor} TensorEntry
 */

/** @param {Manifest} manifest @returns {TensorEntry} */
function tableOf({ tensors }) {
  const table = tensors.find(({ kind }) => kind === "embedding");
  if (!table) throw new KleinbildError("bad-manifest", "The manifest has no embedding table; package the model again.");
  return table;
}

/**
 * @param {Manifest} manifest
 * @param {TensorEntry} table
 * @param {number} id
 * @returns {{shard: Shard, offset: number, bytes: number}} where its row lies
 */
function findRow({ shards }, table, id) {
  const bytes = (table.shape[1] ?? 0) * (table.format === "f16" ? 2 : 4);
  const part = table.parts.find(({ row_start: start, row_count: count }) => id >= start && id < start + count);
  const shard = part && shards[part.shard];
  if (!part || !shard) throw new KleinbildError("bad-manifest", `Token ${id} has no embedding; the tokenizer does not fit the model.`);
  return { shard, offset: part.offset + (id - part.row_start) * bytes, bytes };
}

/** @param {Manifest} manifest @param {Int32Array} ids @returns {Shard[]} that hold their rows, each once */
export function embeddingShards(manifest, ids) {
  const table = tableOf(manifest);
  return [...new Set([...new Set(ids)].map((id) => findRow(manifest, table, id).shard))];
}

/**
 * @param {Manifest} manifest
 * @param {import("../engine/weights.js").ReadShard} readShard
 * @param {Int32Array} ids
 * @returns {Promise<Float32Array<ArrayBuffer>>} [ids.length, hidden]
 */
export async function embedTokens(manifest, readShard, ids) {
  const table = tableOf(manifest);
  const hidden = table.shape[1] ?? 0;
  const result = new Float32Array(ids.length * hidden);
  /** @type {Map<number, number>} first position of each id */
  const seen = new Map();
  for (const [position, id] of ids.entries()) {
    const before = seen.get(id);
    if (before !== undefined) {
      result.copyWithin(position * hidden, before * hidden, (before + 1) * hidden);
      continue;
    }
    seen.set(id, position);
    const { shard, offset, bytes } = findRow(manifest, table, id);
    const raw = new Uint8Array(bytes);
    await readShard(shard.sha256, offset, raw);
    const row = table.format === "f16"
      ? Float32Array.from(new Uint16Array(raw.buffer), floatFromHalf)
      : new Float32Array(raw.buffer);
    result.set(row, position * hidden);
  }
  return result;
}
