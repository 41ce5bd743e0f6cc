/**
 * conv2d.wgsl, conv2d_packed.wgsl and conv_weights.wgsl against float64: every candidate, kernel sizes, borders of maps down to one pixel, upsampling,
 * residual, both precisions.
 *
 * Sums are f32, an f16 result is rounded once (with a residual too: it is added before the rounding). Upsampling in f16 rounds the
 * sums of weights to f16 as well, each to 2^-12 on average; the packed candidates round sums of up to 32 products.
 */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { usable } from "../../../src_js/engine/candidates.js";
import { conv2d } from "../../../src_js/engine/ops/conv2d.js";
import { convCandidates } from "../../../src_js/engine/ops/conv2d_candidates.js";
import { openEngine } from "../support/gpu.js";
import { testRandom } from "../support/random.js";
import { assertClose, at, convolution, doubled, rounded } from "../support/reference.js";
import { execute, put, vector } from "../support/tensors.js";
import { convMatrix, placeWeight } from "../support/weights.js";

const random = testRandom("conv2d.test.js");
const TOLERANCE = 5e-6;
const FOLDED_F16_TOLERANCE = 3e-4;
const PACKED_TOLERANCE = 8e-4;

/**
 * @typedef {object} Case
 * @property {[number, number]} map height and width of the input
 * @property {number} channels
 * @property {number} columns
 * @property {1|3} kernel
 * @property {"f32"|"f16"} weight
 * @property {boolean} [upsample]
 * @property {boolean} [residual]
 * @property {"f32"} [out]
 */

/** What every candidate of a kind is tried on: several tiles, none of them full, several steps of channels, the last one not full. */
/** @type {Record<string, Case>} */
const CANDIDATE_CASES = {
  "conv2d.3": { map: [9, 19], channels: 40, columns: 132, kernel: 3, weight: "f16", residual: true },
  "conv2d.up": { map: [9, 17], channels: 20, columns: 132, kernel: 3, weight: "f16", upsample: true },
  "conv2d.1": { map: [11, 18], channels: 44, columns: 140, kernel: 1, weight: "f32" },
  "conv2d.3.narrow": { map: [9, 35], channels: 28, columns: 3, kernel: 3, weight: "f16", out: "f32" },
};
/** Candidates tried of the kinds that differ from conv2d.3 only in which pixels are read. */
const FEW = 2;

/** @type {Record<string, Case>} */
const CASES = {
  "3x3, odd channels and columns": { map: [6, 9], channels: 20, columns: 68, kernel: 3, weight: "f16" },
  "1x1": { map: [5, 7], channels: 12, columns: 20, kernel: 1, weight: "f32" },
  "1x1 of one pixel, four channels": { map: [1, 1], channels: 4, columns: 4, kernel: 1, weight: "f16" },
  "3x3": { map: [9, 8], channels: 16, columns: 66, kernel: 3, weight: "f32" },
  "3x3, padded rows of the weight": { map: [4, 11], channels: 4, columns: 8, kernel: 3, weight: "f16" },
  "3x3 of one pixel": { map: [1, 1], channels: 8, columns: 5, kernel: 3, weight: "f16" },
  "3x3 of a 2x3 map": { map: [2, 3], channels: 20, columns: 7, kernel: 3, weight: "f32" },
  "3x3 of one row": { map: [1, 70], channels: 4, columns: 3, kernel: 3, weight: "f32" },
  "3x3, many channels": { map: [3, 4], channels: 96, columns: 96, kernel: 3, weight: "f16" },
  "3x3, residual": { map: [6, 5], channels: 8, columns: 24, kernel: 3, weight: "f16", residual: true },
  "1x1, residual": { map: [6, 5], channels: 8, columns: 24, kernel: 1, weight: "f32", residual: true },
  "3x3, upsample": { map: [3, 5], channels: 12, columns: 12, kernel: 3, weight: "f16", upsample: true },
  "3x3 of one pixel, upsample": { map: [1, 1], channels: 4, columns: 68, kernel: 3, weight: "f32", upsample: true },
  "3x3, upsample, residual": { map: [2, 9], channels: 4, columns: 30, kernel: 3, weight: "f32", upsample: true, residual: true },
  "3x3 to f32": { map: [5, 17], channels: 16, columns: 3, kernel: 3, weight: "f16", out: "f32" },
};

for (const precision of /** @type {const} */ (["f32", "f16"])) {
  describe(`conv2d, precision ${precision}`, () => {
    /** @type {import("../../../src_js/engine/engine.js").Engine} */
    let engine;
    before(async () => {
      engine = await openEngine(precision);
    });
    after(() => engine.destroy());

    /**
     * @param {string} name @param {Case} c @param {(record: () => void) => void} [using] runs what records the convolution
     * @param {number} [tolerance] of unfolded sums
     * @returns {Promise<number>} dispatches
     */
    async function check(name, { map: [h, w], channels, columns, kernel, weight: format, upsample = false, residual, out }, using = (record) => record(), tolerance = TOLERANCE) {
      const [height, width] = upsample ? [2 * h, 2 * w] : [h, w];
      const outType = out ?? precision;
      const input = rounded(random.normals(h * w * channels), precision);
      const taps = rounded(random.normals(columns * channels * kernel ** 2, 1 / Math.sqrt(channels * kernel ** 2)), format);
      const bias = rounded(random.normals(columns), "f32");
      const base = rounded(random.normals(height * width * columns), precision);
      const large = upsample ? doubled(input, h, w, channels) : input;
      const expected = convolution(large, rounded(taps, precision), { height, width, channels, columns, kernel })
        .map((sum, i) => sum + at(bias, i % columns) + (residual ? at(base, i) : 0));

      const shape = /** @type {[number, number, number, number]} */ ([columns, channels, kernel, kernel]);
      const { weight, destroy } = placeWeight(engine, convMatrix(taps, shape, format), { name, shape });
      try {
        return await execute(engine, (program) => {
          const tensor = put(program, null, height * width, columns, { dtype: outType });
          const from = put(program, input, h * w, channels);
          using(() => conv2d(program, { height: h, width: w, tensor: from }, weight, vector(program, bias), { height, width, tensor }, {
            upsample, ...(residual && { residual: put(program, base, height * width, columns) }),
          }));
          return tensor;
        }, (values, program) => {
          const rms = upsample && precision === "f16" ? FOLDED_F16_TOLERANCE : tolerance;
          assertClose(values, expected, { rms, dtype: outType }, `${name}, ${precision}`);
          return program.commands.length;
        });
      } finally {
        destroy();
      }
    }

    for (const [name, c] of Object.entries(CASES)) test(name, () => check(name, c).then(() => {}));

    for (const [kind, c] of Object.entries(CANDIDATE_CASES)) {
      const { kernel, upsample = false, channels, columns } = c;
      const all = convCandidates({ kernel, upsample, channels, columns, software: true });
      assert.equal(all.kind, kind);
      for (const candidate of kind === "conv2d.3" ? all.candidates : all.candidates.slice(0, FEW)) {
        test(`${kind}, candidate ${candidate.name}`, async (t) => {
          if (usable([candidate], engine.info).length === 0) return t.skip("not for this device and precision");
          const tolerance = candidate.kernel === "conv2d_packed" ? PACKED_TOLERANCE : TOLERANCE;
          await check(candidate.name, c, (record) => engine.tuning.using(kind, candidate.name, record), tolerance);
        });
      }
    }

    test("rows are cut into dispatches of at most maxDispatchFlops", async () => {
      const most = engine.maxDispatchFlops;
      engine.maxDispatchFlops = 1;
      try {
        const commands = await check("sliced", { map: [13, 11], channels: 4, columns: 66, kernel: 3, weight: "f32" });
        assert.ok(commands >= 4, `${commands} dispatches of ${13 * 11} pixels`);
      } finally {
        engine.maxDispatchFlops = most;
      }
    });

    test("maps that do not fit are refused", () => {
      const program = engine.program("refused");
      const { weight, destroy } = placeWeight(engine, convMatrix(new Float64Array(8 * 4 * 9), [8, 4, 3, 3], "f32"), { shape: [8, 4, 3, 3] });
      const input = { height: 2, width: 2, tensor: put(program, null, 4, 4) };
      const output = { height: 4, width: 4, tensor: put(program, null, 16, 8) };
      const bias = vector(program, new Float64Array(8));
      assert.throws(() => conv2d(program, input, weight, bias, output), RangeError, "needs upsample");
      assert.throws(() => conv2d(program, input, { ...weight, shape: [8, 8, 3, 3] }, bias, output, { upsample: true }), RangeError);
      assert.throws(() => conv2d(program, input, { ...weight, shape: [4, 4, 3, 3] }, bias, output, { upsample: true }), RangeError);
      assert.throws(() => conv2d(program, input, { ...weight, shape: [8, 4, 1, 1] }, bias, output, { upsample: true }), RangeError);
      assert.throws(() => conv2d(program, input, { ...weight, shape: [8, 4, 5, 5] }, bias, { ...input, tensor: put(program, null, 4, 8) }), RangeError);
      program.destroy();
      destroy();
    });
  });
}
