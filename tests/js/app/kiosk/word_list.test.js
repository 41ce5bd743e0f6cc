import assert from "node:assert/strict";
import { test } from "node:test";

import { WordList } from "../../../../src_js/app/kiosk/word_list.js";

const LIST = new WordList(["blood", "Straße", "ass", "naked people", "دم", "قُبلة", "Mörder"]);

test("a refused word in its many spellings", () => {
  for (const prompt of [
    "a river of blood",
    "BLOOD!",
    "Blood-red sky",
    "ｂｌｏｏｄ",
    "blóöd",
    "bl00d",
    "8l00d",
    "b\u200blo\u00adod",
    "bloooood",
    "b l o o d on snow",
    "b.l.o.o.d",
    "b-l-0-0-d",
    "eine STRASSE bei Nacht",
    "die straße",
    "@ss",
    "a$$",
    "Naked, people",
    "naked   PEOPLE on a beach",
    "بحر من دم",
    "دَم",
    "دـــم",
    "قبله",
    "قبلة",
    "ein Morder",
    "ein MÖRDER",
    "mörderrr",
  ]) assert.ok(LIST.refuses(prompt), prompt);
});

test("other words stay free", () => {
  for (const prompt of [
    "",
    "a glass of water, classic style",
    "bloodhound puppy",
    "as a child",
    "as soon as the sun rises",
    "people, naked trees",
    "naked trees; people",
    "5 red foxes in 1850",
    "دمشق في المساء",
    "a b c",
    "!!! ??? ...",
    "Strasbourg",
    "the Moor",
    "a lighthouse at dusk, seen from a small boat, long exposure",
  ]) assert.ok(!LIST.refuses(prompt), prompt);
});

test("a list of nothing refuses nothing", () => {
  assert.ok(!new WordList([]).refuses("blood"));
  assert.ok(!new WordList(["...", " "]).refuses("... blood"));
});

test("a long prompt takes no time", () => {
  const list = new WordList(Array.from({ length: 2000 }, (_, index) => `word${index}x`));
  const began = performance.now();
  assert.ok(!list.refuses("lorem ipsum ".repeat(160)));
  assert.ok(performance.now() - began < 1000);
});
