import assert from "node:assert/strict";
import { test } from "node:test";
import { KleinbildError } from "../../../src_js/errors.js";
import { MOST_LOSSES, outliveLosses } from "../../../src_js/worker/resumption.js";

const STEP = { step: 2, latents: Float32Array.of(1) };
const failure = (/** @type {import("../../../src_js/errors.js").ErrorCode} */ code) => new KleinbildError(code, code);

/** @param {Error[]} failures of the first attempts, each of which finishes a step first @param {AbortController} [abort] */
async function run(failures, abort = new AbortController()) {
  /** @type {any[]} */
  const from = [];
  /** @type {{step: number, losses: number}[]} */
  const resumed = [];
  /** @type {number[]} */
  const pauses = [];
  const result = outliveLosses(async (finished, onStep) => {
    from.push(finished?.step);
    const error = failures.shift();
    if (error && asCode(error) !== "no-adapter") onStep({ ...STEP, step: (finished?.step ?? 1) + 1 });
    if (error) throw error;
    return "picture";
  }, {
    signal: abort.signal,
    onResume: (resumption) => resumed.push(resumption),
    pause: async (ms) => pauses.push(ms),
  });
  return { result: await result.catch((error) => error), from, resumed, pauses };
}

/** @param {Error} error */
const asCode = (error) => (error instanceof KleinbildError ? error.code : "internal");

test("what was finished last is handed to the next attempt", async () => {
  const { result, from, resumed } = await run([failure("device-lost"), failure("device-lost")]);
  assert.deepEqual([result, from, resumed], ["picture", [undefined, 2, 3], [{ step: 2, losses: 1 }, { step: 3, losses: 2 }]]);
});

test("one loss too many ends it", async () => {
  const { result, from } = await run(Array.from({ length: MOST_LOSSES }, () => failure("device-lost")));
  assert.deepEqual([asCode(result), from.length], ["device-lost", MOST_LOSSES]);
});

test("other failures are nobody's loss", async () => {
  for (const error of [failure("out-of-memory"), failure("cancelled"), failure("no-adapter"), new TypeError("x")]) {
    const { result, from } = await run([error]);
    assert.deepEqual([result, from.length], [error, 1]);
  }
});

test("after a loss the browser is given time to find the GPU again, but not for ever", async () => {
  const gone = (/** @type {number} */ times) => [failure("device-lost"), ...Array.from({ length: times }, () => failure("no-adapter"))];
  const back = await run(gone(3));
  assert.deepEqual([back.result, back.from, back.resumed.length], ["picture", [undefined, 2, 2, 2, 2], 1]);
  assert.deepEqual(back.pauses, [...back.pauses].sort((a, b) => a - b));
  const never = await run(gone(9));
  assert.equal(asCode(never.result), "no-adapter");
  assert.ok(never.pauses.reduce((a, b) => a + b) < 10_000);
});

test("a cancel between two attempts is heeded", async () => {
  const abort = new AbortController();
  abort.abort();
  const { result, from } = await run([failure("device-lost")], abort);
  assert.deepEqual([asCode(result), from.length], ["cancelled", 1]);
});
