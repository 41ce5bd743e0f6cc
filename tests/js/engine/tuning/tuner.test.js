/** The contest between candidates, on a rig that is made up. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { errorLimit } from "../../../../src_js/engine/tuning/probe.js";
import { Tuning } from "../../../../src_js/engine/tuning/tuning.js";
import { tuneKernels } from "../../../../src_js/engine/tuning/tuner.js";
import { KleinbildError } from "../../../../src_js/errors.js";

/**
 * @typedef {import("../../../../src_js/engine/candidates.js").Candidate} Candidate
 * @typedef {import("../../../../src_js/engine/tuning/tuner.js").Job} Job
 * @typedef {import("../../../../src_js/engine/tuning/tuner.js").Workload} Workload
 */

/** @param {string} shape @param {number} [share] @returns {Workload} */
const workload = (shape, share = 1) => ({ shape, share, record: () => assert.fail("the rig records") });

/** @param {string} name @param {Partial<Candidate>} [more] @returns {Candidate} */
const candidate = (name, more = {}) => ({ name, family: "plain", constants: {}, flags: [], ...more });

/** @param {Candidate[]} candidates @param {Partial<Job>} [more] @returns {Job} */
const job = (candidates, more = {}) => ({ kind: "linear.q4.b32", candidates, probes: [workload("probe")], timed: [workload("large")], ...more });

const FLOPS = 1e12;

/**
 * @param {Record<string, number | number[] | Error>} seconds by candidate, one for each timed workload
 * @param {Record<string, number | Error>} [errors] by candidate; 0 unless given
 */
function fakeRig(seconds, errors = {}) {
  /** @type {{compiled: string[], checked: string[], timed: string[], probes: number, closed: number}} */
  const log = { compiled: [], checked: [], timed: [], probes: 0, closed: 0 };
  /** @type {import("../../../../src_js/engine/tuning/tuner.js").TuningOptions["rig"]} */
  const rig = {
    compile: (_, { name }) => void log.compiled.push(name),
    faults: async () => ["a fault"],
    async checkReference() {
      const error = errors["reference"] ?? 0;
      if (error instanceof Error) throw error;
      return error;
    },
    async check({ probes }, { name }) {
      log.checked.push(name);
      log.probes = probes.length;
      const error = errors[name] ?? 0;
      if (error instanceof Error) throw error;
      return error;
    },
    async time({ timed }, { name }, one, limit) {
      log.timed.push(name);
      const given = seconds[name] ?? assert.fail(`${name} must not be timed`);
      if (given instanceof Error) throw given;
      const each = [given].flat()[timed.indexOf(one)] ?? NaN;
      return { seconds: each, whole: each <= limit, flops: FLOPS };
    },
    close: () => void (log.closed += 1),
  };
  return { rig, log };
}

/** An engine as far as the tuner looks at it. */
const fakeEngine = () => ({ tuning: new Tuning(), info: /** @type {any} */ ({ precision: "f16" }) });

test("the fastest right candidate wins and is picked from then on", async () => {
  const [a, b, c] = [candidate("a"), candidate("b"), candidate("c")];
  const engine = fakeEngine();
  const { rig, log } = fakeRig({ a: 0.04, b: 0.025, c: 0.03 });
  const jobs = [job([a, b, c])];
  /** @type {[number, number, string][]} */
  const progress = [];
  let now = 5000;
  const report = await tuneKernels(engine, jobs, {
    rig, onProgress: ({ done, total, name }) => progress.push([done, total, name]), clock: () => (now += 500),
  });
  assert.deepEqual(progress, [[0, 3, "a"], [1, 3, "b"], [2, 3, "c"]]);
  assert.deepEqual(report.kinds.map(({ chosen, problem }) => [chosen, problem]), [["b", ""]]);
  assert.deepEqual(report.kinds[0]?.candidates.map(({ name }) => name), ["b", "c", "a"]);
  assert.equal(report.kinds[0]?.candidates[0]?.tflops, FLOPS / 0.025 / 1e12);
  assert.deepEqual(report.faults, ["a fault"]);
  assert.equal(report.seconds, 0.5);
  assert.equal(engine.tuning.pick("linear.q4.b32", [a, b, c]), b);
  assert.deepEqual(log.compiled, ["a", "b", "c"], "all are compiled before any is timed");
  assert.equal(log.closed, 1);
});

test("shapes count by their share", async () => {
  const jobs = [job([candidate("a"), candidate("b")], { timed: [workload("often", 10), workload("once", 1)] })];
  const { rig } = fakeRig({ a: [0.010, 0.030], b: [0.012, 0.020] });
  const report = await tuneKernels(fakeEngine(), jobs, { rig });
  assert.equal(report.kinds[0]?.chosen, "a", "0.13 s against 0.14 s");
});

test("a candidate twice as slow as the best is given up and ranks last, though its first shape looked fast", async () => {
  const jobs = [job([candidate("a"), candidate("b"), candidate("c")], { timed: [workload("fast shape"), workload("slow shape")] })];
  const { rig, log } = fakeRig({ a: [0.010, 0.100], b: [0.021, 0.001], c: [0.012, 0.090] });
  const report = await tuneKernels(fakeEngine(), jobs, { rig });
  assert.deepEqual(report.kinds[0]?.candidates.map(({ name }) => name), ["c", "a", "b"]);
  assert.deepEqual(log.timed, ["a", "a", "b", "c", "c"]);
  assert.equal(report.kinds[0]?.candidates[2]?.dropped, "", "slow is not wrong");
});

test("each family has its own best, so that a restriction to one finds it timed well", async () => {
  const [a, b, matrix] = [candidate("a"), candidate("b"), candidate("matrix", { family: "matrix" })];
  const { rig, log } = fakeRig({ a: [0.05, 0.05], b: [0.04, 0.04], matrix: [0.01, 0.01] });
  const engine = fakeEngine();
  await tuneKernels(engine, [job([matrix, a, b], { timed: [workload("x"), workload("y")] })], { rig });
  assert.equal(log.timed.length, 6);
  assert.equal(engine.tuning.pick("linear.q4.b32", [a, b, matrix]), matrix);
  engine.tuning.restrict(["plain"]);
  assert.equal(engine.tuning.pick("linear.q4.b32", [a, b, matrix]), b);
});

test("wrong, broken and failing candidates are dropped with the reason, and never timed or picked", async () => {
  const names = ["wrong", "nan", "broken", "stuck", "right", "f32"];
  const candidates = names.map((name) => candidate(name, name === "f32" ? { types: { F: "f32" } } : {}));
  const limit = errorLimit("linear.q4.b32", "f16");
  const { rig, log } = fakeRig(
    { stuck: new Error("invalid dispatch"), right: 0.5 },
    { wrong: 1.1 * limit, nan: Infinity, broken: new KleinbildError("out-of-memory", "too large"), right: 0.9 * limit, f32: 0.9 * limit },
  );
  const engine = fakeEngine();
  const report = await tuneKernels(engine, [job(candidates)], { rig });
  const dropped = Object.fromEntries(report.kinds[0]?.candidates.map(({ name, dropped: reason }) => [name, reason]) ?? []);
  assert.match(dropped["wrong"] ?? "", /computes wrong: error \d\.\de-3/);
  assert.match(dropped["nan"] ?? "", /computes wrong/);
  assert.match(dropped["broken"] ?? "", /does not run: too large/);
  assert.match(dropped["stuck"] ?? "", /does not run: invalid dispatch/);
  assert.match(dropped["f32"] ?? "", /computes wrong/, "what multiplies in f32 must be as exact as f32");
  assert.equal(dropped["right"], "");
  assert.deepEqual(log.timed, ["stuck", "right"]);
  assert.equal(engine.tuning.pick("linear.q4.b32", candidates)?.name, "right");
  assert.ok(JSON.parse(JSON.stringify(report)).kinds[0].candidates.every((/** @type {any} */ row) => Number.isFinite(row.error)));
});

test("when none is right the least wrong one serves, and the report says so", async () => {
  const candidates = [candidate("broken"), candidate("bad"), candidate("less bad")];
  const { rig } = fakeRig({}, { broken: new Error("no"), bad: 0.5, "less bad": 0.01 });
  const engine = fakeEngine();
  const report = await tuneKernels(engine, [job(candidates)], { rig });
  assert.equal(report.kinds[0]?.chosen, "less bad");
  assert.match(report.kinds[0]?.problem ?? "", /linear.q4.b32/);
  assert.equal(engine.tuning.pick("linear.q4.b32", candidates), candidates[2]);
});

test("a shape that the GPU has no room for drops nobody", async () => {
  const full = new KleinbildError("out-of-memory", "too large");
  const { rig } = fakeRig({ a: full, b: full });
  const engine = fakeEngine();
  const candidates = [candidate("a"), candidate("b")];
  const report = await tuneKernels(engine, [job(candidates)], { rig });
  assert.deepEqual(report.kinds[0]?.candidates.map(({ name, tflops, dropped }) => [name, tflops, dropped]), [["a", 0, ""], ["b", 0, ""]]);
  assert.equal(engine.tuning.pick("linear.q4.b32", candidates)?.name, "a");
});

test("a wrong reference is told and not believed", async () => {
  const probes = [{ ...workload("worked out"), expected: () => [1] }, workload("compared")];
  for (const [error, fault, used] of /** @type {[number | Error, RegExp | null, number][]} */ ([
    [1e-6, null, 2], [1e-3, /reference kernel for linear.q4.b32 computes wrong/, 1], [new Error("no"), /does not run: no/, 1],
  ])) {
    const { rig, log } = fakeRig({ a: 0.1 }, { reference: error });
    const { faults } = await tuneKernels(fakeEngine(), [job([candidate("a")], { probes })], { rig });
    assert.equal(log.probes, used);
    assert.equal(faults.length, fault ? 2 : 1);
    if (fault) assert.match(faults[1] ?? "", fault);
  }
});

test("without shapes to time, the first right candidate is taken and the others are left alone", async () => {
  const { rig, log } = fakeRig({}, { a: 1 });
  const engine = fakeEngine();
  const candidates = ["a", "b", "c"].map((name) => candidate(name));
  const report = await tuneKernels(engine, [job(candidates, { timed: [] })], { rig });
  assert.equal(report.kinds[0]?.chosen, "b");
  assert.deepEqual([log.compiled, log.checked], [[], ["a", "b"]]);
  assert.equal(engine.tuning.pick("linear.q4.b32", candidates)?.name, "b");
});

test("a suspect is not even compiled; each trial is announced before it runs", async () => {
  const { rig, log } = fakeRig({ b: 0.1 });
  /** @type {string[]} */
  const trials = [];
  const report = await tuneKernels(fakeEngine(), [job([candidate("a"), candidate("b")])], {
    rig, suspects: [{ kind: "linear.q4.b32", name: "a" }, { kind: "another", name: "b" }],
    onTrial: async (kind, name) => {
      assert.ok(!log.checked.includes(name));
      trials.push(`${kind} ${name}`);
    },
  });
  assert.deepEqual(trials, ["linear.q4.b32 b"]);
  assert.deepEqual([log.compiled, log.checked], [["b"], ["b"]]);
  assert.match(report.kinds[0]?.candidates.find(({ name }) => name === "a")?.dropped ?? "", /the GPU was lost/);
});

test("a cancel and a lost device end it, keep the old choices and close the rig", async () => {
  const candidates = [candidate("a"), candidate("b")];
  for (const code of /** @type {const} */ (["cancelled", "device-lost"])) {
    const abort = new AbortController();
    const { rig, log } = fakeRig({ a: 0.1, b: 0.1 }, code === "device-lost" ? { b: new KleinbildError(code, "gone") } : {});
    const engine = fakeEngine();
    engine.tuning.rank("linear.q4.b32", ["b"]);
    const running = tuneKernels(engine, [job(candidates)], {
      rig, signal: abort.signal, onProgress: ({ done }) => (done === 0 && code === "cancelled" ? abort.abort() : undefined),
    });
    await assert.rejects(running, (error) => error instanceof KleinbildError && error.code === code);
    assert.equal(engine.tuning.pick("linear.q4.b32", candidates)?.name, "b");
    assert.equal(log.closed, 1);
  }
});
