/**
 * NFC equals the engine's own on runs of combining marks of every length, keeps to the older tables inside them, and
 * takes linear time, also within the whole tokenizer. Against Python's `tokenizers`: tests/py/test_tokenizer_page.py.
 */

import assert from "node:assert/strict";
import { test } from "node:test";

import { nfc } from "../../../../src_js/pipeline/tokenizer/nfc.js";
import { Tokenizer } from "../../../../src_js/pipeline/tokenizer/tokenizer.js";
import { QWEN3_TOKENIZER, vocabularyOf } from "../../support/qwen3_vocabulary.js";

const LATER = ["\u0897", "\u1acf", "\u{10efd}", "\u{113c5}", "\u{1611e}", "\u{1e08f}"]; // unknown to the older tables
const POINTS = Array.from({ length: 0x110000 }, (_, i) => i).filter((i) => i < 0xd800 || i > 0xdfff);
const CHARACTERS = POINTS.map((point) => String.fromCodePoint(point));
const MARKS = CHARACTERS.filter((c) => /\p{M}/u.test(c)).filter((c) =>
  // those that the older tables know, or that never move nor compose
  [`\u0345${c}`, `${c}\u0334`, `${c}${c}`].every((text) => nfc(text) === text.normalize("NFC")),
);
const COMMON = [..."\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030c\u031b\u0323\u0327\u0328\u0334\u0345"];
// decomposing marks, marks of class 0, halves of compositions, vowel signs that compose with what is before them
const ODD = [..."\u0340\u0343\u0344\u0f71\u0f73\u0f75\u0f81\u034f\u0488\u3099\u309a\u093c\u094d\u09be\u09d7\u0b3e"]
  .concat([..."\u0dca\u0dcf\u0dda\u0dde\u09cb\u0bcb\u0d4c\u1b35\u102e\u{1d165}\u{1d16d}\u{110ba}\u{11127}\u{114bd}"]);
// composed, composing, excluded from composition, Hangul and its parts
const BASES = [..."aeouAEOU\u00e1\u01d7\u1ea5\u1e69\u212b\u03c9\u1fb7\u0958\u0928\u09c7\u0b47\u0dd9\u1025\u304b"]
  .concat([..."\uac00\uac01\u1100\u1161\u11a8\ufb2c\u2260 \n\u{1d158}\u{1d15e}\u{11131}\u{114b9}"], [""]);

let state = 1;
/** @param {number} below @returns {number} */
function random(below) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}

/** @param {string[]} from @param {number} count @returns {string} */
function draw(from, count) {
  return Array.from({ length: count }, () => from[random(from.length)]).join("");
}

/** A base and a run from a few marks, some of them repeatedly. @returns {string} */
function randomRun() {
  const pool = [draw(COMMON, 3), draw(COMMON, 2) + draw(ODD, 1 + random(4)), draw(MARKS, 1 + random(40)),
    COMMON.join("") + draw(ODD, 2)][random(4)];
  const length = [random(6), 28 + random(12), 33 + random(200)][random(3)];
  return draw(BASES, 1 + random(2)) + draw([...String(pool)], Number(length));
}

/** @param {() => void} work @returns {number} milliseconds of processor time, the best of two: whatever else runs here does not count */
function timeOf(work) {
  return Math.min(...[0, 1].map(() => {
    const begin = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(begin);
    return (user + system) / 1000;
  }));
}

test("only marks move, so only runs of marks need ordering", () => {
  const moving = CHARACTERS.filter((c) => [`\u0345${c}`, `${c}\u0334`].some((pair) => pair.normalize("NFD") !== pair))
    .filter((c) => [...c.normalize("NFD")].length === 1 && c.normalize("NFD") === c);
  assert.ok(moving.length > 800);
  assert.deepEqual(moving.filter((c) => !/\p{M}/u.test(c)), []);
});

test("random runs of marks, short and long, become what the engine makes of them", () => {
  assert.ok(MARKS.length > 2000);
  for (let i = 0; i < 6000; i++) {
    const text = Array.from({ length: 1 + random(3) }, randomRun).join("");
    const normalized = nfc(text);
    if (normalized !== text.normalize("NFC")) assert.fail(`differs: ${JSON.stringify(text)}`);
  }
});

test("a run of every mark there is, shuffled, becomes what the engine makes of it", () => {
  for (let i = 0; i < 3; i++) {
    const text = `a${draw(MARKS, 5000)}${draw(MARKS.filter((c) => nfc(`\u0345${c}`) !== `\u0345${c}`), 3000)}`;
    assert.ok(nfc(text) === text.normalize("NFC"));
  }
});

test("a later mark within a long run still lets nothing across", () => {
  for (let i = 0; i < 600; i++) {
    const [before, later] = [randomRun(), draw(LATER, 1 + random(3))];
    const after = draw([...COMMON, ...ODD], 30 + random(40));
    const expected = before.normalize("NFC") + later + after.normalize("NFC");
    if (nfc(before + later + after) !== expected) assert.fail(`differs: ${JSON.stringify(before + later + after)}`);
  }
});

test("marks without end take linear time, in the whole tokenizer far less than a second", () => {
  const tokenizer = new Tokenizer(vocabularyOf(QWEN3_TOKENIZER, 151643));
  const units = {
    alternating: "\u0301\u0334",
    "three classes": "\u0345\u0323\u0334",
    "falling classes": [...COMMON].reverse().join(""),
    decomposing: "\u0344\u0323",
    "decomposing to class 0 in part": "\u0f73\u0f75\u0f81",
    "with marks of class 0": "\u0301\u0334\u0488",
    "vowel signs": "\u09c7\u09be\u0334",
    astral: "\u{1d16d}\u{1d165}",
    "runs just short enough": `a${"\u0301\u0334".repeat(16)}`,
    "runs just too long": `a${"\u0301\u0334".repeat(17)}`,
    "with later marks": "\u0301\u0334".repeat(20) + LATER[0],
    "every mark": [...MARKS].reverse().join(""),
    Hangul: "\uac00\u11a8\u1161",
  };
  for (const [name, unit] of Object.entries(units)) {
    const text = unit.repeat(100_000 / unit.length + 1);
    const ordering = (/** @type {string} */ part) => timeOf(() => void nfc(`a${part}`.toWellFormed()));
    const [short, long] = [ordering(text.slice(0, 25_000)), ordering(text)];
    assert.ok(long < 12 * short + 50, `${name}: ${short.toFixed(0)} ms, four times as long ${long.toFixed(0)} ms`);
    const milliseconds = timeOf(() => assert.ok(tokenizer.encode(`a${text}`).length > 0));
    assert.ok(milliseconds < 1000, `${name}: ${milliseconds.toFixed(0)} ms`);
  }
});
