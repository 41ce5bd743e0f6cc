import assert from "node:assert/strict";
import { test } from "node:test";
import {
  backgroundText, deviceText, laterText, memoryText, stageDetail, stageTitle,
} from "../../../../src_js/app/make/wording.js";
import { words } from "../../support/words.js";

const ENGLISH = words();

test("memory: what a picture needs, what would keep the model there, or why it is refused", () => {
  const needs = { least: 2.63e9, whole: 4.47e9, budget: 8.25e9, refusal: "" };
  assert.equal(memoryText(ENGLISH, needs), "Needs 4.5 GB of GPU memory.");
  assert.match(memoryText(ENGLISH, { ...needs, budget: 3e9 }), /^Needs 2\.6 GB of GPU memory; with 4\.5 GB/);
  assert.equal(memoryText(ENGLISH, { ...needs, budget: 2e9, refusal: "x" }), "This size needs 2.6 GB of GPU memory, and Kleinbild may use 2.0 GB.");
  assert.match(memoryText(ENGLISH, { ...needs, refusal: "x", largest: { width: 512, height: 256 } }), /larger piece than this GPU gives\. .* is 512 \u00d7 256\.$/);
});

test("the rest of the model: how much, when, and how far it is", () => {
  const info = { missingBytes: 2.9e9, laterBytes: 0.8e9, persistent: true };
  assert.equal(laterText(ENGLISH, info), "Another 800 MB of the model are downloaded in the background after the first picture.");
  assert.match(laterText(ENGLISH, { ...info, missingBytes: 0 }), /after the next picture/);
  assert.equal(laterText(ENGLISH, { ...info, laterBytes: 0 }), "");
  assert.match(laterText(ENGLISH, { ...info, persistent: false }), /as pictures need them/);
  const state = { bytes: 1.2e8, totalBytes: 7.9e8, done: false, problem: "" };
  assert.equal(backgroundText(ENGLISH, state), "Downloading the rest of the model in the background: 120 MB of 790 MB.");
  assert.match(backgroundText(ENGLISH, { ...state, bytes: 7.9e8, done: true }), /whole model is on this device/);
  assert.match(backgroundText(ENGLISH, { ...state, problem: "No connection." }), /goes on after the next picture. It stopped: No connection.$/);
});

test("every stage has a title; steps are counted from one and end at the last", () => {
  const at = (/** @type {number} */ step) => stageTitle(ENGLISH, { stage: "transformer", step, steps: 4, fraction: 0 });
  assert.deepEqual([at(0), at(3), at(4)], ["Exposing, step 1 of 4", "Exposing, step 4 of 4", "Exposing, step 4 of 4"]);
});

test("a download says how much is left, and how long once that can be known", () => {
  const progress = { stage: /** @type {const} */ ("download"), step: 0, steps: 2, fraction: 0, bytes: 1e9, totalBytes: 4e9 };
  assert.equal(stageDetail(ENGLISH, progress, 1), "1.0 GB of 4.0 GB");
  assert.equal(stageDetail(ENGLISH, progress, 60), "1.0 GB of 4.0 GB, about 3 min left");
  assert.equal(stageDetail(ENGLISH, progress, 10), "1.0 GB of 4.0 GB, less than a minute left");
  assert.equal(stageDetail(ENGLISH, { ...progress, stage: "loading", bytesPerSecond: 1.63e9 }, 1), "1.0 GB of 4.0 GB, 1.6 GB/s");
  assert.equal(stageDetail(ENGLISH, { stage: "loading", step: 0, steps: 1, fraction: 0.95 }, 1), "95%");
  assert.equal(stageDetail(ENGLISH, { stage: "transformer", step: 1, steps: 4, fraction: 0.349 }, 9), "34%");
});

test("the device line tells of software adapters, 32 bits and missing storage", () => {
  const info = { vendor: "nvidia", architecture: "hopper", description: "", precision: /** @type {const} */ ("f16"),
    fallback: false, limits: {}, model: "m", revision: "r", persistent: true };
  assert.equal(deviceText(ENGLISH, info), "Runs on nvidia hopper, with 16-bit numbers.");
  assert.match(deviceText(ENGLISH, { ...info, precision: "f32" }), /no 16-bit arithmetic/);
  assert.match(deviceText(ENGLISH, { ...info, fallback: true }), /stands in for a GPU/);
  assert.match(deviceText(ENGLISH, { ...info, persistent: false }), /downloaded again/);
});

test("measuring kernels has words of its own", () => {
  assert.equal(stageDetail(ENGLISH, { stage: "tuning", step: 3, steps: 40, fraction: 0.1 }, 9), "3 of 40, once on this device");
  assert.match(stageTitle(ENGLISH, { stage: "tuning", step: 3, steps: 40, fraction: 0.1 }), /^Measuring your GPU/);
});
