/**
 * The whole benchmark on the small model: everything is measured, and what cannot be is told in its row without harm to the others.
 */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { runBench } from "../../../src_js/bench/suite.js";
import { gpu } from "../support/gpu.js";

/** @typedef {import("../../../src_js/bench_protocol.js").Row} Row */

/** @param {string} path below src_js */
const read = (path) => readFile(new URL(`../../../src_js/${path}`, import.meta.url), "utf8");

/** A benchmark's surroundings in Node. @param {(name: string, source: string) => string} [change] what becomes of a kernel file */
function environment(change = (_, source) => source) {
  return {
    gpu, machine: { userAgent: "node", browser: "" },
    readKernel: async (/** @type {string} */ name) => change(name, await read(`kernels/${name}.wgsl`)),
    readModel: async (/** @type {string} */ name) => JSON.parse(await read(`bench/${name}.json`)),
  };
}

/** @param {readonly Row[]} rows @param {import("../../../src_js/bench_protocol.js").Group} group */
const names = (rows, group) => rows.filter((row) => row.group === group).map(({ name }) => name);

test("a quick run measures every group, and its figures agree with each other", async () => {
  let progress = 0;
  /** @type {Row[]} */
  const told = [];
  const result = await runBench(environment(), { quick: true, build: "b1", sizes: [64] }, {
    onProgress: ({ done, total, label }) => {
      assert.ok(done >= progress && done < total, label);
      progress = done;
    },
    onRow: (row) => told.push(row),
    page: { click: async () => performance.timeOrigin + performance.now() - 250, frames: async () => ({ median: 0.016, p95: 0.02, worst: 0.1, count: 9 }) },
  });
  const { rows, peak, options } = result;
  assert.deepEqual(rows, told);
  assert.deepEqual(rows.filter(({ error }) => error !== undefined), []);
  assert.deepEqual([result.schema, result.build, options.model, options.sizes, options.steps], [1, "b1", "small", [64], 2]);
  assert.equal(peak.tflops, result.precision === "f16" ? peak.f16Tflops : peak.f32Tflops);
  for (const row of rows) {
    const { group, name, seconds = 0, flops, bytes, tflops, gigabytesPerSecond, percent } = row;
    const near = (/** @type {number | undefined} */ a, /** @type {number} */ b) => assert.ok(Math.abs((a ?? NaN) / b - 1) < 1e-9, `${name}: ${a}, ${b}`);
    if (group === "memory") {
      assert.ok((bytes ?? 0) > 0, name);
      continue;
    }
    assert.ok(seconds > 0 && Number.isFinite(seconds), name);
    if (flops !== undefined) near(tflops, flops / seconds / 1e12);
    else if (bytes !== undefined) near(gigabytesPerSecond, bytes / seconds / 1e9);
    if (percent !== undefined) near(percent, 100 * (tflops !== undefined ? tflops / peak.tflops : (gigabytesPerSecond ?? NaN) / peak.copyGigabytesPerSecond));
    if (["kernel", "stage", "picture"].includes(group)) assert.ok(percent !== undefined, name);
  }
  assert.deepEqual(names(rows, "memory"), ["peak GPU memory 64 x 64"]);
  const click = rows.find(({ name }) => name.startsWith("click"));
  assert.ok((click?.seconds ?? 0) >= 0.25, "the time before the worker heard of the click is counted");
  assert.deepEqual(rows.filter(({ group }) => group === "page").map(({ seconds }) => seconds), [0.016, 0.02]);
});

test("a kernel that does not compile fails its own measurements only", async () => {
  const broken = environment((name, source) => (name === "conv2d" ? "this is no WGSL" : source));
  const { rows } = await runBench(broken, { quick: true, sizes: [64] });
  const failed = rows.filter(({ error }) => error !== undefined);
  assert.ok(failed.every(({ name, error = "" }) => /convolution|VAE|picture|compile/.test(name) && error !== "" && !/\n/.test(error)), JSON.stringify(failed));
  assert.deepEqual(names(failed, "stage"), ["VAE decode 64 x 64"]);
  assert.deepEqual(names(failed, "picture"), ["picture 64 x 64"]);
  assert.ok(rows.some(({ name, tflops }) => name.startsWith("denoise step") && (tflops ?? 0) > 0));
});

test("a GPU that is lost for good leaves what was measured before", async () => {
  let opened = 0;
  const once = /** @type {GPU} */ ({ requestAdapter: (/** @type {GPURequestAdapterOptions} */ options) => (opened++ ? null : gpu.requestAdapter(options)) });
  const broken = environment((name, source) => (name === "peak_copy" ? "this is no WGSL" : source));
  const { rows, machine } = await runBench({ ...broken, gpu: once }, { quick: true, sizes: [64] });
  const measured = rows.filter(({ error }) => error === undefined);
  assert.ok(measured.length > 0 && measured.every(({ name }) => name.startsWith("fma")));
  assert.ok(rows.length > 10 && rows.at(-1)?.error?.includes("did not come back"));
  assert.equal(machine.adapter.fallback, true);
});

test("cancelling ends it", async () => {
  const abort = new AbortController();
  const run = runBench(environment(), { quick: true }, { signal: abort.signal, onRow: () => abort.abort() });
  await assert.rejects(run, { code: "cancelled" });
});
