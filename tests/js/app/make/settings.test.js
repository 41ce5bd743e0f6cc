import assert from "node:assert/strict";
import { test } from "node:test";
import { Store } from "../../../../src_js/app/store.js";
import { diceSeed, ordersOf, readMemoryBudget, readSettings, recallSettings, rememberSettings } from "../../../../src_js/app/make/settings.js";

const VALUES = { prompt: " a fox ", width: "512", height: "256", seed: "18446744073709551615", steps: "4", count: "1", newSeed: false, lines: false, keepPrompts: true, memory: "" };

test("good values become settings", () => {
  assert.deepEqual(readSettings(VALUES), {
    asked: { prompts: ["a fox"], width: 512, height: 256, seed: 2n ** 64n - 1n, steps: 4, count: 1 }, errors: {}, notices: {},
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
  const { asked, notices } = readSettings({ ...VALUES, width: "500", height: "17" });
  assert.deepEqual([asked?.width, asked?.height], [496, 16]);
  assert.deepEqual(notices.width, ["make.notice.side", { multiple: "16", asked: "500", floored: "496" }]);
});

/** @type {[import("../../../../src_js/app/make/settings.js").FieldName, string][]} */
const BAD = [
  ["prompt", "  "], ["width", "15"], ["width", "2049"], ["width", ""], ["height", "-16"], ["height", "1e3"], ["height", "256.5"],
  ["seed", "-1"], ["seed", "18446744073709551616"], ["seed", "1".repeat(30)], ["seed", "0x10"], ["steps", "0"], ["steps", "101"], ["count", "0"], ["count", "101"], ["count", ""], ["prompt", "x".repeat(100_001)],
];

for (const [name, text] of BAD) {
  test(`refuses ${name} ${JSON.stringify(text.slice(0, 40))}`, () => {
    const { asked, errors } = readSettings({ ...VALUES, [name]: text });
    assert.equal(asked, null);
    assert.deepEqual(Object.keys(errors), [name]);
  });
}

test("every error is told at once", () => {
  assert.deepEqual(Object.keys(readSettings({ ...VALUES, width: "x", steps: "", seed: "-" }).errors).sort(), ["seed", "steps", "width"]);
});

test("each line is a prompt of its own where that is asked for, empty ones are none", () => {
  const prompt = " a fox \n\n  a hare\r\n";
  assert.deepEqual(readSettings({ ...VALUES, prompt, lines: true }).asked?.prompts, ["a fox", "a hare"]);
  assert.deepEqual(readSettings({ ...VALUES, prompt }).asked?.prompts, ["a fox \n\n  a hare"]);
  const { errors } = readSettings({ ...VALUES, prompt: ` \n${"x".repeat(100_001)}`, lines: true });
  assert.equal(errors.prompt?.[0], "make.error.long");
});

test("a kept seed counts up from its number, for every prompt; new ones are thrown for all but the first picture", () => {
  const asked = { prompts: ["a", "b"], width: 16, height: 32, steps: 2, seed: 2n ** 64n - 2n, count: 3 };
  const kept = ordersOf(asked, { newSeed: false, keepPrompts: false });
  assert.deepEqual(kept.map(({ prompt, seeds }) => [prompt, ...seeds]), ["a", "b"].map((prompt) => [prompt, "18446744073709551614", "18446744073709551615", "0"]));
  assert.deepEqual(kept.map(({ width, height, steps, keepPrompt }) => [width, height, steps, keepPrompt]), [[16, 32, 2, false], [16, 32, 2, false]]);
  const thrown = ordersOf(asked, { newSeed: true, keepPrompts: true }).flatMap(({ seeds }) => seeds);
  assert.equal(thrown[0], "18446744073709551614");
  assert.equal(new Set(thrown).size, 6);
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
