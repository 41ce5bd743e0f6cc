import assert from "node:assert/strict";
import { test } from "node:test";
import { I18n } from "../../../src_js/app/i18n.js";
import { chooseLanguage } from "../../../src_js/app/language.js";
import { words } from "../support/words.js";

test("holes take strings as they are and numbers as the language writes them", () => {
  const german = new I18n("de", { "a.b": "{n} von {total}: {name}" });
  assert.equal(german.t("a.b", { n: 1234.5, total: 2e6, name: "12345" }), "1.234,5 von 2.000.000: 12345");
  assert.equal(german.t("a.b", { n: 1 }), "1 von {total}: {name}");
  assert.equal(german.t("not.there"), "not.there");
});

test("what a value holds is text, never a hole or a replacement pattern", () => {
  const english = new I18n("en", { "a.b": "{name}, {other}" });
  assert.equal(english.t("a.b", { name: "{other}$&$1", other: "x" }), "{other}$&$1, x");
});

test("plural forms by the language's own rules", () => {
  const forms = { zero: "z", one: "o", two: "t", few: "f", many: "m", other: "x" };
  const arabic = new I18n("ar", { "a.b": forms });
  assert.deepEqual([0, 1, 2, 3, 10, 11, 99, 100, 102].map((count) => arabic.t("a.b", { count })), ["z", "o", "t", "f", "f", "m", "m", "x", "x"]);
  const english = new I18n("en", { "a.b": { one: "{count} step", other: "{count} steps" } });
  assert.deepEqual([0, 1, 2000].map((count) => english.t("a.b", { count })), ["0 steps", "1 step", "2,000 steps"]);
});

test("in a right-to-left language what stands in a hole is isolated", () => {
  const arabic = words("ar");
  assert.equal(arabic.direction, "rtl");
  assert.equal(arabic.t("make.fact.seed", { seed: "77" }), "البذرة \u206877\u2069");
  assert.equal(words("de").direction, "ltr");
});

test("bytes and seconds", () => {
  const english = words();
  assert.deepEqual([0, 1, 999, 1000, 25600, 999_960, 5225022190, 2e13].map((bytes) => english.bytes(bytes)),
    ["0 bytes", "1 byte", "999 bytes", "1.0 kB", "25.6 kB", "1.0 MB", "5.2 GB", "20.0 TB"]);
  assert.deepEqual([0.04, 3.46, 59.94, 59.99, 125.2, 4200].map((seconds) => english.duration(seconds)),
    ["0.0 s", "3.5 s", "59.9 s", "1:00 min", "2:05 min", "1:10 h"]);
  assert.equal(words("de").duration(3.46), "3,5 s");
  assert.equal(words("de").bytes(5225022190), "5,2\u00a0GB");
  assert.match(words("ar").bytes(5225022190), /5[.٫]2/);
});

test("percents are rounded down, so that 100 % means done", () => {
  assert.deepEqual([0, 0.349, 0.9999, 1].map((share) => words().percent(share)), ["0%", "34%", "99%", "100%"]);
});

test("a change of language changes words, numbers and direction", () => {
  const i18n = new I18n("en", { "a.b": "{n}" });
  assert.equal(i18n.t("a.b", { n: 1.5 }), "1.5");
  i18n.use("ar", { "a.b": "<{n}>" });
  assert.deepEqual([i18n.language, i18n.direction, i18n.number(0.25, { style: "percent" }).replace(/[^0-9]/g, "")], ["ar", "rtl", "25"]);
});

test("the language: remembered, else the browser's, else English", () => {
  const known = ["en", "de", "ar"];
  assert.equal(chooseLanguage("ar", ["de"], known), "ar");
  assert.equal(chooseLanguage(undefined, ["fr-FR", "de-AT", "en"], known), "de");
  assert.equal(chooseLanguage({ evil: 1 }, ["fr"], known), "en");
  assert.equal(chooseLanguage("__proto__", [], known), "en");
});
