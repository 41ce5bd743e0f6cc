/**
 * The norms against float64: rms_norm.wgsl, layer_norm.wgsl, group_norm_*.wgsl, qk_norm_rope.wgsl, both precisions.
 *
 * Statistics are f32 whatever the precision, so before the result is rounded it is good to a few ulp; 3e-6 covers the sums. Where the
 * mean is far from zero, x - mean loses that many times its precision.
 */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { qkNormRope } from "../../../src_js/engine/ops/attention.js";
import { copy } from "../../../src_js/engine/ops/elementwise.js";
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
      const odd = columns % 3 === 0 ? 1 : 0;                          // at times rows of both start on fours
      const name = `${rows} rows of ${columns}, deviation ${size}, mean ${mean}`;

      test(`rms norm, ${name}`, () => {
        const weight = rounded(random.normals(columns, 0.3, 1), "f32");
        return execute(engine, (program) => {
          const out = put(program, null, rows, columns, { offset: 3 + odd, stride: columns + 3 + odd });
          const from = put(program, x, rows, columns, { dtype: "f32", offset: 4, stride: columns + 4 });
          rmsNorm(program, from, vector(program, weight), out, EPS);
          return out;
        }, (values) => assertClose(values, rms(x, weight, EPS), { rms: RMS, dtype: precision }, name));
      });

      test(`layer norm, ${name}`, () => {
        const modulation = rounded(random.normals(2 * columns, 0.5), "f32");
        const [shift, scale] = [modulation.subarray(0, columns), modulation.subarray(columns)];
        const tolerance = { rms: RMS * (1 + mean / size / 10), dtype: precision };
        return execute(engine, (program) => {
          const out = put(program, null, rows, columns, { offset: 3 + odd, stride: columns + 3 + odd });
          const vectors = put(program, modulation, 2, columns, { dtype: "f32", offset: 8 });
          const from = put(program, x, rows, columns, { dtype: "f32", offset: 4 });
          layerNorm(program, from, { shift: vectors.rowRange(0, 1), scale: vectors.rowRange(1, 1) }, out, EPS);
          return out;
        }, (values) => assertClose(values, modulatedNorm(x, shift, scale, EPS), tolerance, name));
      });
    }

    for (const [height, width, channels, groups, mean] of /** @type {const} */ ([
      [1, 1, 32, 32, 0], [3, 5, 64, 32, 0], [7, 9, 96, 32, 30], [40, 33, 32, 32, 0], [61, 70, 128, 8, 100], [3, 3, 1028, 4, 1],
      [37, 41, 48, 12, 1000], [9, 11, 20, 5, 1000],
    ])) {
      for (const smooth of [false, true]) {
        const name = `group norm, ${height}x${width}x${channels} in ${groups}, mean ${mean}${smooth ? ", silu, in place" : ""}`;
        test(name, () => {
          const pixels = height * width;
          const x = rounded(random.normals(pixels * channels, 1, mean), precision);
          const weight = rounded(random.normals(channels, 0.3, 1), "f32");
          const bias = rounded(random.normals(channels, 0.3), "f32");
          const normed = groupNormed(x, weight, bias, { groups, eps: EPS });
          const expected = smooth ? normed.map(silu) : normed;
          // the mean itself is an f32 number: its rounding is this share of the deviation
          const tolerance = { rms: RMS + mean * 2 ** -24, dtype: precision };
          return execute(engine, (program) => {
            const map = { height, width, tensor: put(program, x, pixels, channels) };
            const out = smooth ? map.tensor : put(program, null, pixels, channels);
            const affine = { weight: vector(program, weight), bias: vector(program, bias) };
            groupNorm(program, map, affine, out, { groups, eps: EPS, silu: smooth });
            return out;
          }, (values) => assertClose(values, expected, tolerance, name));
        });
      }
    }

    test("group norm of a map in several chunks, one group far from the others", () => {
      const [pixels, channels, groups] = [70 * 67, 8, 2];
      const x = rounded(random.normals(pixels * channels).map((value, i) => (i % channels < 4 ? value : 5000 + 0.5 * value)), "f32");
      const ones = new Float64Array(channels).fill(1);
      const expected = groupNormed(x, ones, new Float64Array(channels), { groups, eps: EPS });
      return execute(engine, (program) => {
        const out = put(program, null, pixels, channels, { dtype: "f32" });
        const map = { height: 70, width: 67, tensor: put(program, x, pixels, channels, { dtype: "f32" }) };
        groupNorm(program, map, { weight: vector(program, ones), bias: vector(program, new Float64Array(channels)) }, out, { groups, eps: EPS });
        return out;
      }, (values) => assertClose(values, expected, { rms: 10000 * 2 ** -24 }, "far group"));
    });

    test("group norm refuses channels that do not divide", () => {
      const program = engine.program("refused");
      const map = { height: 1, width: 2, tensor: put(program, null, 2, 12) };
      const affine = { weight: vector(program, new Float64Array(12)), bias: vector(program, new Float64Array(12)) };
      assert.throws(() => groupNorm(program, map, affine, map.tensor, { groups: 5, eps: EPS }), RangeError);
      program.destroy();
    });

    for (const layout of /** @type {const} */ (["half", "interleaved"])) {
      for (const [rows, heads, headDim, begin] of /** @type {const} */ ([[1, 1, 8, 0], [7, 3, 24, 2], [33, 2, 64, 0], [5, 1, 128, 11], [2, 2, 256, 1]])) {
        const options = { headDim, eps: EPS, layout };

        /** @param {number} count rows @param {number} parts heads of a row @param {number} from position of row 0 */
        const draw = (count, parts, from) => {
          const x = rounded(random.normals(count * parts * headDim, 3), precision);
          const weight = rounded(random.normals(headDim, 0.3, 1), "f32");
          const turned = (/** @type {Float64Array} */ angles) => (
            rotate(rms(x, weight, EPS), angles.subarray(from * (headDim / 2)), { headDim, heads: parts, layout }));
          return { x, weight, turned };
        };
        const angles = random.normals((begin + rows + 3) * (headDim / 2), 3);
        const table = rounded(Array.from(angles).flatMap((angle) => [Math.cos(angle), Math.sin(angle)]), "f32");
        const shape = `${layout}, ${rows} rows, ${heads} heads of ${headDim}, from position ${begin}`;

        test(`q or k, ${shape}`, () => {
          const q = draw(rows, heads, begin);
          return execute(engine, (program) => {
            const x = put(program, q.x, rows, heads * headDim, { offset: 8, stride: heads * headDim + 12 });
            const turns = put(program, table, begin + rows + 3, headDim, { dtype: "f32", after: 0 });
            qkNormRope(program, [{ x, weight: vector(program, q.weight), positionBegin: begin }], turns, options);
            return x;
          }, (values) => assertClose(values, q.turned(angles), { rms: RMS, dtype: precision }, shape));
        });

        // k has fewer heads, other rows and another position; in the buffer of q right of it, or in one of its own
        for (const apart of [false, true]) {
          for (const wanted of /** @type {const} */ (["q", "k"])) {
            test(`${wanted} of q and k, ${shape}${apart ? ", two buffers" : ""}`, () => {
              const [q, k] = [draw(rows, heads + 1, begin), draw(rows + 3, heads, 0)];
              const [width, part] = [(heads + 1) * headDim, heads * headDim];
              const joint = new Float64Array((rows + 3) * (width + part));
              for (let row = 0; row < rows + 3; row++) {
                if (row >= 3) joint.set(q.x.subarray((row - 3) * width, (row - 2) * width), row * (width + part));
                joint.set(k.x.subarray(row * part, (row + 1) * part), row * (width + part) + width);
              }
              return execute(engine, (program) => {
                const all = put(program, joint, rows + 3, width + part);
                const x = apart ? put(program, q.x, rows, width) : all.columnRange(0, width).rowRange(3, rows);
                const y = apart ? put(program, k.x, rows + 3, part) : all.columnRange(width, part);
                const turns = put(program, table, begin + rows + 3, headDim, { dtype: "f32", after: 0 });
                qkNormRope(program, [
                  { x, weight: vector(program, q.weight), positionBegin: begin }, { x: y, weight: vector(program, k.weight) },
                ], turns, options);
                if (apart) return wanted === "q" ? x : y;
                const out = put(program, null, wanted === "q" ? rows : rows + 3, wanted === "q" ? width : part, { dtype: "f32" });
                copy(program, wanted === "q" ? x : y, out);
                return out;
              }, (values) => assertClose(values, (wanted === "q" ? q : k).turned(angles), { rms: RMS, dtype: precision }, shape));
            });
          }
        }
      }
    }

    test("q and k whose rows do not start at multiples of 4 elements are refused", () => {
      const program = engine.program("refused");
      const x = program.tensor(2, 18);
      const weight = vector(program, new Float64Array(8));
      const table = program.tensor(2, 8, "f32");
      const options = /** @type {const} */ ({ headDim: 8, eps: EPS, layout: "half" });
      assert.throws(() => qkNormRope(program, [{ x: x.columnRange(0, 16), weight }], table, options), RangeError);
      program.destroy();
    });
  });
}
