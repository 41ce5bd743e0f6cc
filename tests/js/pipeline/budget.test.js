/** The memory budget: what fits, what is refused and in which words, on the real model's shapes without a GPU. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { KleinbildError } from "../../../src_js/errors.js";
import { DEFAULT_BUDGET_BYTES, defaultBudget, memoryNeeds, planWithin } from "../../../src_js/pipeline/budget.js";
import { planPicture } from "../../../src_js/pipeline/plan.js";
import { syntheticManifest } from "../../../src_js/synthetic_manifest.js";
import { deviceInfo } from "../support/device_info.js";
import { testRandom } from "../support/random.js";

const random = testRandom("budget.test.js");
const config = JSON.parse(readFileSync(new URL("../../../src_js/bench/klein4b.json", import.meta.url), "utf8"));
const manifest = syntheticManifest(config, { format: "q4", blockSize: 32 });
const engine = { info: deviceInfo() };

/** @param {number} width @param {number} height @param {number} budget @param {{info: ReturnType<typeof deviceInfo>}} [on] */
const plan = (width, height, budget, on = engine) => planWithin(on, manifest, { width, height, steps: 4 }, budget);

/** @param {() => void} work @returns {KleinbildError} what it throws */
function refusalOf(work) {
  try {
    work();
  } catch (error) {
    if (error instanceof KleinbildError) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: "nothing was refused" });
}

/** @param {string} message @returns {[number, number]} the size that it names last */
function sizeIn(message) {
  const [, width, height] = /fits has (\d+)x(\d+)/.exec(message) ?? [];
  return [Number(width), Number(height)];
}

describe("memory budget", () => {
  test("the machine in mind draws 1024x1024, whatever the way weights are stored", () => {
    assert.equal(DEFAULT_BUDGET_BYTES, 8.25e9);
    for (const storage of /** @type {const} */ ([
      { format: "q4", blockSize: 16, zeroPoints: true }, { format: "q4", blockSize: 128, zeroPoints: false },
      { format: "q4", blockSize: 32, zeroPoints: true },
    ])) {
      const size = { width: 1024, height: 1024, steps: 4 };
      const needs = memoryNeeds(planWithin(engine, syntheticManifest(config, storage), size, DEFAULT_BUDGET_BYTES));
      assert.ok(needs.whole <= DEFAULT_BUDGET_BYTES, `${JSON.stringify(storage)}: ${needs.whole}`);
    }
  });

  test("a GPU that tells its memory sets the budget", () => {
    assert.equal(defaultBudget({}), DEFAULT_BUDGET_BYTES);
    assert.equal(defaultBudget({ memoryBytes: 4e9 }), 3.6e9);
    assert.equal(defaultBudget({ memoryBytes: 24e9 }), 21.6e9);
  });

  test("what needs no more than the budget is planned, one byte less is refused", () => {
    const { least } = memoryNeeds(plan(512, 512, Infinity));     // the steps need most: bands of the decoder's maps would not help
    assert.equal(memoryNeeds(plan(512, 512, least)).least, least);
    assert.equal(refusalOf(() => plan(512, 512, least - 1)).code, "too-large");
  });

  test("previews are planned where they fit, and a picture is not refused for them", () => {
    const shown = (/** @type {number} */ budget) => planWithin(engine, manifest, { width: 512, height: 512, steps: 4, preview: true }, budget);
    const plain = plan(512, 512, Infinity);
    const { least } = memoryNeeds(shown(Infinity));
    assert.ok(least > memoryNeeds(plain).least, "the decoder's weights lie beside the transformer's");
    assert.ok(shown(least).preview);
    assert.deepEqual(shown(least - 1), plain);
    assert.equal(refusalOf(() => shown(memoryNeeds(plain).least - 1)).message, refusalOf(() => plan(512, 512, memoryNeeds(plain).least - 1)).message);
    const narrow = { info: deviceInfo({ limits: { ...engine.info.limits, maxStorageBufferBindingSize: 3e8, maxBufferSize: 3e8 } }) };
    const banded = planWithin(narrow, manifest, { width: 1024, height: 1024, steps: 4, preview: true }, 1e11);
    assert.ok(banded.preview && banded.mapBytes < Infinity, "whose picture is decoded in bands");
  });

  test("a refusal says need, budget and the largest picture of that shape, which is then drawn", () => {
    const smallest = memoryNeeds(plan(16, 16, Infinity)).least;
    for (let round = 0; round < 4; round++) {
      const [width, height] = [16 * (40 + random.integer(89)), 16 * (40 + random.integer(89))];
      const need = memoryNeeds(planPicture(engine, manifest, { width, height, steps: 4, mapBytes: 2 ** 26 })).least;
      const budget = smallest + Math.floor(random.next() * (need - 1 - smallest));
      const { code, message } = refusalOf(() => plan(width, height, budget));
      const name = `${width}x${height} in ${budget}`;
      assert.equal(code, "too-large");
      assert.ok(message.includes(`${width}x${height}`) && message.includes((Math.ceil(need / 1e7) / 100).toFixed(2)), message);
      const [w, h] = sizeIn(message);
      assert.ok(w % 16 === 0 && h % 16 === 0 && w > 0 && h > 0, `${name}: ${message}`);
      assert.ok(w < width || h < height, name);
      assert.ok(memoryNeeds(plan(w, h, budget)).least <= budget, name);
      const long = Math.max(w, h) + 16;
      const [more, higher] = [width, height].map((side) => Math.max(16, Math.floor((side * long) / Math.max(width, height) / 16) * 16));
      if (long < Math.max(width, height)) {
        assert.equal(refusalOf(() => plan(more ?? 0, higher ?? 0, budget)).code, "too-large", `${name}: one size up fits, too`);
      }
    }
  });

  test("a budget that holds no size at all is said to", () => {
    const { message } = refusalOf(() => plan(256, 256, 1e9));
    assert.match(message, /No size fits/);
  });

  /** @param {number} bytes the largest binding */
  const limited = (bytes) => ({
    info: deviceInfo({ limits: { ...engine.info.limits, maxStorageBufferBindingSize: bytes, maxBufferSize: 2 ** 34 } }),
  });

  test("maps beyond the GPU's largest buffer, or beyond the budget, lie in bands", () => {
    const whole = plan(1024, 1024, Infinity);
    assert.equal(whole.mapBytes, Infinity);
    assert.equal(plan(1024, 1024, Infinity, limited(whole.largestBytes)).mapBytes, Infinity);
    const banded = plan(1024, 1024, Infinity, limited(whole.largestBytes - 1));
    assert.ok(banded.mapBytes < whole.largestBytes && banded.largestBytes < whole.largestBytes);
    assert.ok(banded.workBytes.vae_decoder < whole.workBytes.vae_decoder);
    assert.deepEqual(banded.programs.step, whole.programs.step);
    const { least } = memoryNeeds(plan(2048, 2048, Infinity));
    const tight = plan(2048, 2048, least - 1);
    assert.ok(tight.mapBytes < Infinity && memoryNeeds(tight).least < least);
  });

  test("with WebGPU's smallest limits 512x512 is drawn", () => {
    const { largestBytes } = plan(512, 512, DEFAULT_BUDGET_BYTES, limited(2 ** 27));
    assert.ok(largestBytes <= 2 ** 27);
  });

  test("a tensor beyond the GPU's largest buffer that cannot be cut is refused, however large the budget", () => {
    const { largestBytes } = planPicture(engine, manifest, { width: 1024, height: 1024, steps: 4, mapBytes: 2 ** 20 });
    const { code, message } = refusalOf(() => plan(1024, 1024, 1e12, limited(largestBytes - 1)));
    assert.equal(code, "too-large");
    assert.match(message, /needs a GPU buffer of/);
    const [w, h] = sizeIn(message);
    assert.deepEqual([w, h], [1008, 1008]);
    assert.ok(plan(w, h, Infinity, limited(largestBytes - 1)).largestBytes < largestBytes);
  });
});
