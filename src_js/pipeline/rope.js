/**
 * Rotary position tables as float32 (cos, sin) pairs, [positions, headDim]: row p holds the pair for each of its
 * headDim / 2 angles. The two models round differently, so each has its own function.
 */

const f32 = Math.fround;

/**
 * Qwen3: angle = position * theta^(-2i / headDim), all in float32 (transformers, Qwen3RotaryEmbedding).
 * @param {number} positions @param {number} headDim @param {number} theta
 * @returns {Float32Array<ArrayBuffer>}
 */
export function textRope(positions, headDim, theta) {
  const half = headDim / 2;
  const inverse = Float32Array.from({ length: half }, (_, i) => 1 / f32(f32(theta) ** f32((2 * i) / headDim)));
  const table = new Float32Array(positions * headDim);
  for (let p = 0; p < positions; p++) {
    for (let i = 0; i < half; i++) {
      const angle = f32(p * /** @type {number} */ (inverse[i]));
      table[p * headDim + 2 * i] = Math.cos(angle);
      table[p * headDim + 2 * i + 1] = Math.sin(angle);
    }
  }
  return table;
}

/**
 * Flux2: each axis of a position gives axes[a] / 2 angles p * theta^(-2i / axes[a]), in float64 (diffusers, Flux2PosEmbed).
 * @param {ArrayLike<number>} ids [tokens, axes.length], row by row
 * @param {readonly number[]} axes sizes, together the head dimension
 * @param {number} theta
 * @returns {Float32Array<ArrayBuffer>} [tokens, headDim]
 */
export function axesRope(ids, axes, theta) {
  const headDim = axes.reduce((a, b) => a + b, 0);
  const tokens = ids.length / axes.length;
  const table = new Float32Array(tokens * headDim);
  let start = 0;
  for (const [axis, size] of axes.entries()) {
    /** Each position's pairs once: rows and columns repeat. @type {Map<number, Float32Array>} */
    const known = new Map();
    for (let token = 0; token < tokens; token++) {
      const position = /** @type {number} */ (ids[token * axes.length + axis]);
      let pairs = known.get(position);
      if (!pairs) known.set(position, pairs = axisPairs(position, size, theta));
      table.set(pairs, token * headDim + start);
    }
    start += size;
  }
  return table;
}

/** @param {number} position @param {number} size of its axis @param {number} theta @returns {Float32Array} [size] */
function axisPairs(position, size, theta) {
  const pairs = new Float32Array(size);
  for (let i = 0; i < size; i += 2) {
    const angle = position / theta ** (i / size);
    pairs[i] = Math.cos(angle);
    pairs[i + 1] = Math.sin(angle);
  }
  return pairs;
}

/**
 * Positions (t, row, column, l) of the joint sequence: text tokens (0, 0, 0, l), then the picture's (0, row, column, 0).
 * @param {number} textTokens @param {number} height in tokens @param {number} width in tokens
 * @returns {Float64Array} [textTokens + height * width, 4]
 */
export function jointPositions(textTokens, height, width) {
  const ids = new Float64Array((textTokens + height * width) * 4);
  for (let l = 0; l < textTokens; l++) ids[l * 4 + 3] = l;
  for (let token = 0; token < height * width; token++) {
    ids[(textTokens + token) * 4 + 1] = Math.floor(token / width);
    ids[(textTokens + token) * 4 + 2] = token % width;
  }
  return ids;
}
