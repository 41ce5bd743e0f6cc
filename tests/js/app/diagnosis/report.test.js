/** The report as text: complete, of one form, and with nothing in it that is nobody's business. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { reportText } from "../../../../src_js/app/diagnosis/report.js";
import { facts, memory } from "./facts_fixture.js";

test("everything is in it, a line each", () => {
  const text = reportText(facts({
    check: { checks: [
      { kind: "linear.q4.b32", name: "wide", chosen: true, error: 2e-4, limit: 1.5e-3, problem: "" },
      { kind: "attention.128", name: "tile", chosen: false, error: 1, limit: 2e-3, problem: "" },
      { kind: "conv2d.3", name: "packed", chosen: false, error: 1e9, limit: 2e-3, problem: "Tint says:\n  no" },
    ], faults: ["The compiler has a fault."], seconds: 2.5 },
    problems: ["Memory: the worker stopped"],
  }));
  for (const line of [
    "time: 2026-01-02T03:04:05.000Z", "version: 0.1.0, build 0123456789ab", "browser: Chromium 156",
    "page: secure, cross-origin isolated, in a tab", "adapter: nvidia hopper", "kernels compute in: f16", "maxBufferSize: 4294967296",
    "linear.q4.b32 wide (chosen): 4.12e+4 GFLOP/s, error 2.3e-4", "linear.q4.b32 wide (chosen): right, error 2.0e-4 of 1.5e-3",
    "attention.128 tile: WRONG, error 1.0e+0 of 2.0e-3", "conv2d.3 packed: DID NOT RUN: Tint says: no", "fault: The compiler has a fault.",
    "256x256: least 2600.0 MB, whole 4500.0 MB, budget 8250.0 MB", "counted: 2900.0 MB in 60 files",
    "browser's estimate: 3100.0 MB used of 13000.0 MB", "service worker: active, serves this page", "kleinbild-0123456789ab: 170 files",
    "problem: Memory: the worker stopped",
  ]) assert.ok(text.split("\n").includes(line), `${line}\n\n${text}`);
  assert.ok(text.endsWith("\n") && !/undefined|null|NaN|\[object/.test(text));
});

test("a machine without WebGPU has a report as well", () => {
  const text = reportText(facts({
    webgpu: "missing", adapter: null, gpu: null, kernels: null, sizes: [], model: null, hardware: { cores: 2, memoryGib: null },
    storage: { available: false, persisted: false, estimate: null, kept: [] }, offline: { state: "none", controlled: false, caches: [] },
  }));
  assert.match(text, /^stop: no-webgpu$/m);
  assert.match(text, /^webgpu: not offered by the browser$/m);
  assert.match(text, /^files: the browser gives this page none$/m);
  assert.ok(!/undefined|null|NaN|\[object/.test(text), text);
});

test("findings come with their numbers, refusals with their reason", () => {
  const text = reportText(facts({ sizes: [{ width: 256, height: 256, needs: memory() }, { width: 512, height: 512, needs: memory({ refusal: "No." }) }] }));
  assert.match(text, /^limit: sizes size=256 × 256 budget=8250000000$/m);
  assert.match(text, /^512x512: .*, REFUSED: No\.$/m);
});
