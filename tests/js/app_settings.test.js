import assert from "node:assert/strict";
import { test } from "node:test";
import { diceSeed, readMemoryBudget, readSettings, recallSettings, rememberSettings } from "../../src_js/app/settings.js";

const VALUES = { prompt: " a fox ", width: "512", height: "256", seed: "18446744073709551615", steps: "4", newSeed: false, keepPrompts: true };

class FakeStorage {
  /** @type {Map<string, string>} */
  items = new Map();
  getItem(/** @type {string} */ key) {
    return this.items.get(key) ?? null;
  }
  setItem(/** @type {string} */ key, /** @type {string} */ value) {
    this.items.set(key, value);
  }
}

test("good values become settings", () => {
  assert.deepEqual(readSettings(VALUES), {
    settings: { prompt: "a fox", width: 512, height: 256, seed: 2n ** 64n - 1n, steps: 4, latents: null }, errors: {}, notices: {},
  });
});

test("a memory budget is a number of GB, or nothing", () => {
  assert.deepEqual([" ", "8.25", "0.5"].map((text) => readMemoryBudget(text)),
    [{ bytes: null, error: "" }, { bytes: 8.25e9, error: "" }, { bytes: 5e8, error: "" }]);
  for (const wrong of ["0", "-3", "1025", "eight", "1e99", "NaN", "Infinity"]) {
    const { bytes, error } = readMemoryBudget(wrong);
    assert.deepEqual([bytes, error !== ""], [null, true], wrong);
  }
});

test("sides are floored to multiples of 16 and the page says so", () => {
  const { settings, notices } = readSettings({ ...VALUES, width: "500", height: "17" });
  assert.deepEqual([settings?.width, settings?.height], [496, 16]);
  assert.match(notices.width ?? "", /500 becomes 496/);
});

/** @type {[import("../../src_js/app/settings.js").FieldName, string][]} */
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

test("settings survive a visit, and strange storage does no harm", () => {
  const storage = new FakeStorage();
  rememberSettings(storage, VALUES);
  assert.deepEqual(recallSettings(storage), VALUES);
  for (const text of ["", "null", "[1]", "{nothing", '{"width":5,"seed":{},"newSeed":"yes"}']) {
    storage.items = new Map([["kleinbild.settings", text]]);
    assert.deepEqual(recallSettings(storage), {}, text);
  }
  const forbidden = { getItem() { throw new Error("SecurityError"); }, setItem() { throw new Error("SecurityError"); } };
  assert.deepEqual(recallSettings(forbidden), {});
  rememberSettings(forbidden, VALUES);
});

test("a prompt that is not to be kept is not", () => {
  const storage = new FakeStorage();
  rememberSettings(storage, VALUES);
  rememberSettings(storage, { ...VALUES, prompt: "a secret", keepPrompts: false });
  assert.ok(![...storage.items.values()].some((text) => text.includes("secret") || text.includes("fox")));
  const { prompt, ...others } = VALUES;
  assert.deepEqual(recallSettings(storage), { ...others, keepPrompts: false });
});

test("the dice stay within 32 bits and do not repeat themselves", () => {
  const seeds = new Set(Array.from({ length: 20 }, diceSeed));
  assert.ok(seeds.size > 15);
  for (const seed of seeds) assert.ok(seed >= 0n && seed < 2n ** 32n);
});
