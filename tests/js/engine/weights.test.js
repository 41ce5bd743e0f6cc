/**
 * loadStage on shards in the packager's layout: every format, sections and vectors found where they lie, a q4 weight split over
 * two shards. What it finds is multiplied, so a wrong offset or stride is a wrong product.
 */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { conv2d } from "../../../src_js/engine/ops/conv2d.js";
import { linear } from "../../../src_js/engine/ops/linear.js";
import { rmsNorm } from "../../../src_js/engine/ops/norms.js";
import { loadStage } from "../../../src_js/engine/weights.js";
import { openEngine } from "../support/gpu.js";
import { testRandom } from "../support/random.js";
import { assertClose, at, matmul, rounded } from "../support/reference.js";
import { execute, put, vector } from "../support/tensors.js";
import { convMatrix, packPart, randomMatrix } from "../support/weights.js";

/** @typedef {import("../../../src_js/manifest.js").Manifest} Manifest */
/** @typedef {import("../support/weights.js").Matrix} Matrix */

const random = testRandom("weights.test.js");
const vectorValues = rounded(random.normals(13), "f32");

/** @type {{name: string, kind: string, shape: number[], matrix: Matrix, rows: number[]}[]} rows: of each part */
const WEIGHTS = [
  { name: "q4", kind: "linear", shape: [37, 148], matrix: randomMatrix(random, 37, 148, { format: "q4", block: 16, zeroPoints: true }), rows: [21, 16] },
  { name: "q4 sym", kind: "linear", shape: [5, 96], matrix: randomMatrix(random, 5, 96, { format: "q4", block: 32 }), rows: [2, 3] },
  { name: "f16", kind: "linear", shape: [9, 21], matrix: randomMatrix(random, 9, 21, { format: "f16" }), rows: [9] },
  { name: "f32", kind: "linear", shape: [6, 20], matrix: randomMatrix(random, 6, 20, { format: "f32" }), rows: [1, 5] },
  { name: "conv", kind: "conv", shape: [7, 4, 1, 1], matrix: convMatrix(random.normals(7 * 4), [7, 4, 1, 1], "f16"), rows: [7] },
];

/** The first part of each weight lies in shard 0, the others in shard 1, a vector at the end of it. */
function packed() {
  /** @type {[number[], number[]]} */
  const shards = [Array.from({ length: 256 }, () => 0xee), []];
  const tensors = WEIGHTS.map(({ name, kind, shape, matrix, rows }) => {
    let row = 0;
    const parts = rows.map((count, i) => {
      const shard = i ? shards[1] : shards[0];
      const { bytes } = packPart(matrix, row, count);
      const part = { shard: i ? 1 : 0, row_start: row, row_count: count, offset: shard.length, length: bytes.length };
      shard.push(...bytes);
      row += count;
      return part;
    });
    const { format, block = 0, zeroPoints = false } = matrix.format;
    return { name, stage: "transformer", kind, shape, format, block_size: block, zero_points: zeroPoints, parts };
  });
  const vector = new Uint8Array(256);
  new Float32Array(vector.buffer).set(vectorValues);
  const part = { shard: 1, row_start: 0, row_count: 13, offset: shards[1].length, length: 52 };
  shards[1].push(...vector);
  const tail = { name: "v", stage: "transformer", kind: "vector", shape: [13], format: "f32", block_size: 0, zero_points: false, parts: [part] };
  const refs = shards.map((bytes, i) => ({ path: `w/${i}.bin`, sha256: String(i), bytes: bytes.length }));
  const manifest = /** @type {Manifest} */ (/** @type {unknown} */ ({
    stages: [{ name: "transformer", shards: [0, 1] }], tensors: [...tensors, tail], shards: refs,
  }));
  return { manifest, files: shards.map((bytes) => Uint8Array.from(bytes)) };
}

describe("stage weights", () => {
  const { manifest, files } = packed();
  /** @type {import("../../../src_js/engine/engine.js").Engine} */
  let engine;
  /** @type {import("../../../src_js/engine/weights.js").StageWeights} */
  let stage;
  before(async () => {
    engine = await openEngine("f32");
    stage = await loadStage(engine, manifest, "transformer", (sha256, offset, target) => {
      const file = /** @type {Uint8Array} */ (files[Number(sha256)]);
      target.set(file.subarray(offset, offset + target.length));
    }, { staging: { slotBytes: 512, slots: 3 } });              // many times around, as with a real model
  });
  after(() => {
    stage.destroy();
    engine.destroy();
  });

  for (const { name, shape, matrix, rows } of WEIGHTS) {
    test(name, async () => {
      const weight = stage.get(name);
      assert.deepEqual(weight.shape, shape);
      assert.deepEqual(weight.parts.map((part) => part.rowCount), rows);
      const { n, k } = matrix;
      const x = rounded(random.normals(3 * k), "f32");
      await execute(engine, (program) => {
        const out = put(program, null, 3, n);
        if (shape.length === 4) {
          const [width, height] = /** @type {const} */ ([3, 1]);
          const map = { width, height, tensor: put(program, x, 3, k) };
          conv2d(program, map, weight, vector(program, new Float64Array(n)), { width, height, tensor: out });
        } else linear(program, put(program, x, 3, k), weight, out);
        return out;
      }, (values) => assertClose(values, matmul(x, matrix.values, { m: 3, n, k }), { rms: 5e-6 }, name));
    });
  }

  test("a vector", async () => {
    const { offset, size } = stage.vector("v");
    assert.equal(offset, at(files.map((file) => file.length), 1) - 256);
    assert.ok(size >= 13 * 4 && size <= 256 && size % 4 === 0, `${size} bytes`);
    await execute(engine, (program) => {
      const out = put(program, null, 1, 13);
      // the norm of a row of ones is the row of weights
      rmsNorm(program, put(program, new Float64Array(13).fill(1), 1, 13), stage.vector("v"), out, 0);
      return out;
    }, (values) => assertClose(values, vectorValues, { rms: 1e-6 }, "vector"));
  });
});
