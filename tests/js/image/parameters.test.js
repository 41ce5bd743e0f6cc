import assert from "node:assert/strict";
import { test } from "node:test";

import { readParameters, writeParameters } from "../../../src_js/image/parameters.js";
import { testRandom } from "../support/random.js";

const random = testRandom("parameters.test.js");

/** @param {string} text */
function read(text) {
  const found = readParameters(text);
  return found && { prompt: found.prompt, ...Object.fromEntries(found.facts) };
}

test("texts of other tools are read", () => {
  assert.deepEqual(
    read([
      "masterpiece, (a cat:1.2), <lora:x:0.8>",
      "second line",
      "Negative prompt: blurry,",
      "bad hands",
      'Steps: 20, Sampler: DPM++ 2M, CFG scale: 7, Seed: 1234, Size: 512x768, Model hash: 6ce0161689, Model: "a, b: c", Lora hashes: "x: 1, y: \\"2\\"", Version: v1.9.3',
    ].join("\r\n")),
    {
      prompt: "masterpiece, (a cat:1.2), <lora:x:0.8>\nsecond line",
      Steps: "20", Sampler: "DPM++ 2M", "CFG scale": "7", Seed: "1234", Size: "512x768", "Model hash": "6ce0161689",
      Model: "a, b: c", "Lora hashes": 'x: 1, y: "2"', Version: "v1.9.3",
    },
  );
  assert.deepEqual(read("Steps: 4, Seed: 5, Size: 16x16"), { prompt: "", Steps: "4", Seed: "5", Size: "16x16" });
  assert.deepEqual(read("Negative prompt: x\nSteps: 4, Seed: 5, Size: 16x16")?.prompt, "");
});

test("a text without a line of facts is not one of these", () => {
  for (const text of ["", "\n\n", "a cat", "a cat, the: dog, two: birds", "Steps: 4, Seed: 5", ": , : , : ", "{\"a\": 1, \"b\": 2, \"c\": 3}"]) {
    assert.equal(readParameters(text), null, text);
  }
});

test("odd lines of facts are read as far as they make sense", () => {
  assert.deepEqual(read('p\nSteps: 4, Seed: "unended, Size: 1x1, A: , Steps: 9, __proto__: x, B:2,'), {
    prompt: "p", Steps: "4", Seed: '"unended', Size: "1x1", A: "", ["__proto__"]: "x", B: "2",
  });
  assert.deepEqual(read('p\nA: "\\q", B: "1" 2, C: \u6771\u4eac'), { prompt: "p", A: '"\\q"', B: '"1" 2', C: "\u6771\u4eac" });
});

test("what was written is read again, for prompts without a line of their own for what is not wanted", () => {
  const alphabet = ["a", "b", " ", ",", ":", '"', "\\", "\n", "Steps: 4", "\u6771", "\u00e9", "\u{1f600}", "<b>", "\t"];
  const text = (/** @type {number} */ most) => Array.from({ length: random.integer(most) }, () => alphabet[random.integer(alphabet.length)]).join("");
  for (let round = 0; round < 2000; round++) {
    const prompt = text(20).trim();
    const facts = { Steps: random.integer(100), Seed: BigInt(random.integer(2 ** 32)) << 32n, Size: "16x32", Model: text(8).trim(), "Last one": text(8).trim() };
    const found = readParameters(writeParameters(prompt, facts));
    assert.equal(found?.prompt, prompt.replaceAll("\r", ""));
    assert.deepEqual(Object.fromEntries(found?.facts ?? []), Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, String(value)])));
  }
});

test("a long text takes time in proportion", () => {
  for (const text of ["a".repeat(1 << 20), "a:".repeat(1 << 19), "a b ".repeat(1 << 18), `p\n${'a: "'.repeat(16000)}`, "\n".repeat(1 << 20), 'a: "\\'.repeat(1 << 17)]) {
    const began = performance.now();
    readParameters(text);
    assert.ok(performance.now() - began < 1000, text.slice(0, 8));
  }
});
