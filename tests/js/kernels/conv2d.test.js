/**
 * conv2d.wgsl against float64: kernel sizes, borders of maps down to one pixel, upsampling, residual, both precisions.
 *
 * Tolerance as in linear.test.js, which shares its product: sums are f32, an f16 result is rounded once (with a residual too:
 * it is added before the rounding).
 */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { conv2d } from "../../../src_js/engine/ops/conv2d.js";
import { openEngine } from "../support/gpu.js";
import { testRandom } from "../support/random.js";
import { assertClose, at, convolution, doubled, rounded } from "../support/reference.js";
import { execute, put, vector } from "../support/tensors.js";
import { convMatrix, placeWeight } from "../support/weights.js";

const random = testRandom("conv2d.test.js");
const TOLERANCE = 5e-6;

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

/** @type {Record<string, Case>} */
const CASES = {
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

    /** @param {string} name @param {Case} c @returns {Promise<number>} dispatches */
    async function check(name, { map: [h, w], channels, columns, kernel, weight: format, upsample = false, residual, out }) {
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
          conv2d(program, { height: h, width: w, tensor: from }, weight, vector(program, bias), { height, width, tensor }, {
            upsample, ...(residual && { residual: put(program, base, height * width, columns) }),
          });
          return tensor;
        }, (values, program) => {
          assertClose(values, expected, { rms: TOLERANCE, dtype: outType }, `${name}, ${precision}`);
          return program.commands.length;
        });
      } finally {
        destroy();
      }
    }

    for (const [name, c] of Object.entries(CASES)) test(name, () => check(name, c).then(() => {}));

    test("rows are cut into dispatches of at most maxDispatchFlops", async () => {
      const most = engine.maxDispatchFlops;
      engine.maxDispatchFlops = 1;
      try {
        const commands = await check("sliced", { map: [13, 11], channels: 4, columns: 66, kernel: 3, weight: "f32" });
        assert.ok(commands >= 3, `${commands} dispatches of 143 rows`);
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
      program.destroy();
      destroy();
    });
  });
}
