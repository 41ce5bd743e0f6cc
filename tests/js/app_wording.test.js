import assert from "node:assert/strict";
import { test } from "node:test";
import { adviceFor, platformOf } from "../../src_js/app/advice.js";
import { checkScriptUrl } from "../../src_js/app/trusted_types.js";
import {
  backgroundText, candidateText, deviceText, formatBytes, formatDuration, kernelsText, laterText, memoryText, stageDetail, stageTitle,
} from "../../src_js/app/wording.js";

/** @type {import("../../src_js/errors.js").ErrorCode[]} */
const CODES = ["no-webgpu", "no-adapter", "out-of-memory", "device-lost", "bad-manifest", "bad-shard", "download-failed",
  "worker-lost", "in-use", "incomplete", "storage-full", "too-large", "cancelled", "bad-input", "internal"];

test("bytes and seconds", () => {
  assert.deepEqual([0, 999, 1000, 25600, 5225022190, 2e13].map(formatBytes),
    ["0 bytes", "999 bytes", "1.0 kB", "25.6 kB", "5.2 GB", "20000 GB"]);
  assert.deepEqual([0.04, 3.45, 59.94, 60, 125.2].map(formatDuration), ["0.0 s", "3.5 s", "59.9 s", "1:00 min", "2:05 min"]);
});

test("memory: what a picture needs, what would keep the model there, or why it is refused", () => {
  const needs = { least: 2.63e9, whole: 4.47e9, budget: 8.25e9, refusal: "" };
  assert.equal(memoryText(needs), "Needs 4.5 GB of GPU memory.");
  assert.match(memoryText({ ...needs, budget: 3e9 }), /^Needs 2\.6 GB of GPU memory; with 4\.5 GB/);
  assert.equal(memoryText({ ...needs, refusal: "too much" }), "too much");
});

test("the rest of the model: how much, when, and how far it is", () => {
  const info = { missingBytes: 2.9e9, laterBytes: 0.8e9, persistent: true };
  assert.equal(laterText(info), "Another 800 MB of the model are downloaded in the background after the first picture.");
  assert.match(laterText({ ...info, missingBytes: 0 }), /after the next picture/);
  assert.equal(laterText({ ...info, laterBytes: 0 }), "");
  assert.match(laterText({ ...info, persistent: false }), /a picture downloads what it needs/);
  const state = { bytes: 1.2e8, totalBytes: 7.9e8, done: false, problem: "" };
  assert.equal(backgroundText(state), "Downloading the rest of the model in the background: 120 MB of 790 MB.");
  assert.match(backgroundText({ ...state, bytes: 7.9e8, done: true }), /whole model is on this device/);
  assert.match(backgroundText({ ...state, problem: "No connection." }), /goes on after the next picture. It stopped: No connection.$/);
});

test("every stage has a title; steps are counted from one and end at the last", () => {
  const at = (/** @type {number} */ step) => stageTitle({ stage: "transformer", step, steps: 4, fraction: 0 });
  assert.deepEqual([at(0), at(3), at(4)], ["Exposing, step 1 of 4", "Exposing, step 4 of 4", "Exposing, step 4 of 4"]);
});

test("a download says how much is left, and how long once that can be known", () => {
  const progress = { stage: /** @type {const} */ ("download"), step: 0, steps: 2, fraction: 0, bytes: 1e9, totalBytes: 4e9 };
  assert.equal(stageDetail(progress, 1), "1.0 GB of 4.0 GB");
  assert.equal(stageDetail(progress, 60), "1.0 GB of 4.0 GB, about 3 min left");
  assert.equal(stageDetail(progress, 10), "1.0 GB of 4.0 GB, less than a minute left");
  assert.equal(stageDetail({ ...progress, stage: "loading", bytesPerSecond: 1.63e9 }, 1), "1.0 GB of 4.0 GB, 1.6 GB/s");
  assert.equal(stageDetail({ stage: "loading", step: 0, steps: 1, fraction: 0.95 }, 1), "95 %");
  assert.equal(stageDetail({ stage: "transformer", step: 1, steps: 4, fraction: 0.349 }, 9), "34 %");
});

test("the device line tells of software adapters, 32 bits and missing storage", () => {
  const info = { vendor: "nvidia", architecture: "hopper", description: "", precision: /** @type {const} */ ("f16"),
    fallback: false, limits: {}, model: "m", revision: "r", persistent: true };
  assert.equal(deviceText(info), "Runs on nvidia hopper in 16-bit floating point.");
  assert.match(deviceText({ ...info, precision: "f32" }), /no 16-bit arithmetic/);
  assert.match(deviceText({ ...info, fallback: true }), /software adapter/);
  assert.match(deviceText({ ...info, persistent: false }), /downloaded again/);
});

test("measuring kernels has words of its own", () => {
  assert.equal(stageDetail({ stage: "tuning", step: 3, steps: 40, fraction: 0.1 }, 9), "3 of 40, once on this device");
  assert.match(stageTitle({ stage: "tuning", step: 3, steps: 40, fraction: 0.1 }), /^Measuring kernels/);
  const right = { name: "a", family: /** @type {const} */ ("plain"), tflops: 41.234, error: 2.34e-4, dropped: "" };
  const wrong = { ...right, tflops: 0, dropped: "computes wrong" };
  assert.equal(candidateText(right), "41.2 TFLOP/s, error 2.3e-4");
  assert.equal(candidateText({ ...right, tflops: 0 }), "not timed, error 2.3e-4");
  assert.equal(candidateText(wrong), "computes wrong");
  const kind = { kind: "linear", chosen: "a", problem: "", candidates: [right, wrong] };
  assert.equal(kernelsText({ kinds: [kind, kind], faults: [], seconds: 6.04 }), "Chosen from 4 kernels by measuring them on this GPU, in 6.0 s.");
  assert.match(kernelsText({ kinds: [{ ...kind, candidates: [wrong] }], faults: [], seconds: 1 }), /nothing was measured/);
});

test("every code has words of its own on every platform", () => {
  const platforms = /** @type {const} */ (["android", "ios", "linux", "mac", "windows", "other"]);
  for (const platform of platforms) {
    const titles = CODES.map((code) => adviceFor(code, platform).title);
    assert.equal(new Set(titles).size, CODES.length);
  }
  assert.match(adviceFor("no-adapter", "linux").steps.join(" "), /--enable-unsafe-webgpu/);
});

test("platforms by user agent", () => {
  const agents = {
    "Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0.0.0": "linux",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/156.0.0.0": "android",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64)": "windows",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)": "mac",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)": "ios",
    "": "other",
  };
  for (const [agent, platform] of Object.entries(agents)) assert.equal(platformOf(agent), platform);
});

test("only this site's scripts become script addresses", () => {
  const origin = "http://localhost:8080";
  assert.equal(checkScriptUrl("/sw.js", origin), `${origin}/sw.js`);
  const worker = `${origin}/v/0123456789ab/src_js/worker/main.js`;
  assert.equal(checkScriptUrl(worker, origin), worker);
  for (const url of ["https://example.org/sw.js", "data:text/javascript,1", "/w/abc.bin", "/v/x/src_js/../../evil.js",
    "//example.org/sw.js", "/models/x.json"]) {
    assert.throws(() => checkScriptUrl(url, origin), TypeError, url);
  }
});
