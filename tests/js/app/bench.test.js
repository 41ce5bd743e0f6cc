/**
 * The benchmark page without a browser: its worker as a promise, frame times, figures in words.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { BenchClient } from "../../../src_js/app/bench_client.js";
import { GROUPS, machineText, rowText, timeText } from "../../../src_js/app/bench_wording.js";
import { frameTimes } from "../../../src_js/app/frame_meter.js";
import { DEFAULT_OPTIONS } from "../../../src_js/bench_protocol.js";

/** A worker that says what the test wants. */
class FakeWorker extends EventTarget {
  /** @type {any[]} */
  received = [];
  terminated = false;

  /** @param {any} message */
  postMessage(message) {
    this.received.push(message);
  }

  /** @param {any} data */
  say(data) {
    this.dispatchEvent(new MessageEvent("message", { data }));
  }

  terminate() {
    this.terminated = true;
  }
}

/** A client on a fake worker and a fake meter. */
function client() {
  const worker = new FakeWorker();
  /** @type {string[]} */
  const meter = [];
  const made = new BenchClient("bench.js", {
    createWorker: () => /** @type {Worker} */ (/** @type {unknown} */ (worker)),
    meter: {
      begin: () => void meter.push("begin"),
      end: () => {
        meter.push("end");
        return { median: 1, p95: 2, worst: 3, count: 4 };
      },
    },
  });
  /** @type {any[]} */
  const seen = [];
  const outcome = made.run(DEFAULT_OPTIONS, { onProgress: ({ label }) => seen.push(label), onRow: ({ name }) => seen.push(name) });
  return { worker, meter, made, seen, outcome };
}

test("a run: options out, progress, rows and questions in, the worker gone at the end", async () => {
  const { worker, meter, seen, outcome } = client();
  worker.say({ type: "progress", done: 0, total: 2, label: "fma" });
  worker.say({ type: "row", row: { group: "peak", name: "fma f32" } });
  const before = Date.now();
  worker.say({ type: "await-click" });
  assert.deepEqual(meter, ["begin"]);
  worker.say({ type: "await-frames" });
  worker.say({ type: "result", result: { rows: [] } });
  assert.deepEqual(await outcome, { rows: [] });
  assert.deepEqual(seen, ["fma", "fma f32"]);
  const [run, clicked, frames] = worker.received;
  assert.deepEqual(run, { type: "run", options: DEFAULT_OPTIONS });
  assert.ok(clicked.type === "clicked" && Math.abs(clicked.at - before) < 1000);
  assert.deepEqual(frames, { type: "frames", frames: { median: 1, p95: 2, worst: 3, count: 4 } });
  assert.ok(worker.terminated);
});

test("cancelling ends the worker at once; errors come with their code", async () => {
  const cancelled = client();
  cancelled.made.cancel();
  await assert.rejects(cancelled.outcome, { code: "cancelled" });
  assert.ok(cancelled.worker.terminated);
  cancelled.made.cancel();
  const failed = client();
  failed.worker.say({ type: "error", code: "no-adapter", message: "none" });
  await assert.rejects(failed.outcome, { code: "no-adapter", message: "none" });
  const broken = client();
  broken.worker.dispatchEvent(new Event("error"));
  await assert.rejects(broken.outcome, { code: "internal", message: /did not load/ });
  assert.ok(failed.worker.terminated && broken.worker.terminated);
});

test("frame times are the gaps between frames", () => {
  assert.deepEqual(frameTimes([]), { median: 0, p95: 0, worst: 0, count: 0 });
  assert.deepEqual(frameTimes([5]), { median: 0, p95: 0, worst: 0, count: 0 });
  const times = Array.from({ length: 41 }, (_, i) => 1000 + 16 * i + (i > 30 ? 84 : 0) + (i > 38 ? 34 : 0));
  assert.deepEqual(frameTimes(times), { median: 0.016, p95: 0.016, worst: 0.1, count: 40 });
});

test("figures in words", () => {
  assert.deepEqual([123.4, 12.345, 0.01234, 0.00001234].map(timeText), ["123\u00a0s", "12.3\u00a0s", "12.3\u00a0ms", "12.3\u00a0\u00b5s"]);
  assert.deepEqual(
    rowText({ group: "kernel", name: "a", seconds: 0.5, flops: 1, tflops: 48.123, percent: 77.4 }),
    { value: "500\u00a0ms", rate: "48.1 TFLOP/s", share: "77\u00a0%" },
  );
  assert.equal(rowText({ group: "kernel", name: "a", seconds: 0.5, flops: 1, tflops: 0.0123 }).rate, "12.3 GFLOP/s");
  assert.deepEqual(
    rowText({ group: "kernel", name: "a", seconds: 0.5, bytes: 1, gigabytesPerSecond: 2812.3, percent: 3.14 }),
    { value: "500\u00a0ms", rate: "2812 GB/s", share: "3.1\u00a0%" },
  );
  assert.deepEqual(rowText({ group: "memory", name: "m", bytes: 4.5e9 }), { value: "4.5\u00a0GB", rate: "", share: "" });
  assert.deepEqual(rowText({ group: "kernel", name: "e", error: "no" }), { value: "", rate: "", share: "" });
  assert.equal(new Set(GROUPS).size, GROUPS.length);
});

test("the machine and what it ran in one line", () => {
  const adapter = { vendor: "amd", architecture: "rdna-1", description: "", f16: true, fallback: false, features: [], matrixShapes: [], limits: {} };
  const text = machineText({
    schema: 1, kind: "kleinbild-bench", build: "", precision: "f16", rows: [], kernels: [], seconds: 1,
    machine: { userAgent: "", browser: "Chromium 156", adapter: { ...adapter, subgroupSizes: [32, 64] } },
    options: { ...DEFAULT_OPTIONS, model: "klein4b" }, peak: { f32Tflops: 0, f16Tflops: 0, copyGigabytesPerSecond: 0, tflops: 0 },
  });
  assert.equal(text, "amd rdna-1 \u00b7 f16 \u00b7 q4 weights in blocks of 32 \u00b7 shapes of FLUX.2 Klein 4B \u00b7 Chromium 156");
});
