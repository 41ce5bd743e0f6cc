import assert from "node:assert/strict";
import { test } from "node:test";

import { archiveNames, cellLabel, countText, downloadName, factsOf, settingsOf } from "../../../../src_js/app/gallery/wording.js";
import { words } from "../../support/words.js";

const ID = "1795800000000-00000001";
const ENTRY = { id: ID, width: 512, height: 256, prompt: " a fox ", seed: "7", bytes: 1_234_567, crc: null, thumbnailBytes: 0 };
/** @type {import("../../../../src_js/image/picture_text.js").PictureRecord} */
const RECORD = {
  schema: 1, prompt: "a fox", width: 512, height: 256, seed: "7", steps: 4, model: "klein", revision: "r", precision: "f16", version: "0.1.0",
  seconds: { text_encoder: 0.5, transformer: 2, vae_decoder: 0.5, another: 100 },
};
const TEXT = { prompt: "a fox", width: "512", height: "256", seed: "7", steps: "4", model: "klein" };

test("a picture is named by what it shows, its size and its time", () => {
  assert.match(cellLabel(words(), ENTRY), /^a fox, 512 \u00d7 256, Nov 2[67], 2026, /);
  assert.match(cellLabel(words(), { ...ENTRY, prompt: " " }), /^No description, 512/);
  assert.match(cellLabel(words("de"), { ...ENTRY, width: 0 }), /^Besch\u00e4digtes Bild, /);
  assert.match(cellLabel(words(), ENTRY, true), /^Cannot be shown: a fox, 512 \u00d7 256, Nov 2[67], 2026, /);
  assert.match(cellLabel(words("de"), { ...ENTRY, width: 0 }, true), /^L\u00e4sst sich nicht zeigen: Besch\u00e4digtes Bild, /);
});

test("what the gallery holds, in every language's plurals", () => {
  assert.equal(countText(words(), 1, 999), "1 picture, 999 bytes");
  assert.equal(countText(words("de"), 2000, 3e9), "2.000 Bilder, 3,0\u00a0GB");
  assert.match(countText(words("ar"), 2, 3e6), /^\u0635\u0648\u0631\u062a\u0627\u0646\u060c /);
});

test("facts are those that the file tells", () => {
  const file = { width: 512, height: 256, text: TEXT, record: RECORD };
  const facts = Object.fromEntries(factsOf(words(), ENTRY, file));
  assert.match(facts["Made"] ?? "", /2026/);
  assert.deepEqual({ ...facts, Made: "" }, {
    Size: "512 \u00d7 256", Seed: "7", Steps: "4", Model: "klein (f16)", Made: "", Took: "3.0 s", File: "1.2 MB",
  });
  assert.deepEqual(settingsOf(words(), { ...file, record: null, text: { ...TEXT, seed: "", steps: "" } }), [["Size", "512 \u00d7 256"], ["Model", "klein"]]);
  assert.deepEqual(factsOf(words(), ENTRY, null).map(([label]) => label), ["Made", "File"]);
});

test("downloads say what they are, and an archive holds no name twice", () => {
  assert.equal(downloadName({ width: 16, height: 32, seed: "5" }), "kleinbild-5-16x32.png");
  assert.equal(downloadName({ width: 16, height: 32, seed: "" }), "kleinbild-16x32.png");
  const names = archiveNames([ENTRY, { ...ENTRY, id: "1795800000001-00000002" }, { ...ENTRY, seed: "" }, { ...ENTRY, id: "1795800060000-00000002" }]);
  assert.equal(new Set(names).size, 4);
  assert.match(names[0] ?? "", /^kleinbild-2026112[78]-[0-9]{6}-7\.png$/);
  assert.equal(names[1], names[0]?.replace(".png", " (2).png"));
});
