/** Measurements kept between visits: found again, measured anew when damaged or foreign, and candidates that end everything. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Tuning } from "../../../src_js/engine/tuning/tuning.js";
import { KleinbildError } from "../../../src_js/errors.js";
import { BlobCache } from "../../../src_js/storage/blob_cache.js";
import { MemoryLayer } from "../../../src_js/storage/memory.js";
import { browserVersion, chooseKernels } from "../../../src_js/worker/kernel_tuning.js";
import { TuningCache } from "../../../src_js/worker/tuning_cache.js";

/** @typedef {import("../../../src_js/engine/tuning/report.js").TuningReport} TuningReport */
/** @typedef {import("../../../src_js/engine/candidates.js").Candidate} Candidate */

const MANIFEST = /** @type {any} */ ({ id: "tiny", revision: "1" });
/** @type {TuningReport} */
const REPORT = {
  kinds: [{
    kind: "linear", chosen: "wide", problem: "",
    candidates: [
      { name: "wide", family: "plain", tflops: 12.5, error: 2.5e-4, dropped: "" },
      { name: "matrix", family: "matrix", tflops: 0, error: 1e9, dropped: "computes wrong" },
    ],
    shapes: [{
      kind: "linear.512x3072", chosen: "plain", candidates: [{ name: "plain", family: "plain", tflops: 9.5, error: 1.5e-4, dropped: "" }],
    }],
  }],
  faults: ["a fault"], seconds: 3.25,
};

/** @param {string} name @returns {Candidate} */
const candidate = (name) => ({ name, family: "plain", constants: {}, flags: [] });
const OFFERED = ["plain", "matrix", "wide"].map(candidate);

/** A device with one folder, and an engine whose tuner is `tune`. */
async function setUp() {
  const layer = new MemoryLayer();
  const cache = new TuningCache(await BlobCache.open(layer, 2 ** 20));
  const log = { tuned: 0, closed: 0, suspects: /** @type {string[]} */ ([]), progress: /** @type {string[]} */ ([]) };
  /** @type {{tune: (options: import("../../../src_js/engine/tuning/tuner.js").TuningOptions) => Promise<TuningReport>}} */
  const plan = { tune: async () => REPORT };
  /** @param {{again?: boolean, build?: string, gpu?: string, manifest?: any, cache?: TuningCache}} [options] */
  const visit = async ({ again = false, build = "/v/1/", gpu = "a", manifest = MANIFEST, cache: other = cache } = {}) => {
    const engine = /** @type {any} */ ({ tuning: new Tuning(), info: { description: gpu, precision: "f16" } });
    const report = await chooseKernels(engine, manifest, other, {
      platform: { build }, again, signal: new AbortController().signal, onProgress: (done, total) => void log.progress.push(`${done}/${total}`),
    }, {
      openJobs: async () => ({ jobs: [], close: () => void (log.closed += 1) }),
      tune: async (_, __, options = {}) => {
        log.tuned += 1;
        log.suspects = (options.suspects ?? []).map(({ kind, name }) => `${kind} ${name}`);
        return plan.tune(options);
      },
    });
    const [picked, shaped] = ["linear", "linear.512x3072"].map((kind) => engine.tuning.pick(kind, OFFERED).name);
    return { report, picked, shaped };
  };
  return { layer, cache, log, plan, visit };
}

test("the second visit finds the first one's report and measures nothing", async () => {
  const { log, visit } = await setUp();
  assert.deepEqual((await visit()).report, REPORT);
  const { report, picked, shaped } = await visit();
  assert.deepEqual(report, REPORT);
  assert.deepEqual([picked, shaped], ["wide", "plain"]);
  assert.deepEqual([log.tuned, log.closed], [1, 1]);
  await visit({ again: true });
  assert.equal(log.tuned, 2, "unless asked to measure again");
});

test("another GPU, build or model is measured for itself, and the first one's report stays", async () => {
  const { log, visit } = await setUp();
  await visit();
  for (const other of [{ gpu: "b" }, { build: "/v/2/" }, { manifest: { id: "tiny", revision: "2" } }]) {
    const before = log.tuned;
    await visit(other);
    assert.equal(log.tuned, before + 1, JSON.stringify(other));
  }
  const before = log.tuned;
  await visit();
  assert.equal(log.tuned, before);
});

test("a damaged report is measured again", async () => {
  const { layer, log, visit } = await setUp();
  await visit();
  for (const damage of [
    (/** @type {Uint8Array} */ file) => file.fill(0x20, file.length - 3), (/** @type {Uint8Array} */ file) => file.subarray(0, 5),
    () => new Uint8Array(),
  ]) {
    for (const [name, file] of layer.files) layer.files.set(name, damage(file));
    const before = log.tuned;
    assert.deepEqual((await visit()).report, REPORT);
    assert.equal(log.tuned, before + 1);
    await visit();
    assert.equal(log.tuned, before + 1, "and kept anew");
  }
});

test("a report that is whole but says what no report says is not believed", async () => {
  const { layer, cache, log, visit } = await setUp();
  const [row] = REPORT.kinds[0]?.candidates ?? [];
  for (const wrong of [
    null, [], { ...REPORT, faults: "none" }, { ...REPORT, more: 1 }, { ...REPORT, seconds: -1 },
    { ...REPORT, kinds: [{ ...REPORT.kinds[0], candidates: [{ ...row, family: "tensor" }] }] },
    { ...REPORT, kinds: [{ ...REPORT.kinds[0], candidates: [{ ...row, tflops: "fast" }] }] },
    { ...REPORT, kinds: [{ ...REPORT.kinds[0], shapes: [{ kind: "linear.1x1", chosen: "wide", candidates: [null] }] }] },
    { ...REPORT, kinds: REPORT.kinds.map(({ shapes: _, ...others }) => others) },
  ]) {
    layer.files.clear();
    const identity = { of: "this" };
    await cache.keepReport(identity, /** @type {any} */ (wrong));
    assert.equal(layer.files.size, 1);
    assert.equal(await cache.report(identity), undefined, JSON.stringify(wrong));
  }
  await visit();
  assert.equal(log.tuned, 1);
});

test("without a place to keep anything, each visit measures", async () => {
  const { log, visit } = await setUp();
  const full = new TuningCache({
    get: async () => undefined,
    put: async () => {
      throw new KleinbildError("storage-full", "full");
    },
  });
  for (const cache of [new TuningCache(undefined), full]) {
    assert.deepEqual((await visit({ cache })).report, REPORT);
    assert.deepEqual((await visit({ cache })).report, REPORT);
  }
  assert.equal(log.tuned, 4);
});

test("a candidate that loses the GPU is not tried again; one that ran when the page was closed gets a second chance", async () => {
  const { log, plan, visit } = await setUp();
  plan.tune = async ({ onTrial }) => {
    await onTrial?.("linear", "plain");
    await onTrial?.("linear", "matrix");
    throw new KleinbildError("device-lost", "gone");
  };
  await assert.rejects(visit(), /gone/);
  assert.equal(log.closed, 1);
  // the page is closed: the tuner never comes back
  plan.tune = async ({ onTrial }) => {
    await onTrial?.("linear", "wide");
    return new Promise(() => {});
  };
  for (const expected of [["linear matrix"], ["linear matrix"], ["linear matrix", "linear wide"]]) {
    void visit();
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.deepEqual(log.suspects, expected);
  }
  plan.tune = async () => REPORT;
  await visit();
  await visit({ again: true });
  assert.deepEqual(log.suspects, [], "what was measured since is the new truth");
});

test("a cancel ends the start and blames no candidate", async () => {
  const { log, plan, visit } = await setUp();
  plan.tune = async ({ onTrial }) => {
    await onTrial?.("linear", "wide");
    throw new KleinbildError("cancelled", "no");
  };
  for (let i = 0; i < 3; i++) await assert.rejects(visit(), (error) => error instanceof KleinbildError && error.code === "cancelled");
  assert.deepEqual([log.suspects, log.closed], [[], 3]);
});

test("any other failure leaves the kernels that every GPU runs, says so, and is not kept", async () => {
  const { log, plan, visit } = await setUp();
  plan.tune = async () => {
    throw new KleinbildError("out-of-memory", "no room for measurements");
  };
  const { report, picked } = await visit();
  assert.equal(picked, "plain");
  assert.match(report.faults[0] ?? "", /no room for measurements/);
  await visit();
  assert.equal(log.tuned, 2);
});

test("progress is passed on", async () => {
  const { log, plan, visit } = await setUp();
  plan.tune = async ({ onProgress }) => {
    onProgress?.({ kind: "linear", name: "wide", done: 3, total: 7 });
    return REPORT;
  };
  await visit();
  assert.deepEqual(log.progress, ["3/7"]);
});

test("the browser's version is what it tells in full, else its user agent", async () => {
  const userAgent = "Agent/1";
  const asked = /** @type {string[]} */ ([]);
  const full = { getHighEntropyValues: async (/** @type {string[]} */ hints) => (asked.push(...hints), { fullVersionList: ["1.2.3"] }) };
  const refused = { getHighEntropyValues: () => Promise.reject(new Error("no")) };
  assert.deepEqual(await browserVersion({ userAgent, userAgentData: full }), { fullVersionList: ["1.2.3"] });
  assert.deepEqual(asked, ["fullVersionList", "platformVersion"]);
  for (const userAgentData of [refused, {}, undefined]) {
    assert.equal(await browserVersion({ userAgent, ...(userAgentData && { userAgentData }) }), userAgent);
  }
});
