import assert from "node:assert/strict";
import { test } from "node:test";
import { Store } from "../../../../src_js/app/store.js";
import { diceSeed, readMemoryBudget, readSettings, recallSettings, rememberSettings } from "../../../../src_js/app/make/settings.js";

const VALUES = { prompt: " a fox ", width: "512", height: "256", seed: "18446744073709551615", steps: "4", newSeed: false, keepPrompts: true };

test("good values become settings", () => {
  assert.deepEqual(readSettings(VALUES), {
    settings: { prompt: "a fox", width: 512, height: 256, seed: 2n ** 64n - 1n, steps: 4, latents: null }, errors: {}, notices: {},
  });
});

test("a memory budget is a number of GB, or nothing", () => {
  assert.deepEqual([" ", "8.25", "0.5"].map((text) => readMemoryBudget(text)),
    [{ bytes: null, error: null }, { bytes: 8.25e9, error: null }, { bytes: 5e8, error: null }]);
  for (const wrong of ["0", "-3", "1025", "eight", "1e99", "NaN", "Infinity"]) {
    const { bytes, error } = readMemoryBudget(wrong);
    assert.deepEqual([bytes, error?.[0]], [null, "make.error.memory"], wrong);
  }
});

test("sides are floored to multiples of 16 and the page says so", () => {
  const { settings, notices } = readSettings({ ...VALUES, width: "500", height: "17" });
  assert.deepEqual([settings?.width, settings?.height], [496, 16]);
  assert.deepEqual(notices.width, ["make.notice.side", { multiple: "16", asked: "500", floored: "496" }]);
});

/** @type {[import("../../../../src_js/app/make/settings.js").FieldName, string][]} */
const BAD = [
  ["prompt", "  "], ["width", "15"], ["width", "2049"], ["width", ""], ["height", "-16"], ["height", "1e3"], ["height", "256.5"],
  ["seed", "-1"], ["seed", "18446744073709551616"], ["seed", "1".repeat(30)], ["seed", "0x10"], ["steps", "0"], ["steps", "101"],
];

for (const [name, text] of BAD) {
  test(`refuses ${name} ${JSON.stringify(text)}`, () => {
    const { settings, errors } = readSettings({ ...VALUES, [name]: text });
    assert.equal(settings, null);
    assert.deepEqual(Object.keys(errors), [name]);
  });
}

test("every error is told at once", () => {
  assert.deepEqual(Object.keys(readSettings({ ...VALUES, width: "x", steps: "", seed: "-" }).errors).sort(), ["seed", "steps", "width"]);
});

/** @param {Map<string, string>} items */
function storeOf(items) {
  return new Store(() => ({
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
  }));
}

test("settings survive a visit, and strange storage does no harm", () => {
  const items = new Map();
  const store = storeOf(items);
  rememberSettings(store, VALUES);
  assert.deepEqual(recallSettings(store), VALUES);
  for (const text of ["", "null", "[1]", "{nothing", "5", '{"width":5,"seed":{},"newSeed":"yes"}']) {
    items.set("kleinbild.settings", text);
    assert.deepEqual(recallSettings(store), {}, text);
  }
});

test("a prompt that is not to be kept is not", () => {
  const items = new Map();
  const store = storeOf(items);
  rememberSettings(store, VALUES);
  rememberSettings(store, { ...VALUES, prompt: "a secret", keepPrompts: false });
  assert.ok(![...items.values()].some((text) => text.includes("secret") || text.includes("fox")));
  const { prompt, ...others } = VALUES;
  assert.deepEqual(recallSettings(store), { ...others, keepPrompts: false });
});

test("the dice stay within 32 bits and do not repeat themselves", () => {
  const seeds = new Set(Array.from({ length: 20 }, diceSeed));
  assert.ok(seeds.size > 15);
  for (const seed of seeds) assert.ok(seed >= 0n && seed < 2n ** 32n);
});
