/** The self-check's report: what is wrong, what did not run, what is left out, and what ends it. No GPU. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { selfCheck } from "../../../../src_js/engine/tuning/self_check.js";
import { MOST_ERROR } from "../../../../src_js/engine/tuning/report.js";
import { Tuning } from "../../../../src_js/engine/tuning/tuning.js";
import { KleinbildError } from "../../../../src_js/errors.js";

/** @param {string} name @param {"f16"|"f32"} [float] */
const candidate = (name, float) => ({
  name, family: /** @type {const} */ ("plain"), constants: {}, flags: [], ...(float && { types: { F: float } }),
});
/** @param {string} shape */
const workload = (shape) => ({ shape, share: 1, record: () => assert.fail(), expected: () => [] });
const JOB = {
  kind: "linear.q4", candidates: [candidate("plain"), candidate("wide"), candidate("exact", "f32")],
  probes: [workload("small"), { ...workload("true"), expected: /** @type {any} */ (undefined) }], timed: [workload("large")],
};
const SINGLE = { kind: "copy", workload: workload("5 x 3") };

/** @param {Record<string, number | Error>} results by candidate or kind; "reference": of what they are compared with */
function setUp(results) {
  const tuning = new Tuning();
  tuning.rank("linear.q4", ["wide"]);
  const engine = /** @type {any} */ ({ tuning, info: { precision: "f16" } });
  /** @type {string[]} */
  const log = [];
  const answer = async (/** @type {string} */ name) => {
    log.push(name);
    const result = results[name] ?? 0;
    if (result instanceof Error) throw result;
    return result;
  };
  const rig = {
    faults: async () => ["a compiler's fault"],
    checkReference: () => answer("reference"),
    check: (/** @type {any} */ { probes, timed }, /** @type {any} */ { name }) => {
      assert.deepEqual(timed, [], "nothing is timed, so nothing is compiled for it");
      log.push(`${probes.length} probes`);
      return answer(name);
    },
    checkSingle: (/** @type {any} */ { shape }) => answer(shape),
    close: () => void log.push("closed"),
  };
  return { engine, rig, log };
}

test("every kernel is told with its error and its limit, and which one serves", async () => {
  const { engine, rig, log } = setUp({ plain: 2e-4, wide: 0.5, exact: 1e-4, "5 x 3": 1e-5 });
  /** @type {string[]} */
  const progress = [];
  let now = 0;
  const { checks, faults, seconds } = await selfCheck(engine, { jobs: [JOB], singles: [SINGLE] }, {
    rig, clock: () => (now += 2000), onProgress: (done, total) => void progress.push(`${done}/${total}`),
  });
  assert.deepEqual(checks, [
    { kind: "copy", name: "", chosen: true, limit: 1e-3, error: 1e-5, problem: "" },
    { kind: "linear.q4", name: "plain", chosen: false, limit: 1.5e-3, error: 2e-4, problem: "" },
    { kind: "linear.q4", name: "wide", chosen: true, limit: 1.5e-3, error: 0.5, problem: "" },
    { kind: "linear.q4", name: "exact", chosen: false, limit: 2e-5, error: 1e-4, problem: "" },
  ]);
  assert.deepEqual(faults, ["a compiler's fault"]);
  assert.equal(seconds, 2);
  assert.deepEqual(progress, ["0/4", "1/4", "2/4", "3/4"]);
  assert.equal(log.at(-1), "closed");
});

test("a kernel that does not run, or must not, fails alone", async () => {
  const { engine, rig, log } = setUp({ plain: new Error("no such feature"), exact: Infinity });
  const { checks } = await selfCheck(engine, { jobs: [JOB], singles: [] }, {
    rig, skip: (kind, name) => (kind === "linear.q4" && name === "wide" ? "the GPU was lost" : ""),
  });
  assert.deepEqual(checks.map(({ name, error, problem }) => [name, error, problem]), [
    ["plain", MOST_ERROR, "no such feature"], ["wide", MOST_ERROR, "the GPU was lost"], ["exact", MOST_ERROR, ""],
  ]);
  assert.ok(!log.includes("wide"), "it was not run");
});

test("where the reference is wrong, only what JavaScript works out counts", async () => {
  const { engine, rig, log } = setUp({ reference: 0.1 });
  const { faults } = await selfCheck(engine, { jobs: [JOB], singles: [] }, { rig });
  assert.match(faults[1] ?? "", /reference kernel for linear\.q4 computes wrong/);
  assert.ok(log.includes("1 probes") && !log.includes("2 probes"));
});

test("a lost GPU and the user's wish end it, and buffers go back", async () => {
  for (const code of /** @type {const} */ (["device-lost", "cancelled"])) {
    const { engine, rig, log } = setUp({ plain: new KleinbildError(code, "over") });
    await assert.rejects(selfCheck(engine, { jobs: [JOB], singles: [] }, { rig }), { code });
    assert.equal(log.at(-1), "closed");
  }
  const { engine, rig } = setUp({});
  const abort = new AbortController();
  abort.abort();
  await assert.rejects(selfCheck(engine, { jobs: [JOB], singles: [] }, { rig, signal: abort.signal }), { code: "cancelled" });
});
