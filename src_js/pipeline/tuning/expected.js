/**
 * What the tuner's smallest probes must give, worked out in double precision from the same made-up values (engine/synthetic/inputs.js).
 */

import { randomValues } from "../../engine/synthetic/inputs.js";

/** @param {Float64Array} values @param {number} i @returns {number} */
const at = (values, i) => /** @type {number} */ (values[i]);

/**
 * @param {number} rows @param {number} columns @param {number} inner @param {number} value of every weight
 * @returns {Float64Array} [rows, columns]
 */
export function linearExpected(rows, columns, inner, value) {
  const a = randomValues(rows * inner);
  const out = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let i = 0; i < inner; i++) sum += at(a, row * inner + i);
    out.fill(sum * value, row * columns, (row + 1) * columns);
  }
  return out;
}

/**
 * @param {{width: number, height: number, channels: number, columns: number, kernel: number, upsample: boolean}} size of the map that
 *   goes in
 * @param {number} value of every weight
 * @returns {Float64Array} [pixels, columns] of the map that comes out
 */
export function convExpected({ width, height, channels, columns, kernel, upsample }, value) {
  const input = randomValues(width * height * channels);
  const bias = randomValues(columns, 1);
  const scale = upsample ? 2 : 1;
  const reach = (kernel - 1) / 2;
  const sums = Float64Array.from({ length: width * height }, (_, i) => (
    input.subarray(i * channels, (i + 1) * channels).reduce((a, b) => a + b)));
  const pixel = (/** @type {number} */ x, /** @type {number} */ y) => (
    x < 0 || y < 0 || x >= width * scale || y >= height * scale ? 0 : at(sums, Math.floor(y / scale) * width + Math.floor(x / scale)));
  const out = new Float64Array(width * height * scale ** 2 * columns);
  for (let y = 0; y < height * scale; y++) {
    for (let x = 0; x < width * scale; x++) {
      let sum = 0;
      for (let dy = -reach; dy <= reach; dy++) {
        for (let dx = -reach; dx <= reach; dx++) sum += pixel(x + dx, y + dy);
      }
      for (let c = 0; c < columns; c++) out[(y * width * scale + x) * columns + c] = sum * value + at(bias, c);
    }
  }
  return out;
}

/**
 * @param {Pick<import("./shapes.js").AttentionShape, "queries"|"keys"|"heads"|"kvHeads"|"headDim"|"causal">} shape
 * @returns {Float64Array} [queries, heads * headDim]
 */
export function attentionExpected({ queries, keys, heads, kvHeads, headDim, causal }) {
  const q = randomValues(queries * heads * headDim, 0);
  const k = randomValues(keys * kvHeads * headDim, 1);
  const v = randomValues(keys * kvHeads * headDim, 2);
  const out = new Float64Array(queries * heads * headDim);
  for (let head = 0; head < heads; head++) {
    const kvHead = Math.floor((head * kvHeads) / heads);
    for (let i = 0; i < queries; i++) {
      const query = (i * heads + head) * headDim;
      const scores = Array.from({ length: causal ? Math.min(keys, i + 1) : keys }, (_, j) => {
        let score = 0;
        for (let d = 0; d < headDim; d++) score += at(q, query + d) * at(k, (j * kvHeads + kvHead) * headDim + d);
        return score / Math.sqrt(headDim);
      });
      const highest = Math.max(...scores);
      const total = scores.reduce((sum, score) => sum + Math.exp(score - highest), 0);
      for (const [j, score] of scores.entries()) {
        const weight = Math.exp(score - highest) / total;
        for (let d = 0; d < headDim; d++) out[query + d] = at(out, query + d) + weight * at(v, (j * kvHeads + kvHead) * headDim + d);
      }
    }
  }
  return out;
}
