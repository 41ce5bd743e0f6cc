/**
 * The tokenizer on the golden prompts (ids made by Python's `tokenizers` and diffusers' chat template), its edges, and
 * that its time grows no faster than the text. The broad comparison is tests/py/test_tokenizer_page.py.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { pieceEnd } from "../../../../src_js/pipeline/tokenizer/split_qwen2.js";
import { Tokenizer } from "../../../../src_js/pipeline/tokenizer/tokenizer.js";
import { readVocabulary } from "../../../../src_js/pipeline/tokenizer/vocabulary.js";
import { PRUNED_TOKENIZER, QWEN3_TOKENIZER, vocabularyOf } from "../../support/qwen3_vocabulary.js";

const ENDOFTEXT = 151643;
const IM_END = 151645;
const vocabulary = vocabularyOf(QWEN3_TOKENIZER, ENDOFTEXT);
const tokenizer = new Tokenizer(vocabulary);
const { classes } = readVocabulary(vocabulary);
const golden = JSON.parse(readFileSync(new URL("../../../golden/tokenizer_qwen3_golden.json", import.meta.url), "utf8"));

/** @param {string} text @returns {string[]} */
function pieces(text) {
  const found = [];
  for (let start = 0; start < text.length; ) {
    const end = pieceEnd(text, start, classes);
    found.push(text.slice(start, end));
    start = end;
  }
  return found;
}

for (const { prompt, ids } of golden.cases) {
  test(`golden prompt ${JSON.stringify(prompt.slice(0, 40))}`, () => {
    const encoded = tokenizer.encodePrompt(prompt);
    assert.deepEqual([...encoded.inputIds.subarray(0, encoded.length)], ids);
    assert.ok(encoded.inputIds.subarray(encoded.length).every((id) => id === ENDOFTEXT));
    assert.deepEqual([...encoded.attentionMask], Array.from({ length: 512 }, (_, i) => (i < ids.length ? 1 : 0)));
  });
}

test("there are 21 golden prompts", () => assert.equal(golden.cases.length, 21));

test("words are split as the pattern says", () => {
  const cases = [
    ["I'll DON'T 'RExx 'lx", ["I", "'ll", " DON", "'T", " '", "RExx", " '", "lx"]],
    ["'\u017fx \u2019s", ["'\u017f", "x", " \u2019", "s"]],
    ["'\u017f", ["'\u017f"]],
    ["a   b", ["a", "  ", " b"]],
    ["a   ", ["a", "   "]],
    [" \n  \r\n  x", [" \n  \r\n", " ", " x"]],
    ["12\u00bd3", ["1", "2", "\u00bd", "3"]],
    ["\tx \t!!\n\n?", ["\tx", " ", "\t", "!!\n\n", "?"]],
    ["\ufeffx\ufeff\u0085\u0085y", ["\ufeffx", "\ufeff", "\u0085", "\u0085y"]],
    ["\u{1f600}\u{10400}\u{10400} \u{1f600}", ["\u{1f600}\u{10400}\u{10400}", " \u{1f600}"]],
    ["\nabc", ["\n", "abc"]],
  ];
  for (const [text, expected] of cases) assert.deepEqual(pieces(String(text)), expected);
});

test("a typed marker is the marker; one letter off is text", () => {
  assert.deepEqual(tokenizer.encode("<|im_end|>"), [IM_END]);
  assert.deepEqual(tokenizer.encode("<|im_end|><|im_end|>"), [IM_END, IM_END]);
  assert.ok(!tokenizer.encode("<|im_end |>").includes(IM_END));
  assert.deepEqual(tokenizer.encode("<<|im_end|>").slice(1), [IM_END]);
});

test("half a surrogate pair counts as U+FFFD", () => {
  assert.deepEqual(tokenizer.encode("a\ud800b\udc00"), tokenizer.encode("a\ufffdb\ufffd"));
});

test("a long prompt loses its end, and only then", () => {
  const fits = tokenizer.encodePrompt(" a".repeat(512 - 13)); // 12 of the template; "\n" and " a" stay apart
  const words = tokenizer.encode(vocabulary.template.prefix + " a".repeat(600)).slice(0, 512);
  const cut = tokenizer.encodePrompt(" a".repeat(600));
  assert.equal(fits.truncated, false);
  assert.equal(fits.length, 511);
  assert.equal(tokenizer.encodePrompt(" a".repeat(500)).truncated, false);
  assert.equal(tokenizer.encodePrompt(" a".repeat(501)).truncated, true);
  assert.deepEqual({ ...cut, inputIds: [...cut.inputIds] }, {
    inputIds: words,
    attentionMask: new Int32Array(512).fill(1),
    length: 512,
    truncated: true,
  });
});

test("100 000 characters take far less than a second, whatever they are", () => {
  const length = 100_000;
  const units = {
    word: "x",
    letters: "qwertzuiop",
    spaces: " ",
    "line breaks": " \n\t \r\n",
    emoji: "\u{1f469}\u200d\u{1f4bb}",
    CJK: "\u6771\u4eac\u90fd",
    "near-misses": "<|im_en",
    "more near-misses": "<|<|object_ref_star",
    apostrophes: "'l'r",
    quotes: "'",
  };
  for (const [name, unit] of Object.entries(units)) {
    const text = unit.repeat(length / unit.length);
    const begin = performance.now();
    assert.ok(tokenizer.encode(text).length > 0);
    const milliseconds = performance.now() - begin;
    assert.ok(milliseconds < 1000, `${name}: ${milliseconds.toFixed(0)} ms`);
  }
});

test("the pruned vocabulary works by the same rules", () => {
  const pruned = new Tokenizer(vocabularyOf(PRUNED_TOKENIZER, 1956));
  assert.deepEqual(pruned.encode("<|im_start|><|endoftext|>"), [1957, 1956]);
  assert.ok(pruned.encode("a cat").every((id) => id < 1956));
});

test("a damaged vocabulary is refused by name", () => {
  /** @type {[Record<string, unknown>, RegExp][]} */
  const cases = [
    [{ schema: 2 }, /schema/],
    [{ normalizer: "NFKC" }, /normalizer NFKC/],
    [{ split: "gpt2" }, /pattern gpt2/],
    [{ tokens: ["a", 1] }, /token 1 is/],
    [{ merges: [0, 1, 2] }, /merges/],
    [{ merges: [0, 10 ** 7] }, /merge 0 names/],
    [{ merges: [0, 1.5] }, /merge 0 names/],
    [{ merges: [1000, 1000] }, /merge 0 makes/],
    [{ classes: { L: [5, 4], N: [], s: [9, 32] } }, /range 5\.\.4/],
    [{ classes: { L: [0, 0x110000], N: [], s: [9, 32] } }, /class L/],
    [{ classes: { L: [], N: [], s: [9, 10] } }, /class s/],
    [{ classes: undefined }, /class L/],
    [{ added: [{ id: -1, content: "x" }] }, /added token/],
    [{ added: [{ id: 1, content: "x", special: true }] }, /flag single_word/],
    [{ template: { prefix: "" } }, /template/],
    [{ pad_id: -1 }, /pad_id/],
    [{ max_length: 0 }, /max_length/],
    [{ max_length: 1e9 }, /max_length/],
  ];
  for (const [change, message] of cases) {
    const damaged = /** @type {any} */ ({ ...vocabulary, ...change });
    assert.throws(() => new Tokenizer(damaged), { name: "KleinbildError", code: "bad-manifest", message });
  }
  assert.throws(() => new Tokenizer(/** @type {any} */ (null)), { code: "bad-manifest" });
});
