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
    assert.deepEqual(bare, []);
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

test("a missing file, an open or unopened condition and an unknown directive are faults", () => {
  const render = (/** @type {string} */ text) => renderKernel(new Map([["main", text]]), { kernel: "main" });
  assert.throws(() => render("//#include part"), /part\.wgsl is not loaded/);
  assert.throws(() => render("//#if A\n//#endif\n//#endif"), /#endif without/);
  assert.throws(() => render("//#else"), /#else without/);
  assert.throws(() => render("//#elif A"), /no such directive/);
  assert.throws(() => render("//#if A B"), /no such directive/);
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
