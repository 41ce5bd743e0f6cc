/**
 * The elementwise kernels against float64: swiglu.wgsl, copy.wgsl, unpack_latents.wgsl, to_rgba.wgsl, both precisions.
 * Before the result is rounded it is good to a few ulp of f32 (exp, one division).
 */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { copy, swiglu, toRgba, unpackLatents } from "../../../src_js/engine/ops/elementwise.js";
import { openEngine } from "../support/gpu.js";
import { testRandom } from "../support/random.js";
import { assertClose, at, rounded, silu } from "../support/reference.js";
import { execute, put, vector } from "../support/tensors.js";

const random = testRandom("elementwise.test.js");
const RMS = 2e-6;

for (const precision of /** @type {const} */ (["f32", "f16"])) {
  describe(`elementwise, precision ${precision}`, () => {
    /** @type {import("../../../src_js/engine/engine.js").Engine} */
    let engine;
    before(async () => {
      engine = await openEngine(precision);
    });
    after(() => engine.destroy());

    for (const [rows, width, odd] of /** @type {const} */ ([[1, 1, 1], [3, 33, 0], [70, 48, 1], [5, 700, 0], [7, 36, 0]])) {   // rows of some start on fours
      test(`swiglu, ${rows} rows of ${width}`, () => {
        const x = rounded(random.normals(rows * 2 * width, 4), precision);
        const expected = Float64Array.from({ length: rows * width }, (_, i) => {
          const start = Math.floor(i / width) * 2 * width + (i % width);
          return silu(at(x, start)) * at(x, start + width);
        });
        return execute(engine, (program) => {
          const both = put(program, x, rows, 2 * width, { offset: 4 - odd, stride: 2 * width + 4 * (1 - odd) + odd });
          const out = put(program, null, rows, width, { offset: 8 + odd, stride: width + 4 });
          swiglu(program, both.columnRange(0, width), both.columnRange(width, width), out);
          return out;
        }, (values) => assertClose(values, expected, { rms: RMS, dtype: precision }, "swiglu"));
      });

      test(`copy, ${rows} rows of ${width}`, () => {
        const x = rounded(random.normals(rows * width), "f32");
        return execute(engine, (program) => {
          const out = put(program, null, rows, width, { offset: 4 + odd, stride: width + 8 });
          copy(program, put(program, x, rows, width, { dtype: "f32", offset: 4, stride: width + 4 + odd }), out);
          return out;
        }, (values) => assert.deepEqual(values, rounded(x, precision)));
      });
    }

    for (const [rows, width] of /** @type {const} */ ([[3, 33], [7, 36]])) {
      test(`copy with a limit, ${rows} rows of ${width}`, () => {
        const limit = 0.75;
        const x = rounded([...random.normals(rows * width - 4), limit, -limit, 3e38, -3e38], "f32");
        const expected = rounded(Array.from(x, (value) => Math.min(limit, Math.max(-limit, value))), precision);
        return execute(engine, (program) => {
          const out = put(program, null, rows, width, { offset: 4, stride: width + 8 });
          copy(program, put(program, x, rows, width, { dtype: "f32" }), out, limit);
          return out;
        }, (values) => assert.deepEqual(values, expected));
      });
    }

    test("swiglu of huge inputs saturates in f16 and stays finite", () =>
      execute(engine, (program) => {
        const both = put(program, rounded([60000, -60000, 300, 60000, 5, -60000], precision), 1, 6);
        const out = put(program, null, 1, 3);
        swiglu(program, both.columnRange(0, 3), both.columnRange(3, 3), out);
        return out;
      }, (values) => {
        assert.ok(values.every(Number.isFinite), String(values));
        if (precision === "f16") assert.deepEqual([values[0], values[2]], [65504, -65504]);
      }));

    for (const [height, width, channels] of /** @type {const} */ ([[1, 1, 4], [3, 2, 32], [5, 7, 8]])) {
      test(`unpack latents, ${height}x${width}, ${channels} channels`, () => {
        const packed = channels * 4;
        const tokens = rounded(random.normals(height * width * packed), "f32");
        const scale = rounded(random.normals(packed, 0.3, 1), "f32");
        const mean = rounded(random.normals(packed), "f32");
        const expected = new Float64Array(height * width * packed);
        for (let token = 0; token < height * width; token++) {
          for (let p = 0; p < packed; p++) {
            const [c, dy, dx] = [p >> 2, (p >> 1) & 1, p & 1];
            const y = Math.floor(token / width) * 2 + dy;
            const x = (token % width) * 2 + dx;
            expected[(y * 2 * width + x) * channels + c] = at(tokens, token * packed + p) * at(scale, p) + at(mean, p);
          }
        }
        return execute(engine, (program) => {
          const tensor = put(program, null, height * width * 4, channels);
          const from = put(program, tokens, height * width, packed, { dtype: "f32" });
          const norm = { scale: vector(program, scale), mean: vector(program, mean) };
          unpackLatents(program, from, norm, { height: 2 * height, width: 2 * width, tensor }, 2);
          return tensor;
        }, (values) => assertClose(values, expected, { rms: RMS, dtype: precision }, "unpack latents"));
      });
    }

    test("pixels: clamped, rounded with halves to even, opaque", async () => {
      // the same steps in float32: what the kernel computes is exact, so its levels are too
      const f32 = Math.fround;
      const scaled = (/** @type {number} */ x) => f32(f32(Math.min(1, Math.max(0, f32(x / 2 + 0.5)))) * 255);
      const even = (/** @type {number} */ y) => (y % 1 === 0.5 ? 2 * Math.round(y / 2) : Math.round(y));
      // every x whose level falls exactly between two: floats around (2 n + 1) / 255 - 1 for the n-th boundary
      const ties = Array.from({ length: 255 }, (_, n) => n + 0.5).flatMap((level) => {
        const near = f32(level / 255);
        return [-1, 0, 1].map((step) => 2 * (near + step * 2 ** -24) - 1).filter((x) => scaled(x) === level && f32(x) === x);
      });
      assert.ok(ties.length > 100, `${ties.length} ties`);
      const x = rounded([-9, -1, -0.999, 0, 0.5, 1, 7, -1e30, 1e30, ...ties, ...random.normals(500, 0.7)], "f32");
      const count = Math.floor(x.length / 3);
      const program = engine.program("pixels");
      try {
        const out = program.tensor(count, 1, "f32");
        toRgba(program, put(program, x.subarray(0, count * 3), count, 3, { dtype: "f32" }), out);
        await program.build();
        await engine.run(program);
        const bytes = new Uint8Array(await engine.readBytes(out.buffer, 0, count * 4));
        const expected = Array.from({ length: count * 4 }, (_, i) => (i % 4 === 3 ? 255 : even(scaled(at(x, (i >> 2) * 3 + (i % 4))))));
        assert.deepEqual([...bytes], expected);
      } finally {
        program.destroy();
      }
    });
  });
}
