/**
 * The linear layer's kernels against float64: every weight format and layout, views, epilogues, both precisions, every candidate.
 *
 * Tolerances, relative to the rms of the result. The plain kernels multiply and sum in f32 whatever the precision, so the result is off
 * by the f32 sum alone, about sqrt(K) 2^-25 with K <= 400: 6e-7; exp in silu adds as much. An f16 result is rounded once more, which
 * assertClose grants (up to 4.9e-4 of each value). Kernels on halves start from weights rounded to halves and sum up to 32 products
 * in f16 before they go to f32: after n sums the error is some 2^-12 sqrt(n), 1e-3 at the most.
 */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { linear } from "../../../src_js/engine/ops/linear.js";
import { linearCandidates } from "../../../src_js/engine/ops/linear_candidates.js";
import { openEngine } from "../support/gpu.js";
import { testRandom } from "../support/random.js";
import { HALF_MAX, assertClose, at, matmul, rounded, silu } from "../support/reference.js";
import { execute, put, vector } from "../support/tensors.js";
import { denseMatrix, placeWeight, randomMatrix } from "../support/weights.js";

const random = testRandom("linear.test.js");
const TOLERANCE = 5e-6;
const HALVES_TOLERANCE = { rms: 1e-3, most: 0.03 };

/** @typedef {import("../support/tensors.js").View} View */

/**
 * @typedef {object} Case
 * @property {number} m
 * @property {number} n
 * @property {number} k
 * @property {import("../support/weights.js").Format} weight
 * @property {number[]} [rows] of the weight's parts
 * @property {View} [a]
 * @property {View} [out]
 * @property {boolean} [bias]
 * @property {boolean} [silu]
 * @property {boolean} [accumulate]
 * @property {"vector"|"scalar"} [gate]
 * @property {boolean} [exact]
 * @property {number} [scale] deviation of `a`
 */

const F32 = /** @type {const} */ ({ format: "f32" });
const F16 = /** @type {const} */ ({ format: "f16" });
/** @param {number} block @param {boolean} [zeroPoints] */
const q4 = (block, zeroPoints = false) => /** @type {const} */ ({ format: "q4", block, zeroPoints });
const f32 = /** @type {const} */ ({ dtype: "f32" });

/** @type {Record<string, Case>} */
const CASES = {
  "f32 weight, whole tiles": { m: 64, n: 128, k: 64, weight: F32 },
  "f32 weight, no whole tile": { m: 70, n: 67, k: 44, weight: F32 },
  "narrow output, more rows than a tile": { m: 130, n: 20, k: 20, weight: F32 },
  "narrowest output, more rows than a tile": { m: 260, n: 12, k: 19, weight: F16 },
  "f32 weight, one row, K not a multiple of 4": { m: 1, n: 5, k: 13, weight: F32 },
  "f16 weight, K a multiple of 4 and not of 8": { m: 65, n: 66, k: 36, weight: F16 },
  "f16 weight, K 1": { m: 3, n: 2, k: 1, weight: F16 },
  "f16 weight, K odd, f32 in and out": { m: 9, n: 70, k: 77, weight: F16, a: f32, out: f32 },
  "q4 block 16, odd block count": { m: 5, n: 65, k: 48, weight: q4(16) },
  "q4 block 16, K inside a block": { m: 5, n: 9, k: 40, weight: q4(16) },
  "q4 block 16 with zero points, more than 8 blocks": { m: 3, n: 66, k: 148, weight: q4(16, true) },
  "q4 block 32": { m: 66, n: 3, k: 128, weight: q4(32) },
  "q4 block 32 with zero points, K inside a block": { m: 2, n: 70, k: 100, weight: q4(32, true) },
  "q4 block 64, K inside a block": { m: 4, n: 6, k: 72, weight: q4(64) },
  "q4 block 64 with zero points": { m: 4, n: 65, k: 192, weight: q4(64, true) },
  "q4 block 128, K odd": { m: 4, n: 7, k: 131, weight: q4(128) },
  "q4 block 128 with zero points": { m: 1, n: 65, k: 384, weight: q4(128, true) },
  "f16 weight in three parts": { m: 6, n: 140, k: 20, weight: F16, rows: [3, 130, 7] },
  "q4 weight with zero points in two parts": { m: 6, n: 73, k: 80, weight: q4(16, true), rows: [65, 8] },
  "views of aligned rows": { m: 7, n: 9, k: 24, weight: F32, a: { offset: 8, stride: 36 }, out: { offset: 3, stride: 11 } },
  "views of unaligned offset": { m: 7, n: 9, k: 24, weight: F32, a: { offset: 6, stride: 28 }, out: { offset: 1, stride: 10 } },
  "views of unaligned stride": { m: 7, n: 9, k: 24, weight: q4(32), a: { offset: 4, stride: 27 } },
  "bias, parts": { m: 5, n: 70, k: 16, weight: F32, rows: [66, 4], bias: true },
  "bias and silu": { m: 5, n: 6, k: 16, weight: F32, bias: true, silu: true, out: f32 },
  "accumulate": { m: 5, n: 6, k: 16, weight: F32, accumulate: true, out: { dtype: "f32", offset: 5, stride: 9 } },
  "accumulate, bias": { m: 5, n: 6, k: 16, weight: F32, bias: true, accumulate: true },
  "accumulate, gate, parts": { m: 5, n: 70, k: 16, weight: F32, rows: [65, 5], accumulate: true, gate: "vector", out: f32 },
  "accumulate, one gate": { m: 66, n: 6, k: 16, weight: F32, accumulate: true, gate: "scalar", out: f32 },
  "every epilogue": { m: 5, n: 6, k: 16, weight: F32, bias: true, silu: true, accumulate: true, gate: "vector", out: f32 },
  "quads, every epilogue, parts": { m: 67, n: 76, k: 16, weight: F16, rows: [72, 4], bias: true, silu: true, accumulate: true, gate: "vector", out: { dtype: "f32", offset: 4, stride: 80 } },
  "exact, inputs beyond halves": { m: 5, n: 6, k: 40, weight: q4(32), exact: true, scale: 1e6, a: f32, out: f32 },
};

/** Runs with every candidate: ragged in all three dimensions, whole granules of eight k so that halves may be multiplied. @type {Record<string, Case>} */
const CANDIDATE_CASES = {
  "q4 block 16 with zero points, gate": { m: 131, n: 132, k: 136, weight: q4(16, true), accumulate: true, gate: "vector", out: { dtype: "f32", offset: 4, stride: 136 } },
  "f16 weight, columns odd, view": { m: 70, n: 67, k: 72, weight: F16, a: { offset: 8, stride: 88 } },
};

/**
 * Records a case for the kinds of work that it asks for.
 * @param {import("../../../src_js/engine/engine.js").Engine} engine @param {Case} c
 */
function linearKinds(engine, { m, n, k, weight: format, a }) {
  const program = engine.program("kinds");
  const { weight, destroy } = placeWeight(engine, randomMatrix(random, n, k, format));
  linear(program, put(program, null, m, k, a), weight, put(program, null, m, n));
  destroy();
}

for (const precision of /** @type {const} */ (["f32", "f16"])) {
  describe(`linear, precision ${precision}`, () => {
    /** @type {import("../../../src_js/engine/engine.js").Engine} */
    let engine;
    before(async () => {
      engine = await openEngine(precision);
    });
    after(() => engine.destroy());

    /**
     * @param {string} name @param {Case} c
     * @param {{choose?: (record: () => void) => void, halves?: boolean}} [how] choose: runs `record` with a candidate in force;
     *   halves: whether that one multiplies halves
     */
    async function check(name, c, { choose = (record) => record(), halves = false } = {}) {
      const { m, n, k, exact = false } = c;
      const aType = c.a?.dtype ?? precision;
      const outType = c.out?.dtype ?? precision;
      const F = halves ? "f16" : "f32";
      const matrix = randomMatrix(random, n, k, c.weight);
      const a = rounded(random.normals(m * k, c.scale ?? 1), aType);
      const bias = rounded(random.normals(n), "f32");
      const gates = rounded(random.normals(c.gate === "scalar" ? 1 : n), "f32");
      const old = rounded(random.normals(m * n), outType);

      const expected = matmul(rounded(a, F), rounded(matrix.values, F), { m, n, k }).map((product, i) => {
        let value = product + (c.bias ? at(bias, i % n) : 0);
        if (c.silu) value = silu(value);
        if (!c.accumulate) return value;
        const gate = c.gate === "scalar" ? at(gates, 0) : c.gate === "vector" ? at(gates, i % n) : 1;
        return at(old, i) + gate * value;
      });
      const { weight, destroy } = placeWeight(engine, matrix, { name, ...(c.rows && { rows: c.rows }) });
      try {
        return await execute(engine, (program) => {
          const out = put(program, c.accumulate ? old : null, m, n, c.out);
          const gate = put(program, gates, 1, gates.length, { dtype: "f32", offset: 3 });
          const input = put(program, a, m, k, c.a);
          choose(() => linear(program, input, weight, out, {
            silu: c.silu ?? false, accumulate: c.accumulate ?? false, exact,
            ...(c.bias && { bias: vector(program, bias) }), ...(c.gate && { gate }),
          }));
          return out;
        }, (values, program) => {
          assertClose(values, expected, { ...(halves ? HALVES_TOLERANCE : { rms: TOLERANCE }), dtype: outType }, `${name}, ${precision}`);
          return program.commands.length;
        });
      } finally {
        destroy();
      }
    }

    for (const [name, c] of Object.entries(CASES)) test(name, () => check(name, c).then(() => {}));

    for (const [name, c] of Object.entries(CANDIDATE_CASES)) {
      const { n } = c;
      test(`every candidate: ${name}`, async () => {
        const [plainest, ...others] = linearCandidates(engine.info, n, precision === "f16");
        assert.ok(plainest && others.length >= 2);
        // how a weight is read is the same for all tiles of a kernel
        const chosen = c.weight.format === "q4" ? others : others.filter(({ kernel }, i) => others.findIndex((o) => o.kernel === kernel) === i);
        for (const { name: candidate, flags } of chosen) {
          await check(`${name}, ${candidate}`, c, {
            halves: flags.includes("HALVES"),
            choose(record) {
              const [kind] = [...engine.tuning.observe(() => linearKinds(engine, c)).keys()];
              engine.tuning.using(String(kind), candidate, record);
            },
          });
        }
      });
    }

    test("rows are cut into dispatches of at most maxDispatchFlops", async () => {
      const before = engine.maxDispatchFlops;
      engine.maxDispatchFlops = 1;
      try {
        const commands = await check("sliced", { m: 150, n: 70, k: 16, weight: F16, rows: [65, 5] });
        assert.ok(commands >= 4, `${commands} dispatches: the first part has three tiles of rows, the second at least one`);
      } finally {
        engine.maxDispatchFlops = before;
      }
    });

    test("an f16 result saturates, an f32 result does not", async () => {
      const a = [1000, -1000, 1];
      const { weight, destroy } = placeWeight(engine, denseMatrix([100, 1], 2, 1, "f32"), {});
      try {
        await execute(engine, (program) => {
          const out = put(program, null, 3, 2);
          linear(program, put(program, a, 3, 1), weight, out);
          return out;
        }, (values) => {
          const top = precision === "f16" ? HALF_MAX : 100000;
          assert.deepEqual([...values], [top, 1000, -top, -1000, 100, 1]);
        });
      } finally {
        destroy();
      }
    });

    test("silu of large arguments is finite", async () => {
      const { weight, destroy } = placeWeight(engine, denseMatrix([1], 1, 1, "f32"), {});
      try {
        await execute(engine, (program) => {
          const out = put(program, null, 4, 1, { dtype: "f32" });
          linear(program, put(program, [-30000, -90, 90, 30000], 4, 1), weight, out, { silu: true });
          return out;
        }, (values) => assertClose(values, [0, 0, 90, 30000], { rms: TOLERANCE, dtype: "f32" }, "silu"));
      } finally {
        destroy();
      }
    });

    test("shapes that do not fit are refused", () => {
      const program = engine.program("refused");
      const { weight, destroy } = placeWeight(engine, denseMatrix(new Float64Array(32), 4, 8, "f32"), {});
      const a = put(program, null, 3, 8);
      const out = put(program, null, 3, 4);
      assert.throws(() => linear(program, a.columnRange(0, 4), weight, out), RangeError);
      assert.throws(() => linear(program, a.rowRange(0, 2), weight, out), RangeError);
      assert.throws(() => linear(program, a, weight, out.columnRange(0, 3)), RangeError);
      program.destroy();
      destroy();
    });
  });
}
