import assert from "node:assert/strict";
import { test } from "node:test";

import { KleinbildError } from "../../../../src_js/errors.js";
import { Visit, kindOf } from "../../../../src_js/app/kiosk/visit.js";

const SETTINGS = { prompt: "a fox", width: 64, height: 64, seed: 7n, steps: 2, latents: null };

/** @param {(string | null)[]} outcomes of one call after another: a code to fail with, null for a picture */
function visit(outcomes) {
  /** @type {any[]} */
  const calls = [];
  const next = () => {
    const code = outcomes.shift();
    if (code) throw new KleinbildError(/** @type {any} */ (code), "in words");
  };
  const client = /** @type {any} */ ({
    start: async (/** @type {any} */ options) => {
      calls.push(["start", options]);
      next();
      return { model: "tiny" };
    },
    generate: async (/** @type {any} */ settings, /** @type {any} */ options) => {
      calls.push(["generate", settings, options]);
      next();
      return { png: new Uint8Array([1, 2]).buffer };
    },
    forgetPrompts: async () => {
      calls.push(["forget"]);
      next();
    },
    cancel: () => void calls.push(["cancel"]),
  });
  const sleep = async (/** @type {number} */ ms) => void calls.push(["sleep", ms]);
  const made = new Visit(client, { manifestUrl: "/models/tiny.json", memoryBytes: 5e9, sleep });
  return { visit: made, calls };
}

/** @param {Visit} made */
function make(made) {
  let again = 0;
  return made.make(SETTINGS, { onProgress: () => {}, onPreview: () => {}, onAgain: () => void (again += 1) })
    .then((result) => ({ result, again }));
}

test("a picture leaves no trace on the device and stays in its memory", async () => {
  const { visit: made, calls } = visit([null]);
  const { result } = await make(made);
  assert.deepEqual(result, { png: new Uint8Array([1, 2]), settings: SETTINGS });
  assert.equal(calls[0][2].keepPrompt, false);
  assert.equal(calls[0][2].memoryBudget, 5e9);
  assert.deepEqual([made.pictures, made.failures, made.problem, made.busy], [1, 0, "", false]);
});

test("a lost GPU is given time and tried again; lost three times, a fresh browser is wanted", async () => {
  const { visit: made, calls } = visit(["device-lost", null, "device-lost", "worker-lost", "no-adapter", null]);
  assert.deepEqual((await make(made)).again, 1);
  assert.deepEqual(calls.filter(([name]) => name === "sleep"), [["sleep", 1000]]);
  assert.equal(made.wantsRestart, false);
  await assert.rejects(make(made), { code: "no-adapter" });
  assert.equal(made.wantsRestart, true);
  assert.equal(made.problem, "no-adapter: in words");
  await make(made);
  assert.equal(made.wantsRestart, false);
});

test("what the visitor asked for is not tried again", async () => {
  for (const code of ["too-large", "out-of-memory", "bad-input"]) {
    const { visit: made, calls } = visit([code]);
    await assert.rejects(make(made), { code });
    assert.equal(calls.length, 1);
    assert.equal(made.wantsRestart, false);
  }
});

test("a cancelled picture is no failure", async () => {
  const { visit: made } = visit(["cancelled"]);
  assert.equal((await make(made)).result, null);
  assert.deepEqual([made.failures, made.problem], [0, ""]);
});

test("cancelled between two tries it stays cancelled", async () => {
  const { visit: made } = visit(["device-lost", null]);
  const making = make(made);
  made.cancel();
  assert.equal((await making).result, null);
});

test("a start that fails three times wants a fresh browser", async () => {
  const { visit: made } = visit(["no-webgpu", "no-adapter", "no-adapter"]);
  await assert.rejects(made.start(() => {}), { code: "no-webgpu" });
  await assert.rejects(made.start(() => {}), { code: "no-adapter" });
  assert.equal(made.wantsRestart, false);
  await assert.rejects(made.start(() => {}), { code: "no-adapter" });
  assert.equal(made.wantsRestart, true);
  assert.equal(made.info, null);
});

test("forgetting never fails", async () => {
  const { visit: made, calls } = visit(["internal"]);
  await made.forget();
  assert.deepEqual(calls, [["forget"]]);
});

test("whose fault it is", () => {
  const kind = (/** @type {any} */ code) => kindOf(new KleinbildError(code, ""));
  assert.equal(kind("device-lost"), "machine");
  assert.equal(kind("storage-full"), "machine");
  assert.equal(kind("out-of-memory"), "large");
  assert.equal(kind("bad-input"), "words");
});
