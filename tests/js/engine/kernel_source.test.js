/** The kernel files and how variants are made of them. */

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { KERNEL_FILES, renderKernel, variantKey } from "../../../src_js/engine/kernel_source.js";

const FOLDER = new URL("../../../src_js/kernels/", import.meta.url);
const source = (/** @type {string} */ name) => readFileSync(new URL(`${name}.wgsl`, FOLDER), "utf8");

test("every kernel file is listed, and every listed one is there", () => {
  assert.deepEqual(readdirSync(FOLDER).sort(), KERNEL_FILES.map((name) => `${name}.wgsl`).sort());
});

for (const name of KERNEL_FILES) {
  test(`${name}.wgsl says what it is, and initialises every variable`, () => {
    assert.match(source(name), /^\/\/ \S/);
    // Chromium's compiler does not zero a variable again on each turn of a loop when it has no initialiser
    const bare = source(name).split("\n").filter((line) => /^\s+var\s+\w+\s*:[^=]*;/.test(line));
    // all but the probe that finds out whether this compiler does so too
    if (name !== "probe_zero") assert.deepEqual(bare, []);
  });
}

test("includes, conditions, types and constants", () => {
  const sources = new Map([
    ["main", "//#include part\na\n//#if X\nb\n//#if Y\nc\n//#else\nd\n//#endif\n//#else\ne\n//#endif\nf"],
    ["part", "//#if T_F16\nhalf\n//#endif\nend"],
  ]);
  const render = (/** @type {string[]} */ ...flags) =>
    renderKernel(sources, { kernel: "main", types: { T: "f16" }, constants: { N: 3 }, flags }).split("\n");
  const head = ["enable f16;", "alias T = f16;", "const N: u32 = 3u;", "half", "end", "a"];
  assert.deepEqual(render(), [...head, "e", "f"]);
  assert.deepEqual(render("X"), [...head, "b", "d", "f"]);
  assert.deepEqual(render("X", "Y"), [...head, "b", "c", "f"]);
  assert.deepEqual(renderKernel(sources, { kernel: "part", types: { T: "f32" } }).split("\n"), ["alias T = f32;", "end"]);
});

test("extensions stand before everything else, once each", () => {
  const sources = new Map([["main", "a\n//#enable subgroups\n//#if M\n//#enable chromium_experimental_subgroup_matrix\n//#endif\n//#include main2"], ["main2", "//#enable subgroups"]]);
  const render = (/** @type {string[]} */ ...flags) => renderKernel(sources, { kernel: "main", types: { T: "f16" }, flags }).split("\n");
  assert.deepEqual(render(), ["enable f16;", "enable subgroups;", "alias T = f16;", "a"]);
  assert.deepEqual(render("M").slice(2, 4), ["enable chromium_experimental_subgroup_matrix;", "diagnostic(off, chromium.subgroup_matrix_uniformity);"]);
});

test("a loop is unrolled, inside another and inside a condition, with its variable's value", () => {
  const sources = new Map([["main", "//#for i in N\n//#for j in 2\na$i b$j\n//#endfor\n//#if X\nx$i $ix\n//#endif\n//#endfor\n//#if Y\n//#for k in M\n//#endfor\n//#endif"]]);
  const render = (/** @type {string[]} */ ...flags) =>
    renderKernel(sources, { kernel: "main", constants: { N: 2 }, flags }).split("\n").slice(1);
  assert.deepEqual(render(), ["a0 b0", "a0 b1", "a1 b0", "a1 b1"]);
  assert.deepEqual(render("X"), ["a0 b0", "a0 b1", "x0 $ix", "a1 b0", "a1 b1", "x1 $ix"]);
  assert.throws(() => render("Y"), /cannot repeat "k in M"/);
});

test("a missing file, an open or unopened condition and an unknown directive are faults", () => {
  const render = (/** @type {string} */ text) => renderKernel(new Map([["main", text]]), { kernel: "main" });
  assert.throws(() => render("//#include part"), /part\.wgsl is not loaded/);
  assert.throws(() => render("//#if A\n//#endif\n//#endif"), /#endif without/);
  assert.throws(() => render("//#else"), /#else without/);
  assert.throws(() => render("//#elif A"), /no such directive/);
  assert.throws(() => render("//#if A B"), /no such directive/);
  assert.throws(() => render("//#for i in 2\na"), /#for without/);
  assert.throws(() => render("//#for i of 2\n//#endfor"), /no such directive/);
  assert.throws(() => renderKernel(new Map(), { kernel: "none" }), /none\.wgsl is not loaded/);
  assert.throws(() => renderKernel(new Map([["open", "//#if A"]]), { kernel: "open" }), /without \/\/#endif/);
});

test("equal variants have equal keys, different ones different keys", () => {
  const a = variantKey({ kernel: "k", types: { A: "f32", B: "f16" }, flags: ["X", "Y"] });
  assert.equal(a, variantKey({ kernel: "k", types: { B: "f16", A: "f32" }, flags: ["Y", "X"], constants: {} }));
  assert.notEqual(a, variantKey({ kernel: "k", types: { A: "f32", B: "f32" }, flags: ["X", "Y"] }));
  assert.notEqual(a, variantKey({ kernel: "k", types: { A: "f32", B: "f16" }, flags: ["X"] }));
  assert.notEqual(a, variantKey({ kernel: "k", types: { A: "f32", B: "f16" }, flags: ["X", "Y"], constants: { N: 1 } }));
});
