/**
 * What operators with one kernel each must give, worked out in double precision from the made-up values of engine/synthetic/inputs.js.
 * expected.js does the same for those that have candidates. Matrices are row-major, maps NHWC.
 */

/** @param {Float64Array} values @param {number} i @returns {number} */
const at = (values, i) => /** @type {number} */ (values[i]);
/** @param {number} x */
const silu = (x) => x / (1 + Math.exp(-x));

/** @param {Float64Array} x [rows, columns] @param {Float64Array} weight [columns] @param {number} eps @returns {Float64Array} */
export function rmsNormExpected(x, weight, eps) {
  const columns = weight.length;
  const out = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += columns) {
    const root = Math.sqrt(x.subarray(start, start + columns).reduce((sum, value) => sum + value ** 2, 0) / columns + eps);
    for (let i = 0; i < columns; i++) out[start + i] = (at(x, start + i) / root) * at(weight, i);
  }
  return out;
}

/** @param {Float64Array} x [rows, columns] @param {Float64Array} modulation [2, columns]: shift, scale @param {number} eps @returns {Float64Array} */
export function layerNormExpected(x, modulation, eps) {
  const columns = modulation.length / 2;
  const out = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += columns) {
    const row = x.subarray(start, start + columns);
    const { mean, root } = moments(row, eps);
    for (const [i, value] of row.entries()) out[start + i] = ((value - mean) / root) * (1 + at(modulation, columns + i)) + at(modulation, i);
  }
  return out;
}

/**
 * @param {Float64Array} x [pixels, channels] @param {Float64Array} weight [channels] @param {Float64Array} bias [channels]
 * @param {{groups: number, eps: number}} options
 * @returns {Float64Array} silu of the group norm
 */
export function groupNormExpected(x, weight, bias, { groups, eps }) {
  const channels = weight.length;
  const members = channels / groups;
  const out = new Float64Array(x.length);
  for (let group = 0; group < groups; group++) {
    const inside = (/** @type {number} */ i) => Math.floor((i % channels) / members) === group;
    const { mean, root } = moments(x.filter((_, i) => inside(i)), eps);
    for (const [i, value] of x.entries()) {
      if (inside(i)) out[i] = silu(((value - mean) / root) * at(weight, i % channels) + at(bias, i % channels));
    }
  }
  return out;
}

/** @param {Float64Array} values @param {number} eps @returns {{mean: number, root: number}} root: of the variance */
function moments(values, eps) {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, root: Math.sqrt(variance + eps) };
}

/**
 * @param {Float64Array} x [rows, heads * headDim] @param {readonly Float64Array[]} weights of each head, [headDim]
 * @param {Float64Array} table [rows, headDim]: (cos, sin) pairs
 * @param {{headDim: number, eps: number, layout: "half"|"interleaved"}} options
 * @returns {Float64Array}
 */
export function qkNormRopeExpected(x, weights, table, { headDim, eps, layout }) {
  const out = new Float64Array(x.length);
  for (let start = 0, head = 0; start < x.length; start += headDim, head++) {
    const normed = rmsNormExpected(x.subarray(start, start + headDim), weights[head % weights.length] ?? x, eps);
    const turns = Math.floor(head / weights.length) * headDim;
    for (let i = 0; i < headDim / 2; i++) {
      const [first, second] = layout === "half" ? [i, i + headDim / 2] : [2 * i, 2 * i + 1];
      const [cosine, sine] = [at(table, turns + 2 * i), at(table, turns + 2 * i + 1)];
      const [a, b] = [at(normed, first), at(normed, second)];
      out[start + first] = a * cosine - b * sine;
      out[start + second] = b * cosine + a * sine;
    }
  }
  return out;
}

/** @param {Float64Array} x [rows, 2 * width]: gate, up @param {number} width @returns {Float64Array} [rows, width] */
export function swigluExpected(x, width) {
  return Float64Array.from({ length: x.length / 2 }, (_, i) => {
    const from = Math.floor(i / width) * 2 * width + (i % width);
    return silu(at(x, from)) * at(x, from + width);
  });
}

/** @param {Float64Array} x @param {number} limit @returns {Float64Array} */
export function limitedExpected(x, limit) {
  return x.map((value) => Math.max(-limit, Math.min(limit, value)));
}

/**
 * @param {Float64Array} tokens [width * height, channels * patch^2] @param {Float64Array} scale @param {Float64Array} mean
 * @param {{width: number, height: number, channels: number, patch: number}} size width and height in tokens
 * @returns {Float64Array} [height * patch, width * patch, channels]
 */
export function unpackedExpected(tokens, scale, mean, { width, height, channels, patch }) {
  const out = new Float64Array(tokens.length);
  let to = 0;
  for (let y = 0; y < height * patch; y++) {
    for (let x = 0; x < width * patch; x++) {
      const token = Math.floor(y / patch) * width + Math.floor(x / patch);
      for (let c = 0; c < channels; c++) {
        const packed = (c * patch + (y % patch)) * patch + (x % patch);
        out[to++] = at(tokens, token * scale.length + packed) * at(scale, packed) + at(mean, packed);
      }
    }
  }
  return out;
}

/**
 * @param {Float64Array} x [width * height, channels * patch^2]: after a step @param {Float64Array} before likewise, before it
 * @param {{ahead: number, scale: Float64Array, mean: Float64Array}} options ahead: steps like this one beyond x
 * @param {{width: number, height: number, channels: number, patch: number}} size width and height in tokens
 * @param {{width: number, height: number}} small
 * @returns {Float64Array} [height, width, channels] of the small map: means of what x tends to
 */
export function previewExpected(x, before, { ahead, scale, mean }, size, small) {
  const { channels, patch } = size;
  const [width, height] = [size.width * patch, size.height * patch];
  const whole = unpackedExpected(x.map((value, i) => value + ahead * (value - at(before, i))), scale, mean, size);
  const out = new Float64Array(small.width * small.height * channels);
  /** @param {number} i @param {number} parts @param {number} length @returns {number[]} */
  const range = (i, parts, length) => {
    const begin = Math.floor((i * length) / parts);
    return Array.from({ length: Math.ceil(((i + 1) * length) / parts) - begin }, (_, k) => begin + k);
  };
  for (let i = 0; i < out.length; i++) {
    const pixel = Math.floor(i / channels);
    const rows = range(Math.floor(pixel / small.width), small.height, height);
    const columns = range(pixel % small.width, small.width, width);
    let sum = 0;
    for (const row of rows) for (const column of columns) sum += at(whole, (row * width + column) * channels + (i % channels));
    out[i] = sum / (rows.length * columns.length);
  }
  return out;
}

/** @param {Float64Array} x [pixels, 3] @returns {Uint8Array} [pixels, 4]; halves go to the even level */
export function rgbaExpected(x) {
  return Uint8Array.from({ length: (x.length / 3) * 4 }, (_, i) => {
    if (i % 4 === 3) return 255;
    const level = Math.min(1, Math.max(0, at(x, Math.floor(i / 4) * 3 + (i % 4)) / 2 + 0.5)) * 255;
    const below = Math.floor(level);
    return level - below === 0.5 ? below + (below % 2) : Math.round(level);
  });
}
