/**
 * What stands for the tokenizer and the embedding table of a made-up model.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { readMadeUp, syntheticVocabulary } from "../../../src_js/bench/synthetic_prompt.js";
import { floatFromHalf } from "../../../src_js/engine/half.js";
import { Tokenizer } from "../../../src_js/pipeline/tokenizer/tokenizer.js";
import { testRandom } from "../support/random.js";

const random = testRandom("synthetic_prompt.test.js");
/** @type {import("../../../src_js/manifest.js").ModelConfig} */
const config = JSON.parse(readFileSync(new URL("../../../src_js/bench/klein4b.json", import.meta.url), "utf8"));

test("a prompt is its bytes within the template, each mark one token", () => {
  const tokenizer = new Tokenizer(syntheticVocabulary(config));
  const prompt = "caf\u00e9 2 \u{1f6a2}";
  const { inputIds, length, truncated } = tokenizer.encodePrompt(prompt);
  const bytes = (/** @type {string} */ text) => [...new TextEncoder().encode(text)];
  const [start, end, think, stop] = [256, 257, 258, 259];
  const expected = [
    start, ...bytes(`user\n${prompt}`), end, ...bytes("\n"), start, ...bytes("assistant\n"), think, ...bytes("\n\n"), stop, ...bytes("\n\n"),
  ];
  assert.deepEqual([...inputIds.slice(0, length)], expected);
  assert.equal(truncated, false);
  assert.ok(inputIds.slice(length).every((id) => id === 260));
  assert.equal(inputIds.length, 512);
});

test("a vocabulary without room is refused", () => {
  assert.throws(() => syntheticVocabulary({ ...config, text_encoder: { ...config.text_encoder, vocab_size: 260 } }), /no room/);
});

test("embeddings are a function of their place, small, of either sign, and differ", () => {
  const whole = new Uint8Array(4096);
  readMadeUp("", 8192, whole);
  const begin = 2 * random.integer(1000);
  const some = new Uint8Array(600);
  readMadeUp("", 8192 + begin, some);
  assert.deepEqual(some, whole.slice(begin, begin + 600));
  const values = [...new Uint16Array(whole.buffer)].map(floatFromHalf);
  assert.ok(values.every((value) => Math.abs(value) >= 2 ** -6 && Math.abs(value) < 2 ** -5));
  assert.ok(values.filter((value) => value < 0).length > values.length / 4 && values.filter((value) => value > 0).length > values.length / 4);
  assert.ok(new Set(values).size > values.length / 2);
});
