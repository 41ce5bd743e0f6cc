/** preview_latents.wgsl against float64, both precisions, odd sizes: the estimate, the batch norm's inverse and the mean. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { previewLatents } from "../../../src_js/engine/ops/preview_latents.js";
import { openEngine } from "../support/gpu.js";
import { testRandom } from "../support/random.js";
import { assertClose, at, rounded } from "../support/reference.js";
import { execute, put, vector } from "../support/tensors.js";

const random = testRandom("preview_latents.test.js");
const PATCH = 2;
/** The mean of up to a few hundred float32 terms, some of which cancel. */
const RMS = 3e-6;

/** @param {number} part @param {number} parts @param {number} length @returns {number[]} what falls to a part */
function share(part, parts, length) {
  const [begin, end] = [Math.floor((part * length) / parts), Math.ceil(((part + 1) * length) / parts)];
  return Array.from({ length: end - begin }, (_, i) => begin + i);
}

for (const precision of /** @type {const} */ (["f32", "f16"])) {
  describe(`latents of previews, precision ${precision}`, () => {
    /** @type {import("../../../src_js/engine/engine.js").Engine} */
    let engine;
    before(async () => {
      engine = await openEngine(precision);
    });
    after(() => engine.destroy());

    // tokens, channels, map that is wanted: as large as the latents, a whole factor smaller, one that divides nothing, one pixel
    for (const [height, width, channels, rows, columns] of /** @type {const} */ ([
      [1, 1, 4, 2, 2], [3, 2, 32, 6, 4], [4, 6, 8, 4, 6], [5, 7, 8, 3, 5], [9, 4, 4, 7, 3], [6, 5, 32, 1, 1],
    ])) {
      test(`${height}x${width} tokens of ${channels} channels to ${rows}x${columns}`, () => {
        const packed = channels * PATCH ** 2;
        const values = () => rounded(random.normals(height * width * packed), "f32");
        const [x, old] = [values(), values()];
        const [scale, mean] = [rounded(random.normals(packed, 0.3, 1), "f32"), rounded(random.normals(packed), "f32")];
        const ahead = Math.fround(random.next() * 4);
        const latent = (/** @type {number} */ row, /** @type {number} */ column, /** @type {number} */ channel) => {
          const p = (channel * PATCH + (row % PATCH)) * PATCH + (column % PATCH);
          const i = (Math.floor(row / PATCH) * width + Math.floor(column / PATCH)) * packed + p;
          return (at(x, i) + ahead * (at(x, i) - at(old, i))) * at(scale, p) + at(mean, p);
        };
        const expected = Float64Array.from({ length: rows * columns * channels }, (_, i) => {
          const pixel = Math.floor(i / channels);
          const [down, across] = [share(Math.floor(pixel / columns), rows, height * PATCH), share(pixel % columns, columns, width * PATCH)];
          const sum = down.reduce((all, row) => all + across.reduce((some, column) => some + latent(row, column, i % channels), 0), 0);
          return sum / (down.length * across.length);
        });
        return execute(engine, (program) => {
          const tokens = (/** @type {ArrayLike<number>} */ of) => put(program, of, height * width, packed, { dtype: "f32" });
          const tensor = put(program, null, rows * columns, channels);
          const io = { x: tokens(x), before: tokens(old), ahead: put(program, [ahead], 1, 1, { dtype: "f32" }), height, width };
          const norm = { scale: vector(program, scale), mean: vector(program, mean) };
          previewLatents(program, io, norm, { height: rows, width: columns, tensor }, PATCH);
          return tensor;
        }, (result) => assertClose(result, expected, { rms: RMS, dtype: precision }, "preview latents"));
      });
    }

    test("every latent counts, and a constant map stays what it is", () => execute(engine, (program) => {
      const tokens = put(program, new Float64Array(35 * 4).fill(3), 35, 4, { dtype: "f32" });
      const one = { scale: vector(program, [1, 1, 1, 1]), mean: vector(program, [0, 0, 0, 0]) };
      const io = { x: tokens, before: tokens, ahead: put(program, [1e6], 1, 1, { dtype: "f32" }), height: 5, width: 7 };
      const tensor = put(program, null, 12, 1);
      previewLatents(program, io, one, { height: 3, width: 4, tensor }, PATCH);
      return tensor;
    }, (values) => assert.deepEqual([...values], new Array(12).fill(3))));
  });
}
