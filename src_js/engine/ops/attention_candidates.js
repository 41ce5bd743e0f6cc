/**
 * The kernels that attention can be computed with: attention.wgsl, small and for every device, and attention_tile.wgsl in several tiles.
 */

import { usable } from "../candidates.js";

/**
 * @typedef {import("../candidates.js").Candidate} Candidate
 * @typedef {import("../device.js").DeviceInfo} DeviceInfo
 * @typedef {import("../kernel_source.js").FloatType} FloatType
 * @typedef {Candidate & {queries: number}} AttentionCandidate queries of a workgroup
 */

/**
 * @typedef {object} Tile as attention_tile.wgsl describes it; powers of two but `rows`
 * @property {number} lanes invocations that share a query
 * @property {number} teams as many as a step has words, or a multiple
 * @property {number} rows queries of an invocation
 * @property {number} stepWords words of 16 bytes of a row of Q and K that lie in workgroup memory at a time, at most `lanes`
 * @property {number} valueKeys keys of V that do, at most 4 * lanes
 * @property {number} valueFours and its fours of columns, in multiples of `lanes`
 */

const WORD_BYTES = 16;
const KEYS_PER_LANE = 4;
/** Words of f16 whose products are summed before they are folded into f32: 32 products in each half of a pair. */
const FOLD_WORDS = 8;
/** Numbers of O that an invocation keeps in registers. */
const MOST_SUMS = 64;

/** @type {AttentionCandidate} */
const SMALL = Object.freeze({ name: "32x32", family: "plain", kernel: "attention", constants: {}, flags: [], queries: 32 });

/** For heads of up to 128 columns, and of more. @type {Record<FloatType, {narrow: readonly Tile[], wide: readonly Tile[]}>} */
const TILES = {
  f16: {
    narrow: [
      { lanes: 16, teams: 8, rows: 4, stepWords: 4, valueKeys: 32, valueFours: 1 },
      { lanes: 16, teams: 8, rows: 4, stepWords: 8, valueKeys: 64, valueFours: 1 },
      { lanes: 8, teams: 16, rows: 4, stepWords: 8, valueKeys: 32, valueFours: 4 },
      { lanes: 16, teams: 8, rows: 6, stepWords: 8, valueKeys: 32, valueFours: 2 },
      { lanes: 16, teams: 16, rows: 6, stepWords: 8, valueKeys: 64, valueFours: 1 },
      { lanes: 16, teams: 16, rows: 4, stepWords: 16, valueKeys: 64, valueFours: 2 },
    ],
    wide: [
      { lanes: 16, teams: 16, rows: 2, stepWords: 8, valueKeys: 32, valueFours: 2 },
      { lanes: 16, teams: 16, rows: 2, stepWords: 16, valueKeys: 32, valueFours: 4 },
    ],
  },
  f32: {
    narrow: [
      { lanes: 8, teams: 16, rows: 4, stepWords: 8, valueKeys: 16, valueFours: 2 },
      { lanes: 16, teams: 16, rows: 4, stepWords: 8, valueKeys: 16, valueFours: 2 },
    ],
    wide: [{ lanes: 16, teams: 16, rows: 2, stepWords: 8, valueKeys: 32, valueFours: 1 }],
  },
};
const NARROW_HEAD = 128;

/**
 * @param {number} headDim a multiple of 8
 * @param {FloatType} float
 * @param {DeviceInfo} info
 * @returns {AttentionCandidate[]} that the device can run, the plainest first
 */
export function attentionCandidates(headDim, float, info) {
  const tiles = TILES[float][headDim <= NARROW_HEAD ? "narrow" : "wide"].filter((tile) => sums(tile, headDim) <= MOST_SUMS);
  const joined = info.features.includes("subgroups") ? tiles.filter(({ lanes }) => info.subgroupSizes[0] >= lanes) : [];
  return usable([
    SMALL,
    ...tiles.map((tile) => tiled(tile, headDim, float, false)),
    ...joined.map((tile) => tiled(tile, headDim, float, true)),
  ], info, float);
}

/** @param {Tile} tile @param {number} headDim @returns {number} groups of columns in which an invocation makes O */
const groups = ({ lanes, valueFours }, headDim) => Math.ceil(headDim / (4 * lanes * valueFours));

/** @param {Tile} tile @param {number} headDim @returns {number} numbers of O that an invocation makes */
const sums = (tile, headDim) => tile.rows * groups(tile, headDim) * tile.valueFours * 4;

/** @param {Tile} tile @param {number} headDim @param {FloatType} float @param {boolean} subgroups @returns {AttentionCandidate} */
function tiled(tile, headDim, float, subgroups) {
  const { lanes, teams, rows, stepWords, valueKeys, valueFours } = tile;
  const [queries, keys, invocations] = [teams * rows, lanes * KEYS_PER_LANE, lanes * teams];
  const valueWords = ((valueKeys * valueFours * lanes) / WORD_BYTES) * 4 * (float === "f16" ? 2 : 4);
  const weightWords = (queries * keys * (float === "f16" ? 2 : 4)) / WORD_BYTES;
  return {
    name: `${queries}x${keys}-${invocations}-${stepWords}${subgroups ? "-subgroups" : ""}`,
    family: "plain", kernel: "attention_tile", flags: subgroups ? ["SUBGROUPS"] : [], queries,
    constants: {
      LANES: lanes, LOG_LANES: Math.log2(lanes), TEAMS: teams, ROWS: rows,
      STEP_WORDS: stepWords, FOLD_WORDS: Math.min(FOLD_WORDS, stepWords),
      V_KEYS: valueKeys, V_VECS: valueFours, V_GROUPS: groups(tile, headDim),
      Q_LOADS: (queries * stepWords) / invocations, K_LOADS: (keys * stepWords) / invocations, V_LOADS: valueWords / invocations,
    },
    needs: {
      precision: float, invocations,
      workgroupStorage: WORD_BYTES * (queries * stepWords + Math.max(keys * stepWords, valueWords) + weightWords),
    },
  };
}
