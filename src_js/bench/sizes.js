/**
 * Which pictures are measured.
 */

const USUAL = Object.freeze({ klein4b: [256, 512, 768, 1024], small: [64, 128] });
const QUICK = Object.freeze({ klein4b: [512], small: [64] });

/**
 * @param {import("../bench_protocol.js").BenchOptions} options checked
 * @param {"klein4b"|"small"} model the one that is used
 * @returns {number[]} sides in pixels, ascending
 */
export function usedSizes({ sizes, quick }, model) {
  if (sizes.length > 0) return sizes;
  return [...(quick ? QUICK : USUAL)[model]];
}
