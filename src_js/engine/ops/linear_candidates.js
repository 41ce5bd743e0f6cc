/**
 * The kernels a linear layer can be computed with, by tile: f32 arithmetic (kernels/gemm_plain.wgsl), packed f16 with f32 totals
 * (gemm_packed.wgsl), subgroup matrices (gemm_matrix.wgsl).
 */

import { usable } from "../candidates.js";

/** @typedef {import("../candidates.js").Candidate & {tile: Tile}} LinearCandidate */

/**
 * @typedef {object} Tile what a workgroup makes of the output, and how
 * @property {number} m rows
 * @property {number} n columns
 * @property {number} k step
 * @property {number} threadM rows of an invocation
 * @property {number} threadN columns of an invocation
 */

const WORD_BYTES = 4;
const HALF_BYTES = 2;
const VEC4_BYTES = 16;
/** Side of a subgroup matrix, and the subgroup that holds it (gemm_matrix.wgsl). */
const MATRIX_SIDE = 16;
const SUBGROUP = 32;
/** Padding of a row of halves in workgroup memory (gemm_matrix.wgsl). */
const MATRIX_PADDING = 8;

/** @param {Tile} tile @returns {string} */
const tileName = ({ m, n, k, threadM, threadN }) => `${m}x${n}x${k}-${threadM}x${threadN}`;

/** @param {Tile} tile @param {number} granule k that one load of A brings @returns {Record<string, number>} */
function threadConstants({ m, n, k, threadM, threadN }, granule) {
  const workgroup = (m / threadM) * (n / threadN);
  return {
    TILE_M: m, TILE_N: n, TILE_K: k, THREAD_M: threadM, QUADS_N: threadN / 4, THREADS_X: n / threadN, THREADS_Y: m / threadM,
    WORKGROUP: workgroup, A_LOADS: (m * k) / granule / workgroup, W_LOADS: Math.max(1, (n * k) / 8 / workgroup), K_UNROLL: k / granule,
  };
}

/** @param {Tile} tile @returns {LinearCandidate} */
function plain(tile) {
  const constants = threadConstants(tile, 4);
  return {
    name: `plain-${tileName(tile)}`, family: "plain", kernel: "linear", constants, flags: [], tile,
    needs: { workgroupStorage: (tile.m + tile.n) * tile.k * WORD_BYTES, invocations: constants["WORKGROUP"] ?? 0 },
  };
}

/** @param {Tile} tile @returns {LinearCandidate} */
function packed(tile) {
  const constants = threadConstants(tile, 8);
  const bytes = tile.m * (tile.k / 8 + 1) * VEC4_BYTES + tile.k * tile.n * HALF_BYTES;
  return {
    name: `packed-${tileName(tile)}`, family: "plain", kernel: "linear_packed", constants, flags: ["HALVES"], tile,
    needs: { precision: "f16", workgroupStorage: bytes, invocations: constants["WORKGROUP"] ?? 0 },
  };
}

/**
 * @param {{m: number, n: number, k: number, subgroupsM: number, subgroupsN: number}} of the tile
 * @returns {LinearCandidate}
 */
function matrix({ m, n, k, subgroupsM, subgroupsN }) {
  const subgroups = subgroupsM * subgroupsN;
  const workgroup = subgroups * SUBGROUP;
  const constants = {
    TILE_M: m, TILE_N: n, TILE_K: k, SUBGROUPS_M: subgroupsM, SUBGROUPS_N: subgroupsN, WORKGROUP: workgroup,
    MATRICES_M: m / subgroupsM / MATRIX_SIDE, MATRICES_N: n / subgroupsN / MATRIX_SIDE,
    A_LOADS: (m * k) / 8 / workgroup, W_LOADS: (n * k) / 8 / workgroup, K_STEPS: k / MATRIX_SIDE,
  };
  const halves = m * (k + MATRIX_PADDING) + k * (n + MATRIX_PADDING);
  return {
    name: `matrix-${m}x${n}x${k}-${subgroupsM}x${subgroupsN}`, family: "matrix", kernel: "linear_matrix", constants, flags: ["HALVES"],
    tile: { m, n, k, threadM: 0, threadN: 0 },
    needs: {
      precision: "f16", features: ["subgroups", "chromium-experimental-subgroup-matrix"], subgroupSize: SUBGROUP,
      matrixShape: `f16-f32-${MATRIX_SIDE}x${MATRIX_SIDE}x${MATRIX_SIDE}`, invocations: workgroup,
      workgroupStorage: halves * HALF_BYTES + subgroups * MATRIX_SIDE ** 2 * WORD_BYTES,
    },
  };
}

/** For outputs of few columns: tiles that waste little of them. */
const NARROW = /** @type {const} */ ([
  { columns: 16, tile: { m: 256, n: 16, k: 8, threadM: 4, threadN: 4 } },
  { columns: 32, tile: { m: 128, n: 32, k: 16, threadM: 4, threadN: 4 } },
]);

/** The plainest first; it also runs best where the processor is the GPU. */
const PLAIN = [
  plain({ m: 64, n: 64, k: 16, threadM: 4, threadN: 4 }),
  plain({ m: 128, n: 128, k: 16, threadM: 8, threadN: 8 }),
  plain({ m: 64, n: 128, k: 16, threadM: 8, threadN: 8 }),
];

const HALVES = [
  packed({ m: 128, n: 128, k: 32, threadM: 8, threadN: 8 }),
  packed({ m: 128, n: 128, k: 64, threadM: 8, threadN: 8 }),
  packed({ m: 64, n: 128, k: 32, threadM: 8, threadN: 8 }),
  packed({ m: 128, n: 64, k: 64, threadM: 8, threadN: 4 }),
  packed({ m: 64, n: 64, k: 64, threadM: 4, threadN: 4 }),
  packed({ m: 48, n: 64, k: 64, threadM: 6, threadN: 4 }),
  matrix({ m: 128, n: 256, k: 32, subgroupsM: 2, subgroupsN: 4 }),
  matrix({ m: 128, n: 128, k: 32, subgroupsM: 2, subgroupsN: 2 }),
  matrix({ m: 96, n: 128, k: 32, subgroupsM: 2, subgroupsN: 2 }),
  matrix({ m: 96, n: 64, k: 32, subgroupsM: 2, subgroupsN: 2 }),
];

/**
 * @param {import("../device.js").DeviceInfo} info
 * @param {number} columns of the output
 * @param {boolean} halves whether the operands may be multiplied as halves: A is f16 and its rows start at whole granules
 * @returns {LinearCandidate[]}
 */
export function linearCandidates(info, columns, halves) {
  const narrow = NARROW.find((n) => columns <= n.columns);
  const all = usable(narrow ? [plain(narrow.tile)] : [...PLAIN, ...HALVES], info);
  const suited = halves ? all : all.filter(({ kernel }) => kernel === "linear");
  return info.fallback ? suited.map(rolled) : suited;
}

/** Compilers for processors take seconds for long unrolled loops and gain nothing by them. @param {LinearCandidate} candidate */
function rolled(candidate) {
  const { family, constants, flags } = candidate;
  return family === "plain" ? { ...candidate, constants: { ...constants, K_UNROLL: 1 }, flags: [...flags, "ROLLED"] } : candidate;
}
