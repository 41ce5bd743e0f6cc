/**
 * Rates and percentages of the benchmark, and its options.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_PEAK, rated } from "../../../src_js/bench/rating.js";
import { usedSizes } from "../../../src_js/bench/sizes.js";
import { timeWarm } from "../../../src_js/bench/wall_clock.js";
import { DEFAULT_OPTIONS, checkOptions } from "../../../src_js/bench_protocol.js";
import { percentile } from "../../../src_js/statistics.js";
import { testRandom } from "../support/random.js";

const random = testRandom("rating.test.js");
const PEAK = { f32Tflops: 10, f16Tflops: 20, copyGigabytesPerSecond: 500, tflops: 20 };

test("arithmetic is rated by the peak of the float type, bytes by the copy bandwidth", () => {
  const kernel = rated({ group: "kernel", name: "a", seconds: 0.25, flops: 1e12 }, PEAK);
  assert.deepEqual(kernel, { group: "kernel", name: "a", seconds: 0.25, flops: 1e12, tflops: 4, percent: 20 });
  const norm = rated({ group: "kernel", name: "b", seconds: 0.5, bytes: 50e9 }, PEAK);
  assert.deepEqual(norm, { group: "kernel", name: "b", seconds: 0.5, bytes: 50e9, gigabytesPerSecond: 100, percent: 20 });
});

test("a peak is no share of itself, and nothing is made up without a peak or a time", () => {
  assert.equal(rated({ group: "peak", name: "fma", seconds: 1, flops: 1e12 }, PEAK).percent, undefined);
  assert.equal(rated({ group: "kernel", name: "a", seconds: 1, flops: 1e12 }, NO_PEAK).percent, undefined);
  assert.deepEqual(rated({ group: "memory", name: "m", bytes: 5 }, PEAK), { group: "memory", name: "m", bytes: 5 });
  assert.deepEqual(rated({ group: "start", name: "s", seconds: 2 }, PEAK), { group: "start", name: "s", seconds: 2 });
  assert.deepEqual(rated({ group: "kernel", name: "e", error: "x" }, PEAK), { group: "kernel", name: "e", error: "x" });
});

test("percentiles are values of the list, whatever its order", () => {
  for (const count of [1, 2, 3, 19, 20, 21, 100]) {
    const values = Array.from(random.normals(count));
    for (const share of [0, 0.05, 0.5, 0.95, 1]) {
      const found = percentile(values, share);
      const below = values.filter((value) => value < found).length;
      const notAbove = values.filter((value) => value <= found).length;
      assert.ok(below <= share * count && notAbove >= share * count, `${share} of ${count}`);
    }
  }
  assert.ok(Number.isNaN(percentile([], 0.5)));
});

/** @param {number[]} milliseconds of each run, the last one's repeated */
async function warm(milliseconds) {
  let now = 0;
  let runs = 0;
  const seconds = await timeWarm(async () => {
    now += milliseconds[Math.min(runs++, milliseconds.length - 1)] ?? 0;
  }, () => now);
  return { seconds, runs };
}

test("the first run is not counted, and slow work is not repeated for ever", async () => {
  assert.deepEqual(await warm([9000, 1, 2, 3, 2, 2, 2, 2, 2, 2]), { seconds: 0.002, runs: 10 });
  assert.deepEqual(await warm([500, 400]), { seconds: 0.4, runs: 4 });
  assert.deepEqual(await warm([5000]), { seconds: 5, runs: 2 });
});

test("options that are not given have defaults; sizes are sorted and told once", () => {
  assert.deepEqual(checkOptions({}), DEFAULT_OPTIONS);
  assert.deepEqual(checkOptions({ sizes: [512, 256, 512] }).sizes, [256, 512]);
  assert.deepEqual(usedSizes(checkOptions({ sizes: [96] }), "klein4b"), [96]);
  assert.deepEqual(usedSizes(checkOptions({}), "klein4b"), [256, 512, 768, 1024]);
  assert.equal(usedSizes(checkOptions({ quick: true }), "klein4b").length, 1);
});

test("options that make no sense are refused by name", () => {
  /** @type {[import("../../../src_js/bench_protocol.js").BenchOptions[keyof import("../../../src_js/bench_protocol.js").BenchOptions] | null, string][]} */
  const bad = [
    ["f64", "precision"], ["klein9b", "model"], ["tensor", "family"], ["q8", "format"], [24, "blockSize"], ["no", "zeroPoints"], [null, "quick"],
    ["512", "sizes"], [-1, "steps"], [1.5, "steps"], [101, "steps"], [null, "build"],
  ];
  for (const [value, name] of bad) assert.throws(() => checkOptions({ [name]: value }), { code: "bad-input", message: new RegExp(` ${name} `) });
  for (const sizes of [[100], [0], [4096], [512.5], ["512"], Array.from({ length: 9 }, () => 64)]) {
    assert.throws(() => checkOptions({ sizes }), { code: "bad-input", message: / sizes / });
  }
});
