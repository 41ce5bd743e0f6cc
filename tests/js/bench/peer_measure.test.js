/** How the peer benchmark times a job, and that it looks at the result. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { measure } from "../../bench/page/measure.js";
import { byteLength, randomBits } from "../../bench/page/random_values.js";

/** @typedef {import("../../bench/page/worker.js").Prepared} Prepared */

/**
 * @param {ArrayBuffer} result
 * @param {{type?: "float16"|"float32", wait?: number}} [options] wait: ms of a run
 * @returns {Prepared & {asked: number[]}} asked: the repeats of each call
 */
function job(result, { type = "float32", wait = 0 } = {}) {
  /** @type {number[]} */
  const asked = [];
  return {
    asked, type,
    async run(repeats) {
      asked.push(repeats);
      const end = performance.now() + wait * repeats;
      while (performance.now() < end);
    },
    sample: async () => result,
    release: async () => {},
  };
}

const good = () => /** @type {ArrayBuffer} */ (Float32Array.from({ length: 64 }, () => Math.random() - 0.5).buffer);

test("short runs are repeated in a round, and a round's time is that of one run", async () => {
  const short = job(good(), { wait: 10 });
  const ms = await measure(short);
  assert.deepEqual(short.asked.slice(0, 2), [1, 1], "a cold run, and one to see how long it takes");
  const [, , repeats = 0, ...rest] = short.asked;
  assert.ok(repeats > 1 && repeats * 10 <= 160, `${repeats} repeats`);
  assert.deepEqual(rest, [repeats, repeats]);
  assert.equal(ms.length, 3);
  for (const value of ms) assert.ok(value >= 10 && value < 10 * repeats, `${value} ms`);
});

test("a run that takes a whole round counts as one", async () => {
  const long = job(good(), { wait: 160 });
  assert.equal((await measure(long)).length, 3);
  assert.deepEqual(long.asked, [1, 1, 1, 1]);
});

for (const [name, bad] of /** @type {const} */ ([["NaN", NaN], ["infinity", -Infinity]])) {
  test(`a result with ${name} is an error`, async () => {
    const values = new Float32Array(good());
    values[7] = bad;
    await assert.rejects(measure(job(values.buffer)), /infinities or NaN/);
  });
}

test("half precision's infinity is seen, its largest value is none", async () => {
  const halves = Uint16Array.from({ length: 32 }, (_, i) => 0x3c00 + i);
  halves[3] = 0x7bff;
  await measure(job(halves.buffer, { type: "float16" }));
  halves[3] = 0xfc00;
  await assert.rejects(measure(job(halves.buffer, { type: "float16" })), /infinities/);
});

test("a constant result is an error", async () => {
  await assert.rejects(measure(job(new Float32Array(64).buffer)), /constant/);
});

test("random inputs have the asked size, and repeat only after a million values", () => {
  for (const type of /** @type {const} */ (["float16", "float32"])) {
    const count = 2_345_678;
    const bits = randomBits(type, count);
    assert.equal(bits.byteLength, byteLength(count, type));
    assert.ok(new Set(bits.subarray(0, 4096)).size > 2000);
    assert.notDeepEqual(bits.subarray(0, 64), bits.subarray(999_936, 1_000_000));
    assert.ok(bits.at(-1) !== 0 || bits.at(-2) !== 0, "filled to the end");
  }
});
