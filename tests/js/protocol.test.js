import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_SEED, checkSettings, floorSide } from "../../src_js/protocol.js";

/** @type {import("../../src_js/protocol.js").Settings} */
const GOOD = { prompt: "a fox", width: 64, height: 32, seed: 0n, steps: 4, latents: null };

test("sides are floored to multiples of 16", () => {
  assert.deepEqual([16, 31, 32, 500, 2048].map(floorSide), [16, 16, 32, 496, 2048]);
});

test("good settings pass, at both ends of every range", () => {
  checkSettings(GOOD);
  checkSettings({ ...GOOD, width: 16, height: 2048, steps: 1, seed: MAX_SEED, prompt: "" });
  checkSettings({ ...GOOD, steps: 100, latents: new Float32Array(128 * 4 * 2) });
});

/** @type {[string, object, RegExp][]} */
const BAD = [
  ["width below 16", { width: 0 }, /width/],
  ["width off the grid", { width: 65 }, /width/],
  ["height above 2048", { height: 2064 }, /height/],
  ["no steps", { steps: 0 }, /steps/],
  ["half a step", { steps: 1.5 }, /steps/],
  ["too many steps", { steps: 101 }, /steps/],
  ["a seed below zero", { seed: -1n }, /seed/],
  ["a seed of 65 bits", { seed: 2n ** 64n }, /seed/],
  ["a seed that is a number", { seed: 1 }, /seed/],
  ["latents of another type", { latents: [0, 1] }, /latents/],
  ["an endless prompt", { prompt: "x".repeat(100_001) }, /at most 100000/],
  ["a prompt that is no text", { prompt: null }, /prompt/],
];

for (const [name, change, message] of BAD) {
  test(`refuses ${name}`, () => {
    assert.throws(() => checkSettings(/** @type {any} */ ({ ...GOOD, ...change })), { code: "bad-input", message });
  });
}
