/**
 * Token embeddings read row by row from the store: the table (up to 0.8 GB) is never loaded, a prompt needs at most
 * text_seq_len rows of it, and all pads are one row.
 */

import { floatFromHalf } from "../engine/half.js";
import { KleinbildError } from "../errors.js";

/**
 * @param {import("../manifest.js").Manifest} manifest
 * @param {import("../engine/weights.js").ReadShard} readShard
 * @param {Int32Array} ids
 * @returns {Promise<Float32Array<ArrayBuffer>>} [ids.length, hidden]
 */
export async function embedTokens(manifest, readShard, ids) {
  const table = manifest.tensors.find((tensor) => tensor.kind === "embedding");
  if (!table) throw new KleinbildError("bad-manifest", "The manifest has no embedding table; package the model again.");
  const hidden = table.shape[1] ?? 0;
  const bytes = hidden * (table.format === "f16" ? 2 : 4);
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
    const part = table.parts.find((p) => id >= p.row_start && id < p.row_start + p.row_count);
    const shard = part && manifest.shards[part.shard];
    if (!part || !shard) throw new KleinbildError("bad-manifest", `Token ${id} has no embedding; the tokenizer does not fit the model.`);
    const raw = new Uint8Array(bytes);
    await readShard(shard.sha256, part.offset + (id - part.row_start) * bytes, raw);
    const row = table.format === "f16"
      ? Float32Array.from(new Uint16Array(raw.buffer), floatFromHalf)
      : new Float32Array(raw.buffer);
    result.set(row, position * hidden);
  }
  return result;
}
