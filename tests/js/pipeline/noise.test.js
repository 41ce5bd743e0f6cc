/** The starting noise against torch's own values (tests/golden/make_noise.py), bit for bit. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { packLatents, unpackLatents } from "../../../src_js/pipeline/latents.js";
import { Mt19937 } from "../../../src_js/pipeline/mt19937.js";
import { fma32, torchRandn } from "../../../src_js/pipeline/noise.js";

const golden = JSON.parse(readFileSync(new URL("../../golden/noise_torch.json", import.meta.url), "utf8"));

test("the generator is MT19937", () => {
  // The 10 000th output for the default seed, from the C++ standard ([rand.predef]).
  const generator = new Mt19937(5489);
  let value = 0;
  for (let i = 0; i < 10_000; i++) value = generator.nextInt32();
  assert.equal(value >>> 0, 4123659995);
});

for (const { seed, count, sha256, first, last } of golden.cases) {
  test(`torch.randn(${count}) with seed ${seed}`, () => {
    const values = torchRandn(BigInt(seed), count);
    assert.equal(values.length, count);
    assert.deepEqual([...values.subarray(0, 4)], first);
    assert.deepEqual([...values.subarray(Math.max(0, count - 4))], last);
    assert.equal(createHash("sha256").update(new Uint8Array(values.buffer)).digest("hex"), sha256);
  });
}

test("torch takes the low 32 bits of a seed", () => {
  assert.deepEqual(torchRandn(2n ** 32n + 5n, 40), torchRandn(5n, 40));
  assert.notDeepEqual(torchRandn(5n, 40), torchRandn(6n, 40));
});

test("no values, and what is no seed or count", () => {
  assert.equal(torchRandn(0n, 0).length, 0);
  for (const seed of [-1n, 2n ** 64n, /** @type {any} */ (1)]) {
    assert.throws(() => torchRandn(seed, 16), { code: "bad-input" });
  }
  for (const count of [-1, 1.5, NaN, Infinity]) {
    assert.throws(() => torchRandn(0n, count), { code: "bad-input" });
  }
});

test("a fused multiply-add rounds once", () => {
  const ulp = 2 ** -23;
  // a*b = (1 - 2^-46) ulp/2: the double sum drops the 2^-46 and would tie to even.
  const a = 2 ** -12 * (1 + ulp);
  const b = 2 ** -12 * (1 - ulp);
  assert.equal(fma32(a, b, 1 + ulp), 1 + ulp); // just below the middle of 1 + ulp and 1 + 2 ulp
  assert.equal(fma32(-a, b, 1 + ulp), 1 + ulp); // just above the middle of 1 and 1 + ulp
  assert.equal(fma32(a, b, -1 - ulp), -1 - ulp);
  assert.equal(fma32(a, b, 1), 1); // here the tie would have been right
  assert.equal(fma32(ulp / 2, 1, 1), 1); // a true tie goes to even
  assert.equal(fma32(ulp / 2, 1, 1 + ulp), 1 + 2 * ulp);
  assert.equal(fma32(3, 5, -15), 0);
});

test("a picture's noise takes little time", () => {
  torchRandn(1n, 16384);
  const begin = performance.now();
  torchRandn(2n, 128 * 64 * 64);
  const milliseconds = performance.now() - begin;
  assert.ok(milliseconds < 1000, `${milliseconds.toFixed(0)} ms`);
});

test("latents are packed row by row and back", () => {
  const planes = Float32Array.from({ length: 2 * 2 * 3 }, (_, i) => i); // [2 channels, 2 rows, 3 columns]
  const tokens = packLatents(planes, 2, 2, 3);
  assert.deepEqual([...tokens], [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]);
  assert.deepEqual(unpackLatents(tokens, 2, 2, 3), planes);
  assert.throws(() => packLatents(planes, 2, 2, 2), { code: "bad-input", message: /need 8 values, got 12/ });
  assert.throws(() => unpackLatents(planes, 3, 2, 3), { code: "bad-input" });
});
