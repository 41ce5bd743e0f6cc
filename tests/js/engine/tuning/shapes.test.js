/** A choice for every shape: measured rates of one GPU, and how few measurements find the best kernels among them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { choices } from "../../../../src_js/engine/tuning/report.js";
import { Tuning } from "../../../../src_js/engine/tuning/tuning.js";
import { tuneKernels } from "../../../../src_js/engine/tuning/tuner.js";
import { KleinbildError } from "../../../../src_js/errors.js";

/**
 * @typedef {import("../../../../src_js/engine/candidates.js").Candidate} Candidate
 * @typedef {import("../../../../src_js/engine/tuning/tuner.js").Job} Job
 * @typedef {import("../../../../src_js/engine/tuning/tuner.js").Workload} Workload
 */

const BASE = "linear.q4.b32.f16";
const LEAD = "1536x27648";
const SHAPES = ["768x3072", "1536x3072", "4608x3072"];
/** TFLOP/s by shape (rows x columns, the last one the lead), as measured on an H200 in Chromium. */
const RATES = /** @type {Record<string, number[]>} */ ({
  "plain-64x64": [13, 13.5, 14, 14.5],
  "packed-128x64": [43.6, 52.5, 57.4, 60.5],
  "packed-48x64": [57, 57.3, 57.7, 55.3],
  "matrix-128x128": [94.8, 114.8, 165.3, 175.8],
  "matrix-96x128": [126.8, 154.8, 164.2, 166.5],
  "matrix-128x256": [114.1, 115.4, 184.8, 214.0],
});
const ALL = Object.keys(RATES).map((name) => (
  /** @type {Candidate} */ ({ name, family: name.startsWith("matrix") ? "matrix" : "plain", constants: {}, flags: [] })));
const PLAIN = ALL.filter(({ family }) => family === "plain");
const FLOPS = 1e12;

/** @param {string} shape @returns {Workload} */
const workload = (shape) => ({ shape, share: 1, record: () => assert.fail("the rig records") });

/** @param {Candidate[]} candidates @returns {Job} */
function job(candidates) {
  const lead = workload(LEAD);
  const shapes = [lead, ...SHAPES.map(workload)].map((one) => ({ kind: `${BASE}.${one.shape}`, workload: one }));
  return { kind: BASE, candidates, probes: [workload("probe")], timed: [lead], shapes };
}

/** @param {(name: string, shape: string) => void} [onTime] may throw @param {readonly string[]} [wrong] candidates */
function tableRig(onTime, wrong = []) {
  /** @type {{name: string, shape: string, whole: boolean}[]} */
  const timed = [];
  /** @type {NonNullable<import("../../../../src_js/engine/tuning/tuner.js").TuningOptions["rig"]>} */
  const rig = {
    compile() {}, faults: async () => [], checkReference: async () => 0, close() {},
    check: async (_, { name }) => (wrong.includes(name) ? 1 : 0),
    async time(_, { name }, { shape }, limit) {
      onTime?.(name, shape);
      const rate = RATES[name]?.at([...SHAPES, LEAD].indexOf(shape)) ?? NaN;
      const seconds = FLOPS / (rate * 1e12);
      timed.push({ name, shape, whole: seconds <= limit });
      return { seconds, whole: seconds <= limit, flops: FLOPS };
    },
  };
  return { rig, timed };
}

const fakeEngine = () => ({ tuning: new Tuning(), info: /** @type {any} */ ({ precision: "f16" }) });
/** @param {{tuning: Tuning}} engine @param {Candidate[]} [candidates] @returns {(shape: string) => string} */
const picker = ({ tuning }, candidates = ALL) => (shape) => tuning.pick(`${BASE}.${shape}`, candidates).name;

test("each shape gets the kernel that is fastest on it, and shapes between them the nearest one's", async () => {
  const engine = fakeEngine();
  const { rig } = tableRig();
  const report = await tuneKernels(engine, [job(ALL)], { rig });
  const pick = picker(engine);
  assert.deepEqual([LEAD, ...SHAPES].map(pick), ["matrix-128x256", "matrix-96x128", "matrix-96x128", "matrix-128x256"]);
  assert.deepEqual(["900x3072", "2000x3072", "5000x3072", "4608x27648"].map(pick),
    ["matrix-96x128", "matrix-96x128", "matrix-128x256", "matrix-128x256"]);
  assert.deepEqual(choices(report).map(({ kind, chosen }) => [kind, chosen]), [
    [BASE, "matrix-128x256"], [`${BASE}.${LEAD}`, "matrix-128x256"], [`${BASE}.768x3072`, "matrix-96x128"],
    [`${BASE}.1536x3072`, "matrix-96x128"], [`${BASE}.4608x3072`, "matrix-128x256"],
  ]);
  const [, , second] = choices(report);
  assert.equal(second?.candidates[0]?.tflops.toFixed(1), "126.8");
});

test("the same on a GPU without subgroup matrices", async () => {
  const engine = fakeEngine();
  await tuneKernels(engine, [job(PLAIN)], { rig: tableRig().rig });
  const names = [LEAD, ...SHAPES].map(picker(engine, PLAIN));
  assert.deepEqual(names, ["packed-128x64", "packed-48x64", "packed-48x64", "packed-48x64"]);
});

test("all are timed once, on the lead; on the other shapes only what is near the best there, and one of each family", async () => {
  const { rig, timed } = tableRig();
  await tuneKernels(fakeEngine(), [job(ALL)], { rig });
  const on = (/** @type {string} */ shape) => timed.filter((one) => one.shape === shape).map(({ name }) => name);
  assert.deepEqual(on(LEAD), ALL.map(({ name }) => name));
  const finalists = ["matrix-128x256", "matrix-128x128", "matrix-96x128", "packed-128x64"];
  for (const shape of SHAPES) assert.deepEqual(on(shape), finalists, shape);
  assert.equal(timed.length, ALL.length + SHAPES.length * finalists.length);
  const slow = timed.filter(({ shape, whole }) => shape !== LEAD && !whole).map(({ name, shape }) => `${name} ${shape}`);
  assert.deepEqual(slow, ["matrix-128x128 768x3072"], "what is clearly slower is not measured exactly");
});

test("a restriction to a family chooses among its kernels on every shape", async () => {
  const engine = fakeEngine();
  engine.tuning.restrict(["plain"]);
  await tuneKernels(engine, [job(ALL)], { rig: tableRig().rig });
  assert.deepEqual([LEAD, ...SHAPES].map(picker(engine)), ["packed-128x64", "packed-48x64", "packed-48x64", "packed-48x64"]);
  engine.tuning.restrict(undefined);
  assert.equal(picker(engine)("1536x3072"), "matrix-128x256", "of the others the one that is fastest on the lead");
});

test("the number of measurements is bounded, however many candidates are alike", async () => {
  const many = Array.from({ length: 40 }, (_, i) => /** @type {Candidate} */ ({ ...ALL[1], name: `packed-${i}` }));
  let count = 0;
  const { rig } = tableRig();
  const alike = { ...rig, time: async () => ({ seconds: 1 + (count++ % 7) / 100, whole: true, flops: FLOPS }) };
  await tuneKernels(fakeEngine(), [job(many)], { rig: alike });
  assert.equal(count, 40 + 6 * SHAPES.length);
});

test("progress grows to the end, and each finalist is announced again before it runs", async () => {
  const trials = /** @type {string[]} */ ([]);
  const progress = /** @type {number[]} */ ([]);
  await tuneKernels(fakeEngine(), [job(ALL), { ...job(PLAIN), kind: "linear.f16.f16", shapes: [] }], {
    rig: tableRig().rig, onTrial: async (kind, name) => void trials.push(`${kind} ${name}`),
    onProgress: ({ done, total }) => {
      assert.equal(total, 2 * ALL.length + PLAIN.length);
      progress.push(done);
    },
  });
  assert.deepEqual(progress, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14]);
  assert.deepEqual(trials.slice(ALL.length, ALL.length + 2), [`${BASE} matrix-128x256`, `${BASE} matrix-128x128`]);
});

test("wrong kernels serve no shape, one that fails on a shape serves none either, and one that has no room there serves the others", async () => {
  const engine = fakeEngine();
  const { rig } = tableRig((name, shape) => {
    if (name === "matrix-128x128" && shape === "4608x3072") throw new Error("invalid dispatch");
    if (name === "matrix-128x256" && shape === "4608x3072") throw new KleinbildError("out-of-memory", "too large");
  }, ["matrix-96x128"]);
  const report = await tuneKernels(engine, [job(ALL)], { rig });
  const pick = picker(engine);
  assert.deepEqual([LEAD, "768x3072", "1536x3072"].map(pick), ["matrix-128x256", "matrix-128x256", "matrix-128x256"]);
  assert.equal(pick("4608x3072"), "packed-128x64", "alone was timed there");
  const dropped = report.kinds[0]?.candidates.filter(({ dropped: why }) => why !== "").map(({ name }) => name);
  assert.deepEqual(dropped?.sort(), ["matrix-128x128", "matrix-96x128"]);
});

test("when none is right, no shape has a choice of its own", async () => {
  const engine = fakeEngine();
  const { rig } = tableRig(undefined, ALL.map(({ name }) => name));
  const report = await tuneKernels(engine, [job(ALL)], { rig });
  assert.deepEqual(report.kinds[0]?.shapes, []);
  assert.match(report.kinds[0]?.problem ?? "", /computes right/);
  assert.equal(picker(engine)("768x3072"), report.kinds[0]?.chosen);
});

test("shapes are timed in dispatches as large as they will be, and a failure leaves the limit as it was", async () => {
  const before = 5e10;
  for (const fails of [false, true]) {
    const engine = { ...fakeEngine(), maxDispatchFlops: before };
    /** @type {Map<string, number>} */
    const limits = new Map();
    const { rig } = tableRig((_, shape) => {
      limits.set(shape, engine.maxDispatchFlops);
      if (fails && shape !== LEAD) throw new KleinbildError("device-lost", "gone");
    });
    const running = tuneKernels(engine, [job(ALL)], { rig });
    if (fails) await assert.rejects(running, /gone/);
    else await running;
    assert.equal(limits.get(LEAD), before);
    assert.equal(Math.round((limits.get("768x3072") ?? 0) / 1e9), 10_700, "0.05 seconds of 214 TFLOP/s");
    assert.equal(Math.round(engine.maxDispatchFlops / 1e9), fails ? 50 : 6340, "of the slowest choice, once all are made");
  }
});
