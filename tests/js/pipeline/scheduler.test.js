/** The noise levels against numpy's (tests/golden/make_sigmas.py), bit for bit, and against diffusers' own. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { empiricalMu, sigmas } from "../../../src_js/pipeline/scheduler.js";

const golden = JSON.parse(readFileSync(new URL("../../golden/sigmas_numpy.json", import.meta.url), "utf8"));

for (const { tokens, max_steps: maxSteps, sha256_of_all_steps: sha256, sigmas: few } of golden.cases) {
  test(`sigmas of ${tokens} tokens`, () => {
    for (const [steps, expected] of Object.entries(few)) {
      assert.deepEqual([...sigmas(tokens, Number(steps))], expected);
    }
    const hash = createHash("sha256");
    for (let steps = 1; steps <= maxSteps; steps++) hash.update(new Uint8Array(sigmas(tokens, steps).buffer));
    assert.equal(hash.digest("hex"), sha256);
  });
}

test("sigmas of diffusers' runs", () => {
  const runs = /** @type {const} */ ([
    [16, [1, 0.95451534, 0.8749241, 0.69985425, 0]],
    [256, [1, 0.95539075, 0.87713426, 0.7041117, 0]],
  ]);
  for (const [tokens, expected] of runs) assert.deepEqual(sigmas(tokens, 4), Float32Array.from(expected));
});

test("mu changes its line beyond 4300 tokens", () => {
  assert.ok(Math.abs(empiricalMu(256, 4) - 1.965567) < 1e-6);
  assert.ok(Math.abs(empiricalMu(4096, 4) - 2.29118) < 1e-6);
  assert.equal(empiricalMu(4301, 4), empiricalMu(4301, 50));
  assert.notEqual(empiricalMu(4300, 4), empiricalMu(4300, 50));
});

test("counts that make no schedule are refused", () => {
  for (const [tokens, steps] of [[0, 4], [1.5, 4], [16, 0], [16, -1], [16, NaN], [NaN, 4]]) {
    assert.throws(() => sigmas(tokens ?? NaN, steps ?? NaN), { code: "bad-input" });
  }
});
