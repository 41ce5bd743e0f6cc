/** Rotary tables and timestep embedding: small numbers against float64 formulas. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { axesRope, jointPositions, textRope } from "../../../src_js/pipeline/rope.js";
import { timestepEmbedding } from "../../../src_js/pipeline/timestep.js";

const close = (/** @type {number | undefined} */ actual, /** @type {number} */ expected, /** @type {number} */ bar) =>
  assert.ok(Math.abs((actual ?? NaN) - expected) <= bar, `${actual} for ${expected}`);

test("text positions turn by theta^(-2i / headDim)", () => {
  const table = textRope(512, 16, 1e6);
  for (const [p, i] of /** @type {const} */ ([[0, 0], [1, 7], [511, 0], [511, 3], [300, 5]])) {
    const angle = p * 1e6 ** (-2 * i / 16);
    close(table[p * 16 + 2 * i], Math.cos(angle), 4e-5);        // float32 angles, as the reference has them
    close(table[p * 16 + 2 * i + 1], Math.sin(angle), 4e-5);
  }
});

test("joint positions: text counts on the last axis, the picture on rows and columns", () => {
  const ids = jointPositions(3, 2, 4);
  assert.deepEqual([...ids.subarray(0, 12)], [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2]);
  assert.deepEqual([...ids.subarray(12 + 5 * 4, 12 + 6 * 4)], [0, 1, 1, 0]);
  const table = axesRope(ids, [2, 4, 4, 2], 2000);
  assert.equal(table.length, 11 * 12);
  // token 5 of the picture: row 1, column 1; the row's angles come after the first axis's one
  const row = table.subarray((3 + 5) * 12);
  close(row[2], Math.cos(1), 1e-7);
  close(row[4], Math.cos(2000 ** -0.5), 1e-7);
  close(row[7], Math.sin(1), 1e-7);
  assert.deepEqual([row[0], row[1]], [1, 0]);
});

test("timestep embedding: cosines, then sines, of 1000 sigma", () => {
  const embedding = timestepEmbedding(Math.fround(0.75), 8);
  for (let i = 0; i < 4; i++) {
    const angle = 750 * 10000 ** (-i / 4);
    close(embedding[i], Math.cos(angle), 1e-4);
    close(embedding[4 + i], Math.sin(angle), 1e-4);
  }
});
