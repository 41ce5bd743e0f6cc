/**
 * Modulation from the manifest's table instead of from its weights: a row for each timestep of the preset sizes. Whether a picture can
 * do with the table is told by its sigmas, which must be the table's bit for bit; one that cannot computes all its rows (stage
 * "modulation").
 */

import { KleinbildError } from "../errors.js";

/** @typedef {import("../manifest.js").Manifest} Manifest */

/**
 * @param {Manifest} manifest
 * @param {Float32Array} sigmas of every step
 * @returns {number[] | undefined} the table's row of each; undefined when one is not there
 */
export function tableRows({ table_sigmas: known }, sigmas) {
  const rows = Array.from(sigmas, (sigma) => known.indexOf(sigma));
  return rows.includes(-1) ? undefined : rows;
}

/**
 * @param {Manifest} manifest
 * @param {import("../engine/weights.js").ReadShard} readShard
 * @param {readonly number[]} rows that tableRows gave
 * @returns {Promise<Float32Array<ArrayBuffer>>} [rows.length, modulationColumns]
 */
export async function readTable(manifest, readShard, rows) {
  const table = manifest.tensors.find(({ kind }) => kind === "table");
  const columns = table?.shape[1] ?? 0;
  const result = new Float32Array(rows.length * columns);
  for (const [i, row] of rows.entries()) {
    const part = table?.parts.find(({ row_start: start, row_count: count }) => row >= start && row < start + count);
    const shard = part && manifest.shards[part.shard];
    if (!part || !shard) throw new KleinbildError("bad-manifest", `The modulation table has no row ${row}; package the model again.`);
    const target = new Uint8Array(result.buffer, i * columns * 4, columns * 4);
    await readShard(shard.sha256, part.offset + (row - part.row_start) * columns * 4, target);
  }
  return result;
}
