/**
 * What every kernel should compute, in float64 and in the plainest loops: nothing here is shared with src_js.
 *
 * Matrices are flat and row-major, [rows, columns]; feature maps are NHWC. Inputs are the values the GPU really gets (already
 * rounded with `rounded`), so what is left between reference and kernel is the kernel's own rounding.
 */

import assert from "node:assert/strict";

/** @typedef {"f32"|"f16"} FloatType */
/** @typedef {ArrayLike<number>} Values */

/** Largest finite half. */
export const HALF_MAX = 65504;

/** @param {Values} values @param {number} i @returns {number} */
export function at(values, i) {
  const value = values[i];
  if (value === undefined) throw new RangeError(`element ${i} of ${values.length}`);
  return value;
}

/** @param {number} value @returns {number} the nearest half, ties to even, overflow to infinity */
export function nearestHalf(value) {
  const magnitude = Math.abs(value);
  if (!(magnitude > 0) || magnitude === Infinity) return value;
  // spacing of halves around `value`: 2^(exponent - 10), subnormals share 2^-24
  const unit = 2 ** (Math.max(-14, Math.floor(Math.log2(magnitude))) - 10);
  const steps = magnitude / unit;
  let whole = Math.floor(steps);
  if (steps - whole > 0.5 || (steps - whole === 0.5 && whole % 2 === 1)) whole++;
  const nearest = whole * unit;
  return Math.sign(value) * (nearest > HALF_MAX ? Infinity : nearest);
}

/** @param {number} value a half's exact value @returns {number} its 16 bits */
export function halfBits(value) {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (magnitude === Infinity) return sign | 0x7c00;
  if (magnitude < 2 ** -14) return sign | (magnitude * 2 ** 24);
  const exponent = Math.floor(Math.log2(magnitude));
  return sign | ((exponent + 15) << 10) | (magnitude * 2 ** (10 - exponent) - 1024);
}

/** @param {Values} values @param {FloatType} dtype @returns {Float64Array} `values` as `dtype` holds them */
export function rounded(values, dtype) {
  return Float64Array.from(values, dtype === "f16" ? nearestHalf : Math.fround);
}

/** @param {number} x */
export const silu = (x) => x / (1 + Math.exp(-x));

/**
 * @param {Values} a [m, k] @param {Values} w [n, k] @param {{m: number, n: number, k: number}} size
 * @returns {Float64Array} a w^T, [m, n]
 */
export function matmul(a, w, { m, n, k }) {
  const out = new Float64Array(m * n);
  for (let row = 0; row < m; row++) {
    for (let column = 0; column < n; column++) {
      let sum = 0;
      for (let i = 0; i < k; i++) sum += at(a, row * k + i) * at(w, column * k + i);
      out[row * n + column] = sum;
    }
  }
  return out;
}

/**
 * Stride 1, zero padding that keeps the size, kernel 1 or 3.
 * @param {Values} input [height, width, channels] @param {Values} weight [columns, channels, kernel, kernel] (the canonical order)
 * @param {{height: number, width: number, channels: number, columns: number, kernel: number}} size
 * @returns {Float64Array} [height, width, columns]
 */
export function convolution(input, weight, { height, width, channels, columns, kernel }) {
  const out = new Float64Array(height * width * columns);
  const reach = (kernel - 1) / 2;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let o = 0; o < columns; o++) {
        let sum = 0;
        for (let dy = -reach; dy <= reach; dy++) {
          for (let dx = -reach; dx <= reach; dx++) {
            if (y + dy < 0 || y + dy >= height || x + dx < 0 || x + dx >= width) continue;
            for (let c = 0; c < channels; c++) {
              const tap = ((o * channels + c) * kernel + dy + reach) * kernel + dx + reach;
              sum += at(input, ((y + dy) * width + x + dx) * channels + c) * at(weight, tap);
            }
          }
        }
        out[(y * width + x) * columns + o] = sum;
      }
    }
  }
  return out;
}

/** @param {Values} input [height, width, channels] @param {number} height @param {number} width @param {number} channels */
export function doubled(input, height, width, channels) {
  const out = new Float64Array(input.length * 4);
  let to = 0;
  for (let y = 0; y < 2 * height; y++) {
    for (let x = 0; x < 2 * width; x++) {
      for (let c = 0; c < channels; c++) out[to++] = at(input, ((y >> 1) * width + (x >> 1)) * channels + c);
    }
  }
  return out;
}

/**
 * @param {Values} q [queries, heads * headDim] @param {Values} k [keys, kvHeads * headDim] @param {Values} v like k
 * @param {{queries: number, keys: number, heads: number, kvHeads: number, headDim: number, causal: boolean}} size
 * @returns {Float64Array} softmax(q k^T / sqrt(headDim)) v, [queries, heads * headDim]
 */
export function attend(q, k, v, { queries, keys, heads, kvHeads, headDim, causal }) {
  const out = new Float64Array(queries * heads * headDim);
  for (let head = 0; head < heads; head++) {
    const kvHead = Math.floor(head / (heads / kvHeads));
    for (let i = 0; i < queries; i++) {
      const seen = causal ? Math.min(keys, i + 1) : keys;
      const scores = Array.from({ length: seen }, (_, j) => {
        let dot = 0;
        for (let d = 0; d < headDim; d++) {
          dot += at(q, (i * heads + head) * headDim + d) * at(k, (j * kvHeads + kvHead) * headDim + d);
        }
        return dot / Math.sqrt(headDim);
      });
      const top = scores.reduce((a, b) => Math.max(a, b));
      const weights = scores.map((score) => Math.exp(score - top));
      const total = weights.reduce((a, b) => a + b);
      for (let d = 0; d < headDim; d++) {
        let sum = 0;
        for (let j = 0; j < seen; j++) sum += at(weights, j) * at(v, (j * kvHeads + kvHead) * headDim + d);
        out[(i * heads + head) * headDim + d] = sum / total;
      }
    }
  }
  return out;
}

/** @param {Values} x [rows, columns] @param {Values} weight [columns] @param {number} eps @returns {Float64Array} */
export function rms(x, weight, eps) {
  const columns = weight.length;
  const out = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += columns) {
    let squares = 0;
    for (let i = 0; i < columns; i++) squares += at(x, start + i) ** 2;
    const root = Math.sqrt(squares / columns + eps);
    for (let i = 0; i < columns; i++) out[start + i] = (at(x, start + i) / root) * at(weight, i);
  }
  return out;
}

/**
 * Rotary embedding of heads that stand side by side.
 * @param {Values} x [rows, heads * headDim]
 * @param {Values} angles [rows, headDim / 2]
 * @param {{headDim: number, heads: number, layout: "half"|"interleaved"}} options
 * @returns {Float64Array}
 */
export function rotate(x, angles, { headDim, heads, layout }) {
  const out = new Float64Array(x.length);
  for (let row = 0; row < x.length / (heads * headDim); row++) {
    for (let head = 0; head < heads; head++) {
      const start = (row * heads + head) * headDim;
      for (let i = 0; i < headDim / 2; i++) {
        const [first, second] = layout === "half" ? [i, i + headDim / 2] : [2 * i, 2 * i + 1];
        const angle = at(angles, row * (headDim / 2) + i);
        const [a, b] = [at(x, start + first), at(x, start + second)];
        out[start + first] = a * Math.cos(angle) - b * Math.sin(angle);
        out[start + second] = b * Math.cos(angle) + a * Math.sin(angle);
      }
    }
  }
  return out;
}

/** @param {Values} x [rows, columns] @param {Values} shift [columns] @param {Values} scale [columns] @param {number} eps */
export function modulatedNorm(x, shift, scale, eps) {
  const columns = shift.length;
  const out = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += columns) {
    const row = Array.from({ length: columns }, (_, i) => at(x, start + i));
    const mean = row.reduce((a, b) => a + b) / columns;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / columns;
    for (const [i, value] of row.entries()) {
      out[start + i] = ((value - mean) / Math.sqrt(variance + eps)) * (1 + at(scale, i)) + at(shift, i);
    }
  }
  return out;
}

/**
 * @param {Values} x [pixels, channels] @param {Values} weight [channels] @param {Values} bias [channels]
 * @param {{groups: number, eps: number}} options
 * @returns {Float64Array}
 */
export function groupNormed(x, weight, bias, { groups, eps }) {
  const channels = weight.length;
  const members = channels / groups;
  const out = new Float64Array(x.length);
  for (let group = 0; group < groups; group++) {
    const places = Array.from({ length: (x.length / channels) * members }, (_, i) =>
      Math.floor(i / members) * channels + group * members + (i % members));
    const mean = places.reduce((sum, place) => sum + at(x, place), 0) / places.length;
    const variance = places.reduce((sum, place) => sum + (at(x, place) - mean) ** 2, 0) / places.length;
    for (const place of places) {
      const channel = place % channels;
      out[place] = ((at(x, place) - mean) / Math.sqrt(variance + eps)) * at(weight, channel) + at(bias, channel);
    }
  }
  return out;
}

/**
 * @param {Values} actual
 * @param {Values} expected
 * @param {{rms: number, most?: number, dtype?: FloatType}} tolerance rms: of the error, relative to the rms of `expected`; most: of
 *   any one value, relative to the same, six times as much unless given (rounding errors have short tails); dtype: what the
 *   result was rounded to: f16 grants each value its own rounding (2^-11 of it, or half the smallest half) before errors count
 * @param {string} what
 * @returns {void}
 */
export function assertClose(actual, expected, { rms: tolerance, most = 6 * tolerance, dtype = "f32" }, what) {
  assert.equal(actual.length, expected.length, `${what}: length`);
  let errors = 0;
  let squares = 0;
  let worst = 0;
  let place = 0;
  for (let i = 0; i < expected.length; i++) {
    const granted = dtype === "f16" ? Math.max(Math.abs(at(expected, i)) * 2 ** -11, 2 ** -25) : 0;
    const error = Math.max(0, Math.abs(at(actual, i) - at(expected, i)) - granted);
    if (!Number.isFinite(error)) assert.fail(`${what}: element ${i} is ${at(actual, i)}, not ${at(expected, i)}`);
    if (error > worst) [worst, place] = [error, i];
    errors += error ** 2;
    squares += at(expected, i) ** 2;
  }
  const scale = Math.sqrt(squares / expected.length) || 1;
  const relative = Math.sqrt(errors / expected.length) / scale;
  const told = `${what}: rms error ${relative.toExponential(2)}, worst ${(worst / scale).toExponential(2)} at ${place}`
    + ` (${at(actual, place)}, not ${at(expected, place)}), tolerance ${tolerance}`;
  if (process.env["TEST_ERRORS"]) console.log(told);
  assert.ok(relative <= tolerance && worst / scale <= most, told);
}
