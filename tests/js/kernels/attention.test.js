/**
 * attention.wgsl and attention_tile.wgsl against float64: head dimensions, grouped heads, masks, ragged lengths, both precisions, every
 * candidate that the device can run. (qk_norm_rope.wgsl is with the norms, but for its eps.)
 *
 * Tolerances. Scores, weights and sums are f32: a score s is off by a few 2^-24 |s|, its weight exp(s) by as much in relative terms,
 * so some 1e-6 for scores of a few units, and 200 times 2^-23 = 2.4e-5 for scores near 200. An f16 result is rounded once more,
 * which assertClose grants. attention_tile.wgsl rounds weights to f16 and sums up to 64 products in f16, in two halves: some 1e-3 of
 * the result for normal q, k and v.
 */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { attention, qkNormRope } from "../../../src_js/engine/ops/attention.js";
import { attentionCandidates } from "../../../src_js/engine/ops/attention_candidates.js";
import { openEngine } from "../support/gpu.js";
import { testRandom } from "../support/random.js";
import { assertClose, at, attend, rms, rotate, rounded } from "../support/reference.js";
import { execute, put, vector } from "../support/tensors.js";

const random = testRandom("attention.test.js");
const TOLERANCE = 5e-6;
/** Of a tile: 2e-3 is what the project allows f16 attention. */
const TILE_TOLERANCE = { f32: TOLERANCE, f16: 2e-3 };
/** A single element of an f16 tile's result may be so many times further off: scores of a row have errors in proportion to the largest. */
const TILE_TAIL = 16;

/** Elements of poison after q, k and v: more than a tile of rows, so that a kernel that reads beyond the last one meets NaN. */
const AFTER = 20_000;

/** @typedef {import("../../../src_js/engine/tensor.js").Tensor} Tensor */

/**
 * @typedef {object} Case
 * @property {number} queries
 * @property {number} keys
 * @property {number} headDim
 * @property {number} heads
 * @property {number} [kvHeads]
 * @property {boolean} [causal]
 * @property {"f32"|"f16"} [only] in this precision alone: a head dimension takes the driver seconds to compile
 */

/** @type {Record<string, Case>} */
const CASES = {
  "head dimension 8": { queries: 33, keys: 40, headDim: 8, heads: 3 },
  "head dimension 16, causal": { queries: 65, keys: 65, headDim: 16, heads: 2, causal: true },
  "head dimension 24": { queries: 7, keys: 37, headDim: 24, heads: 2, only: "f32" },
  "head dimension 32, whole tiles": { queries: 64, keys: 32, headDim: 32, heads: 2, only: "f32" },
  "head dimension 64, grouped heads": { queries: 5, keys: 70, headDim: 64, heads: 6, kvHeads: 2, only: "f16" },
  "head dimension 96": { queries: 3, keys: 35, headDim: 96, heads: 1, only: "f16" },
  "head dimension 128, grouped heads, causal": { queries: 45, keys: 45, headDim: 128, heads: 4, kvHeads: 1, causal: true, only: "f32" },
  "head dimension 256": { queries: 2, keys: 33, headDim: 256, heads: 1, only: "f16" },
  "head dimension 512": { queries: 34, keys: 31, headDim: 512, heads: 1, only: "f32" },
  "one key": { queries: 35, keys: 1, headDim: 8, heads: 1 },
  "one key, causal": { queries: 35, keys: 1, headDim: 16, heads: 1, causal: true },
  "one query": { queries: 1, keys: 97, headDim: 8, heads: 2 },
  "fewer keys than queries, causal": { queries: 80, keys: 39, headDim: 16, heads: 2, kvHeads: 1, causal: true },
};

for (const precision of /** @type {const} */ (["f32", "f16"])) {
  describe(`attention, precision ${precision}`, () => {
    /** @type {import("../../../src_js/engine/engine.js").Engine} */
    let engine;
    before(async () => {
      engine = await openEngine(precision);
    });
    after(() => engine.destroy());

    /**
     * @param {string} name @param {Case} c
     * @param {{sharp?: number, tolerance?: number, candidate?: string}} [options] sharp: deviation of q and k
     * @returns {Promise<number>} dispatches
     */
    async function check(name, { queries, keys, headDim, heads, kvHeads = heads, causal = false }, { sharp = 1, tolerance = TOLERANCE, candidate = "32x32" } = {}) {
      const q = rounded(random.normals(queries * heads * headDim, sharp), precision);
      const k = rounded(random.normals(keys * kvHeads * headDim, sharp), precision);
      const v = rounded(random.normals(keys * kvHeads * headDim), precision);
      const expected = attend(q, k, v, { queries, keys, heads, kvHeads, headDim, causal });
      return execute(engine, (program) => {
        const small = candidate === "32x32";                 // rows of its q and k may start at any multiple of 4, a tile's of 8
        const out = put(program, null, queries, heads * headDim, { offset: 8, stride: heads * headDim + 12 });
        const inputs = [
          put(program, q, queries, heads * headDim, { offset: small ? 4 : 8, stride: heads * headDim + 8, after: AFTER }),
          put(program, k, keys, kvHeads * headDim, { offset: small ? 12 : 16, stride: kvHeads * headDim + (small ? 4 : 8), after: AFTER }),
          put(program, v, keys, kvHeads * headDim, { after: AFTER }),
        ];
        const [qs, ks, vs] = /** @type {[Tensor, Tensor, Tensor]} */ (inputs);
        const kind = `attention.${headDim}${causal ? ".causal" : ""}`;
        engine.tuning.using(kind, candidate, () => attention(program, qs, ks, vs, out, { headDim, causal }));
        assert.ok(program.dispatches.every(({ variant }) => variant.kernel === (small ? "attention" : "attention_tile")), candidate);
        return out;
      }, (values, program) => {
        const tail = candidate !== "32x32" && precision === "f16" ? { most: TILE_TAIL * tolerance } : {};
        assertClose(values, expected, { rms: tolerance, dtype: precision, ...tail }, `${name}, ${precision}`);
        return program.commands.length;
      });
    }

    for (const [name, c] of Object.entries(CASES)) {
      if ((c.only ?? precision) === precision) test(name, () => check(name, c).then(() => {}));
    }

    test("every tile: ragged queries and keys, a head dimension that is no multiple of its steps, grouped heads", async (t) => {
      for (const [i, { name, kernel }] of attentionCandidates(80, precision, engine.info).entries()) {
        if (kernel === "attention") continue;
        await t.test(name, async () => {
          const tolerance = TILE_TOLERANCE[precision];
          const shape = { queries: 99 + 7 * i, keys: 133 + 9 * i, headDim: 80, heads: 2, kvHeads: 1 };
          await check(name, shape, { tolerance, candidate: name });
          await check(name, { ...shape, queries: 3, keys: 1 }, { tolerance, candidate: name });
          if (precision === "f16") await checkLarge(name, 80);
        });
      }
    });

    test("every tile, causal", async (t) => {
      for (const [i, { name, kernel }] of attentionCandidates(16, precision, engine.info).entries()) {
        if (kernel === "attention") continue;
        await t.test(name, async () => {
          const tolerance = TILE_TOLERANCE[precision];
          const shape = { queries: 131 + 5 * i, headDim: 16, heads: 4, kvHeads: 2, causal: true };
          await check(name, { ...shape, keys: shape.queries }, { tolerance, candidate: name });
          await check(name, { ...shape, keys: 37 + i }, { tolerance, candidate: name });
        });
      }
    });

    test("a tile repeats itself bit by bit, in slices too", async () => {
      const [queries, headDim] = [300, 16];
      const values = rounded(random.normals(3 * queries * headDim), precision);
      const name = attentionCandidates(headDim, precision, engine.info)[1]?.name ?? "";
      const most = engine.maxDispatchFlops;
      /** @type {Float64Array[]} */
      const results = [];
      try {
        for (const flops of [most, most, 1]) {
          engine.maxDispatchFlops = flops;
          await execute(engine, (program) => {
            const out = put(program, null, queries, headDim);
            const [q, k, v] = /** @type {[Tensor, Tensor, Tensor]} */ ([0, 1, 2].map((i) => (
              put(program, values.subarray(i * queries * headDim), queries, headDim))));
            engine.tuning.using(`attention.${headDim}`, name, () => attention(program, q, k, v, out, { headDim }));
            return out;
          }, (result) => results.push(result));
        }
      } finally {
        engine.maxDispatchFlops = most;
      }
      assert.deepEqual(results[1], results[0]);
      assert.deepEqual(results[2], results[0]);
    });

    /** Products whose sum is beyond f16, the same for each key. @param {string} name @param {number} headDim */
    async function checkLarge(name, headDim) {
      const keys = 70;
      const v = rounded(random.normals(keys * headDim), precision);
      const expected = Float64Array.from({ length: headDim }, (_, d) => (
        Array.from({ length: keys }, (_unused, j) => at(v, j * headDim + d)).reduce((a, b) => a + b) / keys));
      await execute(engine, (program) => {
        const out = put(program, null, 1, headDim);
        const large = put(program, new Float64Array(keys * headDim).fill(60), keys, headDim);
        const values = put(program, v, keys, headDim);
        engine.tuning.using(`attention.${headDim}`, name, () => attention(program, large.rowRange(0, 1), large, values, out, { headDim }));
        return out;
      }, (values) => assertClose(values, expected, { rms: TILE_TOLERANCE[precision], dtype: precision }, `${name}, large`));
    }

    test("scores of hundreds", async () => {
      // q and k of deviation 8: a score of 16 products over 4 has deviation 8 * 8 * sqrt(16) / 4 = 64, the largest some 200
      await check("sharp, causal", { queries: 40, keys: 40, headDim: 16, heads: 2, causal: true }, { sharp: 8, tolerance: 1e-4 });
      // and of 8 products over sqrt(8): the same with deviation 9.5
      await check("sharp", { queries: 40, keys: 70, headDim: 8, heads: 2 }, { sharp: 9.5, tolerance: 1e-4 });
    });

    test("a score far below all others, first or last", async () => {
      for (const order of [[-4000, 4000], [4000, -4000]]) {
        await execute(engine, (program) => {
          const out = put(program, null, 1, 8);
          const keys = Float64Array.from({ length: 64 * 8 }, (_, i) => (i % 8 ? 0 : at(order, Math.floor(i / 256))));
          const values = Float64Array.from({ length: 64 * 8 }, (_, i) => at(order, Math.floor(i / 256)) + (i % 8));
          attention(program, put(program, [1, 0, 0, 0, 0, 0, 0, 0], 1, 8), put(program, keys, 64, 8), put(program, rounded(values, precision), 64, 8), out, { headDim: 8 });
          return out;
        }, (values) => assertClose(values, rounded([0, 1, 2, 3, 4, 5, 6, 7].map((i) => 4000 + i), precision), { rms: TOLERANCE, dtype: precision }, "ladder"));
      }
    });

    test("queries are cut into dispatches of at most maxDispatchFlops", async () => {
      const most = engine.maxDispatchFlops;
      engine.maxDispatchFlops = 1;
      try {
        const commands = await check("sliced", { queries: 130, keys: 130, headDim: 16, heads: 2, causal: true });
        assert.ok(commands >= 2, `${commands} dispatches of 130 queries`);
      } finally {
        engine.maxDispatchFlops = most;
      }
    });

    test("q, k and v as views of one buffer", async () => {
      const [rows, headDim, heads] = [37, 8, 3];
      const width = headDim * heads;
      const qkv = rounded(random.normals(rows * 3 * width), precision);
      const part = (/** @type {number} */ which) =>
        Float64Array.from({ length: rows * width }, (_, i) => at(qkv, Math.floor(i / width) * 3 * width + which * width + (i % width)));
      const expected = attend(part(0), part(1), part(2), { queries: rows, keys: rows, heads, kvHeads: heads, headDim, causal: false });
      await execute(engine, (program) => {
        const all = put(program, qkv, rows, 3 * width);
        const out = put(program, null, rows, width);
        attention(program, all.columnRange(0, width), all.columnRange(width, width), all.columnRange(2 * width, width), out, { headDim });
        return out;
      }, (values) => assertClose(values, expected, { rms: TOLERANCE, dtype: precision }, "fused"));
    });

    test("shapes that do not fit are refused", () => {
      const program = engine.program("refused");
      const x = put(program, null, 4, 48);
      const out = put(program, null, 4, 48);
      assert.throws(() => attention(program, x, x, x, out, { headDim: 20 }), RangeError, "48 / 20");
      assert.throws(() => attention(program, x, x, x, out, { headDim: 12 }), RangeError, "not a multiple of 8");
      assert.throws(() => attention(program, x, x.columnRange(0, 32), x.columnRange(0, 32), out, { headDim: 16 }), RangeError);
      assert.throws(() => attention(program, x, x, x.rowRange(0, 3), out, { headDim: 16 }), RangeError);
      program.destroy();
    });

    test("qk_norm_rope: eps counts where x is small, and a zero head stays zero", async () => {
      const headDim = 16;
      const x = rounded([...random.normals(headDim, 1e-3), ...new Float64Array(headDim)], precision);
      const weight = new Float64Array(headDim).fill(2);
      const expected = rotate(rms(x, weight, 1e-6), new Float64Array(headDim), { headDim, heads: 1, layout: "half" });
      await execute(engine, (program) => {
        const view = put(program, x, 2, headDim);
        const table = put(program, Float64Array.from({ length: 2 * headDim }, (_, i) => 1 - (i % 2)), 2, headDim, { dtype: "f32" });
        qkNormRope(program, [{ x: view, weight: vector(program, weight) }], table, { headDim, eps: 1e-6, layout: "half" });
        return view;
      }, (values) => assertClose(values, expected, { rms: TOLERANCE, dtype: precision }, "eps"));
    });
  });
}
