/**
 * The norms against float64: rms_norm.wgsl, layer_norm.wgsl, group_norm_*.wgsl, qk_norm_rope.wgsl, both precisions.
 *
 * Statistics are f32 whatever the precision, so before the result is rounded it is good to a few ulp; 3e-6 covers the sums. Where the
 * mean is far from zero, x - mean loses that many times its precision.
 */

import { after, before, describe, test } from "node:test";
import { qkNormRope } from "../../../src_js/engine/ops/attention.js";
import { groupNorm, layerNorm, rmsNorm } from "../../../src_js/engine/ops/norms.js";
import { openEngine } from "../support/gpu.js";
import { testRandom } from "../support/random.js";
import { assertClose, groupNormed, modulatedNorm, rms, rotate, rounded, silu } from "../support/reference.js";
import { execute, put, vector } from "../support/tensors.js";

const random = testRandom("norms.test.js");
const RMS = 3e-6;
const EPS = 1e-6;

for (const precision of /** @type {const} */ (["f32", "f16"])) {
  describe(`norms, precision ${precision}`, () => {
    /** @type {import("../../../src_js/engine/engine.js").Engine} */
    let engine;
    before(async () => {
      engine = await openEngine(precision);
    });
    after(() => engine.destroy());

    for (const [rows, columns, size, mean] of /** @type {const} */ ([
      [1, 8, 1, 0], [5, 33, 1, 0], [3, 96, 1e5, 0], [2, 700, 1, 50], [70, 48, 0.01, 0], [2, 2560, 1e5, 1e5],
    ])) {
      const x = rounded(random.normals(rows * columns, size, mean), "f32");
      const name = `${rows} rows of ${columns}, deviation ${size}, mean ${mean}`;

      test(`rms norm, ${name}`, () => {
        const weight = rounded(random.normals(columns, 0.3, 1), "f32");
        return execute(engine, (program) => {
          const out = put(program, null, rows, columns, { offset: 3, stride: columns + 5 });
          const from = put(program, x, rows, columns, { dtype: "f32", offset: 2, stride: columns + 1 });
          rmsNorm(program, from, vector(program, weight), out, EPS);
          return out;
        }, (values) => assertClose(values, rms(x, weight, EPS), { rms: RMS, dtype: precision }, name));
      });

      test(`layer norm, ${name}`, () => {
        const modulation = rounded(random.normals(2 * columns, 0.5), "f32");
        const [shift, scale] = [modulation.subarray(0, columns), modulation.subarray(columns)];
        const tolerance = { rms: RMS * (1 + mean / size / 10), dtype: precision };
        return execute(engine, (program) => {
          const out = put(program, null, rows, columns, { offset: 1, stride: columns + 2 });
          const vectors = put(program, modulation, 2, columns, { dtype: "f32", offset: 7 });
          const from = put(program, x, rows, columns, { dtype: "f32", offset: 4 });
          layerNorm(program, from, { shift: vectors.rowRange(0, 1), scale: vectors.rowRange(1, 1) }, out, EPS);
          return out;
        }, (values) => assertClose(values, modulatedNorm(x, shift, scale, EPS), tolerance, name));
      });
    }

    for (const [height, width, channels, groups, mean] of /** @type {const} */ ([
      [1, 1, 32, 32, 0], [3, 5, 64, 32, 0], [7, 9, 96, 32, 30], [40, 33, 32, 32, 0], [61, 70, 128, 8, 100],
    ])) {
      for (const smooth of [false, true]) {
        const name = `group norm, ${height}x${width}x${channels} in ${groups}, mean ${mean}${smooth ? ", silu" : ""}`;
        test(name, () => {
          const pixels = height * width;
          const x = rounded(random.normals(pixels * channels, 1, mean), precision);
          const weight = rounded(random.normals(channels, 0.3, 1), "f32");
          const bias = rounded(random.normals(channels, 0.3), "f32");
          const normed = groupNormed(x, weight, bias, { groups, eps: EPS });
          const expected = smooth ? normed.map(silu) : normed;
          const tolerance = { rms: RMS * (1 + mean / 10), dtype: precision };
          return execute(engine, (program) => {
            const out = put(program, null, pixels, channels);
            const map = { height, width, tensor: put(program, x, pixels, channels) };
            const affine = { weight: vector(program, weight), bias: vector(program, bias) };
            groupNorm(program, map, affine, out, { groups, eps: EPS, silu: smooth });
            return out;
          }, (values) => assertClose(values, expected, tolerance, name));
        });
      }
    }

    for (const layout of /** @type {const} */ (["half", "interleaved"])) {
      for (const [rows, heads, headDim, begin] of /** @type {const} */ ([[1, 1, 8, 0], [7, 3, 24, 2], [33, 2, 64, 0], [5, 1, 128, 11], [2, 2, 256, 1]])) {
        const name = `q or k, ${layout}, ${rows} rows, ${heads} heads of ${headDim}, from position ${begin}`;
        test(name, () => {
          const columns = heads * headDim;
          const x = rounded(random.normals(rows * columns, 3), precision);
          const weight = rounded(random.normals(headDim, 0.3, 1), "f32");
          const angles = random.normals((begin + rows) * (headDim / 2), 3);
          const table = rounded(Array.from(angles).flatMap((angle) => [Math.cos(angle), Math.sin(angle)]), "f32");
          const heads1 = rms(x, weight, EPS);
          const expected = rotate(heads1, angles.subarray(begin * (headDim / 2)), { headDim, heads, layout });
          return execute(engine, (program) => {
            const view = put(program, x, rows, columns, { offset: 6, stride: columns + 10 });
            const turns = put(program, table, begin + rows, headDim, { dtype: "f32", after: 0 });
            qkNormRope(program, view, vector(program, weight), turns, { headDim, eps: EPS, layout, positionBegin: begin });
            return view;
          }, (values) => assertClose(values, expected, { rms: RMS, dtype: precision }, name));
        });
      }
    }
  });
}
