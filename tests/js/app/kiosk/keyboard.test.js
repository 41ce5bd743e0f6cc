import assert from "node:assert/strict";
import { test } from "node:test";

import { Keyboard } from "../../../../src_js/app/kiosk/keyboard.js";
import { LAYOUTS, SYMBOLS } from "../../../../src_js/app/kiosk/keyboard_layouts.js";

const EMPTY = { text: "", start: 0, end: 0 };

/** @param {Keyboard} keyboard @param {string} text */
function typed(keyboard, text) {
  let field = EMPTY;
  for (const character of text) field = keyboard.type(field, character);
  return field;
}

/** @param {string} text @param {number} [start] @param {number} [end] */
const at = (text, start = text.length, end = start) => ({ text, start, end });

test("typing goes to the caret and replaces the selection", () => {
  const keyboard = new Keyboard(["en"], 100);
  assert.deepEqual(typed(keyboard, "fox"), at("fox"));
  assert.deepEqual(keyboard.type(at("fx", 1), "o"), at("fox", 2));
  assert.deepEqual(keyboard.type(at("a red fox", 2, 5), "x"), at("a x fox", 3));
  assert.deepEqual(keyboard.act(at("fox"), "space"), at("fox "));
});

test("the text stays as short as it must", () => {
  const keyboard = new Keyboard(["en"], 3);
  assert.deepEqual(keyboard.type(at("fox"), "y"), at("fox"));
  assert.deepEqual(keyboard.type(at("fox", 0, 3), "y"), at("y"));
});

test("backspace and arrows take characters whole", () => {
  const keyboard = new Keyboard(["en"], 100);
  assert.deepEqual(keyboard.act(at("fox"), "backspace"), at("fo"));
  assert.deepEqual(keyboard.act(at("fox", 0), "backspace"), at("fox", 0));
  assert.deepEqual(keyboard.act(at("a red fox", 1, 5), "backspace"), at("a fox", 1));
  assert.deepEqual(keyboard.act(at("a\u{1F469}\u200d\u{1F680}"), "backspace"), at("a"));
  assert.deepEqual(keyboard.act(at("re\u0301"), "backspace"), at("r"));
  assert.deepEqual(keyboard.act(at("a\u{1F469}\u200d\u{1F680}"), "back"), at("a\u{1F469}\u200d\u{1F680}", 1));
  assert.deepEqual(keyboard.act(at("a\u{1F469}\u200d\u{1F680}", 1), "forward"), at("a\u{1F469}\u200d\u{1F680}"));
  assert.deepEqual(keyboard.act(at("fox", 0), "back"), at("fox", 0));
  assert.deepEqual(keyboard.act(at("fox"), "forward"), at("fox"));
  assert.deepEqual(keyboard.act(at("fox", 1, 2), "back"), at("fox", 1));
  assert.deepEqual(keyboard.act(at("fox", 1), "clear"), EMPTY);
});

test("shift holds for one letter, pressed twice until it is pressed again", () => {
  const keyboard = new Keyboard(["en"], 100);
  keyboard.act(EMPTY, "shift");
  assert.equal(keyboard.rows[1]?.[0], "Q");
  keyboard.type(EMPTY, "Q");
  assert.equal(keyboard.rows[1]?.[0], "q");
  keyboard.act(EMPTY, "shift");
  keyboard.act(EMPTY, "shift");
  assert.ok(keyboard.locked);
  typed(keyboard, "QW");
  assert.equal(keyboard.rows[1]?.[0], "Q");
  keyboard.act(EMPTY, "shift");
  assert.equal(keyboard.layer, "letters");
});

test("symbols and languages", () => {
  const keyboard = new Keyboard(["de", "ar"], 100);
  assert.ok(keyboard.rows.flat().includes("\u00fc"));
  keyboard.act(EMPTY, "symbols");
  assert.deepEqual(keyboard.rows.map((row) => row.join("")), SYMBOLS);
  keyboard.type(EMPTY, "?");
  assert.equal(keyboard.layer, "symbols");
  keyboard.act(EMPTY, "language");
  assert.equal(keyboard.language, "ar");
  assert.ok(keyboard.rows.flat().includes("\u0634"));
  keyboard.act(EMPTY, "language");
  assert.equal(keyboard.language, "de");
  assert.equal(keyboard.layer, "letters");
});

test("every letter of a language has one key", () => {
  const alphabets = {
    en: "abcdefghijklmnopqrstuvwxyz",
    de: "abcdefghijklmnopqrstuvwxyz\u00e4\u00f6\u00fc\u00df",
    ar: "\u0627\u0628\u062a\u062b\u062c\u062d\u062e\u062f\u0630\u0631\u0632\u0633\u0634\u0635\u0636\u0637\u0638\u0639\u063a\u0641\u0642\u0643\u0644\u0645\u0646\u0647\u0648\u064a\u0629\u0649\u0621\u0626\u0624",
  };
  for (const [language, alphabet] of Object.entries(alphabets)) {
    const { letters, shifted } = LAYOUTS[/** @type {"en"|"de"|"ar"} */ (language)];
    const keys = letters.join("");
    for (const letter of alphabet) assert.equal(keys.split(letter).length, 2, `${language} ${letter}`);
    for (const rows of [letters, shifted ?? letters, SYMBOLS]) {
      assert.equal(rows.length, 4, language);
      assert.ok(rows.every((row) => row.length <= 12), language);
      assert.equal(new Set(rows.join("")).size, rows.join("").length, language);
    }
    if (language !== "ar") assert.deepEqual([...alphabet.toUpperCase()].filter((c) => c !== "S" && !shifted?.join("").includes(c)), []);
  }
});
