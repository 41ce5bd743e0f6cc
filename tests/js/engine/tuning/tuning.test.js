/** Which candidate an operator gets: device facts, rankings, failures, families. No GPU. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { usable } from "../../../../src_js/engine/candidates.js";
import { operatorOf, shapedKind, splitKind } from "../../../../src_js/engine/tuning/kinds.js";
import { Tuning } from "../../../../src_js/engine/tuning/tuning.js";
import { applyRankings } from "../../../../src_js/engine/tuning/report.js";

/** @typedef {import("../../../../src_js/engine/candidates.js").Candidate} Candidate */

/** @param {string} name @param {Partial<Candidate>} [more] @returns {Candidate} */
const candidate = (name, more = {}) => ({ name, family: "plain", constants: {}, flags: [], ...more });
const PLAIN = candidate("plain");
const WIDE = candidate("wide");
const MATRIX = candidate("matrix", { family: "matrix" });
const ALL = [PLAIN, WIDE, MATRIX];

test("without measurements the first candidate serves, the fastest known one with them", () => {
  const tuning = new Tuning();
  assert.equal(tuning.pick("linear", ALL), PLAIN);
  tuning.rank("linear", ["gone", "matrix", "wide"]);
  assert.equal(tuning.pick("linear", ALL), MATRIX);
  assert.equal(tuning.pick("linear", [PLAIN, WIDE]), WIDE, "the fastest is not offered for this shape");
  assert.equal(tuning.pick("attention", ALL), PLAIN, "another kind has other measurements");
  tuning.clear();
  assert.equal(tuning.pick("linear", ALL), PLAIN);
  assert.throws(() => tuning.pick("linear", []), /linear: no kernel/);
});

test("a dropped candidate is not picked, unless nothing else is left", () => {
  const tuning = new Tuning();
  tuning.rank("linear", ["matrix", "wide"]);
  tuning.drop("linear", "matrix");
  tuning.drop("linear", "plain");
  assert.equal(tuning.pick("linear", ALL), WIDE);
  assert.equal(tuning.pick("linear", [PLAIN, MATRIX]), PLAIN);
});

test("a restriction to a family holds where it has a candidate", () => {
  const tuning = new Tuning();
  tuning.rank("linear", ["matrix", "wide", "plain"]);
  tuning.restrict(["plain"]);
  assert.equal(tuning.pick("linear", ALL), WIDE);
  tuning.restrict(["matrix"]);
  assert.equal(tuning.pick("linear", [PLAIN, WIDE]), PLAIN);
  assert.equal(tuning.pick("linear", ALL), MATRIX);
  tuning.restrict(undefined);
  assert.equal(tuning.pick("linear", ALL), MATRIX);
});

test("recording can be watched and steered, for its own length only", () => {
  const tuning = new Tuning();
  tuning.rank("linear", ["wide"]);
  tuning.drop("linear", "matrix");
  const seen = tuning.observe(() => {
    assert.equal(tuning.pick("linear", ALL), WIDE);
    tuning.pick("conv2d.3", [PLAIN]);
  });
  assert.deepEqual([...seen], [["linear", ALL], ["conv2d.3", [PLAIN]]]);
  const copies = ALL.map((one) => ({ ...one }));
  const steered = tuning.using("linear.large", "matrix", () => (
    [tuning.pick("linear.small", copies), tuning.pick("linear", [PLAIN, WIDE]), tuning.pick("linearly", ALL)]));
  assert.deepEqual(steered.result.map(({ name }) => name), ["matrix", "wide", "plain"]);
  assert.equal(steered.result[0], copies[2], "the operator's own object");
  assert.ok(steered.used && !tuning.using("linear", "matrix", () => tuning.pick("linear", [PLAIN])).used);
  assert.equal(tuning.plainest(() => tuning.pick("linear", [MATRIX, PLAIN, WIDE])), PLAIN);
  assert.throws(() => tuning.using("linear", "matrix", () => {
    throw new RangeError("refused");
  }), RangeError);
  assert.equal(tuning.pick("linear", ALL), WIDE);
});

test("the identity tells apart everything that changes a choice, and nothing else", () => {
  const [one, other] = [new Tuning(), new Tuning()];
  one.rank("a", ["x", "y"]);
  one.rank("b", ["z"]);
  other.rank("b", ["z"]);
  other.rank("a", ["x", "y"]);
  const text = (/** @type {Tuning} */ tuning) => JSON.stringify(tuning.identity);
  assert.equal(text(one), text(other));
  const seen = new Set([text(one)]);
  for (const change of [() => one.rank("a", ["y", "x"]), () => one.drop("a", "y"), () => one.restrict(["plain"])]) {
    change();
    assert.ok(!seen.has(text(one)));
    seen.add(text(one));
  }
});

test("a report puts its ranking and failures into force", () => {
  const tuning = new Tuning();
  tuning.rank("old", ["wide"]);
  /** @param {string} name @param {number} tflops @param {string} [dropped] */
  const row = (name, tflops, dropped = "") => ({ name, family: /** @type {const} */ ("plain"), tflops, error: 0, dropped });
  applyRankings(tuning, {
    faults: [], seconds: 1,
    kinds: [
      { kind: "linear", chosen: "wide", problem: "", candidates: [row("wide", 9), row("matrix", 4), row("plain", 0, "wrong")], shapes: [
        { kind: "linear.512x64", chosen: "matrix", candidates: [row("matrix", 7), row("wide", 6)] },
      ] },
      { kind: "hopeless", chosen: "plain", problem: "none is right", candidates: [row("plain", 0, "wrong")], shapes: [] },
    ],
  });
  assert.equal(tuning.pick("old", ALL), PLAIN);
  assert.equal(tuning.pick("linear", ALL), WIDE);
  assert.equal(tuning.pick("linear", [PLAIN, MATRIX]), MATRIX);
  assert.equal(tuning.pick("hopeless", ALL), PLAIN);
  assert.equal(tuning.pick("linear.512x64", ALL), MATRIX);
  assert.equal(tuning.pick("linear.512x64", [PLAIN, WIDE]), WIDE);
  assert.equal(tuning.pick("linear.512x64", [PLAIN, candidate("other")]).name, "other", "what is wrong is wrong for every shape");
});

test("a shape that was not timed is served as the nearest one of as many columns, else as the nearest one, else as all are", () => {
  const tuning = new Tuning();
  const names = ["lead", "256", "1536", "wide"];
  const offered = ["plain", ...names].map((name) => candidate(name));
  const pick = (/** @type {string} */ kind, some = offered) => tuning.pick(kind, some).name;
  tuning.rank("linear.q4.b32.f16", ["lead"]);
  assert.equal(pick("linear.q4.b32.f16.700x3072"), "lead");
  tuning.rank("linear.q4.b32.f16.256x3072", ["256"]);
  tuning.rank("linear.q4.b32.f16.1536x3072", ["1536"]);
  tuning.rank("linear.q4.b32.f16.512x27648", ["wide"]);
  for (const [shape, name] of [
    ["256x3072", "256"], ["1536x3072", "1536"], ["600x3072", "256"], ["650x3072", "1536"], ["4608x3072", "1536"], ["1x3072", "256"],
    ["4608x27648", "wide"], ["512x18432", "wide"], ["300x2560", "256"], ["2000x4096", "1536"],
  ]) assert.equal(pick(`linear.q4.b32.f16.${shape}`), name, shape);
  assert.equal(pick("linear.q4.b32.f16"), "lead");
  assert.equal(pick("linear.q4.b32.f16.1536x3072", offered.slice(0, 2)), "lead", "what the nearest ranks is not offered");
  for (const kind of ["linear.q4.b64.f16.1536x3072", "linear.q4.b32.f32.1536x3072", "linear.q4.b32"]) assert.equal(pick(kind), "plain", kind);
  tuning.drop("linear.q4.b32.f16", "1536");
  assert.equal(pick("linear.q4.b32.f16.1600x3072"), "lead", "dropped for all shapes");
  tuning.rank("linear.q4.b32.f16.1700x3072", ["wide"]);
  assert.equal(pick("linear.q4.b32.f16.1700x3072"), "wide");
  assert.equal(pick("linear.q4.b32.f16.1650x3072"), "wide", "what is measured later is nearer");
});

test("kinds are put together and taken apart", () => {
  const kind = shapedKind("linear.q4.b32.f16", 1536, 3072);
  assert.deepEqual(splitKind(kind), { base: "linear.q4.b32.f16", shape: { rows: 1536, columns: 3072 } });
  for (const plain of ["linear.q4.b32.f16", "attention.128", "conv2d.3x3", "1x2"]) {
    const shape = plain === "conv2d.3x3" ? { rows: 3, columns: 3 } : undefined;
    assert.deepEqual(splitKind(plain), { base: shape ? "conv2d" : plain, shape });
  }
  assert.equal(operatorOf(kind), "linear");
});

test("candidates are filtered by what the device has", () => {
  /** @type {Parameters<typeof usable>[1]} */
  const info = {
    precision: "f16", features: ["subgroups"], subgroupSizes: [32, 32], matrixShapes: ["f16-f32-16x16x16"],
    limits: { maxComputeWorkgroupStorageSize: 32768, maxComputeInvocationsPerWorkgroup: 512, maxStorageBuffersPerShaderStage: 10 },
  };
  const fits = (/** @type {import("../../../../src_js/engine/candidates.js").Needs} */ needs, facts = info, precision = facts.precision) => (
    usable([candidate("x", { needs })], facts, precision).length === 1);
  assert.ok(fits({}));
  assert.ok(fits({ workgroupStorage: 32768, invocations: 512, storageBuffers: 10, subgroupSize: 32, matrixShape: "f16-f32-16x16x16" }));
  for (const needs of [
    { workgroupStorage: 32772 }, { invocations: 513 }, { storageBuffers: 11 }, { subgroupSize: 64 }, { matrixShape: "f16-f16-16x16x16" },
    { features: ["subgroups", "chromium-experimental-subgroup-matrix"] }, { precision: /** @type {const} */ ("f32") },
  ]) assert.ok(!fits(needs), JSON.stringify(needs));
  assert.ok(fits({ precision: "f32" }, info, "f32"), "an operator may compute in f32 on an f16 engine");
  assert.ok(!fits({ subgroupSize: 32 }, { ...info, subgroupSizes: [32, 64] }), "not every subgroup has that size");
  const unknown = { ...info, limits: {} };
  assert.ok(fits({ workgroupStorage: 16384, invocations: 256, storageBuffers: 8 }, unknown));
  assert.ok(!fits({ workgroupStorage: 16388 }, unknown) && !fits({ invocations: 257 }, unknown));
});
