/**
 * What linear.js, conv2d.js and attention.js share: how a weight is bound, and how rows are cut into dispatches.
 */

/**
 * @typedef {import("../program.js").Program} Program
 * @typedef {import("../weights.js").Weight} Weight
 * @typedef {import("../weights.js").WeightPart} WeightPart
 */

/** @param {Weight} weight How linear_weights.wgsl must read it. */
export function weightAccess(weight) {
  const flags = [`W_${weight.format.toUpperCase()}`];
  const q4 = weight.format === "q4";
  const zeros = q4 && weight.parts[0]?.zeroPoints !== undefined;
  if (zeros) flags.push("ZERO_POINTS");
  /** @type {Record<string, number>} */
  const constants = q4 ? { BLOCK: weight.blockSize } : {};
  const bindings = (/** @type {WeightPart} */ part) => ({ 3: part.values, 4: part.scales, 5: part.zeroPoints });
  return { flags, constants, bindings };
}

/**
 * Cuts rows so that no dispatch exceeds the engine's limit: a submit cannot be cut inside a dispatch.
 *
 * @param {Program} program
 * @param {number} rows
 * @param {number} flopsPerRow
 * @param {number} tile rows are cut at multiples of this
 * @returns {[number, number][]} begin and end of each slice
 */
export function rowSlices(program, rows, flopsPerRow, tile) {
  const most = Math.max(1, Math.floor(program.engine.maxDispatchFlops / (flopsPerRow * tile))) * tile;
  const slices = Math.ceil(rows / most);
  const size = Math.ceil(rows / slices / tile) * tile;
  /** @type {[number, number][]} */
  const result = [];
  for (let begin = 0; begin < rows; begin += size) result.push([begin, Math.min(rows, begin + size)]);
  return result;
}
