import assert from "node:assert/strict";
import { test } from "node:test";
import { roughDuration, shortPrompt, sizeText, timeText } from "../../../../src_js/app/make/wording.js";
import { words } from "../../support/words.js";

test("a prediction has no more digits than it deserves", () => {
  assert.deepEqual([0.04, 0.66, 9.4, 12.34, 59.4, 61, 200, 3400].map((seconds) => roughDuration(words(), seconds)),
    ["0.1 s", "0.7 s", "9 s", "12 s", "59 s", "1 min", "3.3 min", "57 min"]);
  assert.equal(timeText(words("de"), { text_encoder: 1, transformer: 2, vae_decoder: 3 }, 4), "Dauert auf dieser Grafikkarte etwa 12 s.");
  assert.equal(timeText(words(), null, 4), "");
});

test("a prompt may be a book: its beginning is shown, in whole characters", () => {
  assert.equal(shortPrompt("a fox"), "a fox");
  assert.equal(shortPrompt("x".repeat(300)), "x".repeat(300));
  const foxes = shortPrompt("\u{1F98A}".repeat(50_000));
  assert.equal(foxes, `${"\u{1F98A}".repeat(300)}\u2026`);
});

test("the width stands first in every language", () => {
  assert.equal(sizeText({ width: 768, height: 512 }), "\u2066768 \u00d7 512\u2069");
});
