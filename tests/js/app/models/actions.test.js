/** What can be done with a model in every state, and how states are put into words. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { isWhole, offers } from "../../../../src_js/app/models/actions.js";
import { chosenManifest, isOf, rememberChosen } from "../../../../src_js/app/models/chosen.js";
import { Rate } from "../../../../src_js/app/models/rate.js";
import { badgeKeys, importedTexts, progressText, stateTexts, troubleText, verifiedText } from "../../../../src_js/app/models/wording.js";
import { words } from "../../support/words.js";

/** @type {import("../../../../src_js/model_state.js").ModelState} */
const ABSENT = {
  id: "tiny-q4-a", name: "Tiny", weights: "q4", revision: "0123456789", notice: {}, manifest: "/models/tiny-q4-a.json", offered: true, default: true,
  installed: false, paused: false, interrupted: false, bytes: 1000, hereBytes: 0, ownBytes: 0, missingBytes: 800, missingFiles: 3, verified: null,
  damaged: [], replaces: null,
};
const WHOLE = { ...ABSENT, installed: true, hereBytes: 1000, ownBytes: 1000, missingBytes: 0, missingFiles: 0, verified: 1e12 };
const PARTIAL = { ...ABSENT, installed: true, hereBytes: 400, ownBytes: 400, missingBytes: 500 };
const DAMAGED = { ...PARTIAL, damaged: ["a.bin"] };
const IDLE = { chosen: false, work: undefined, folders: true };
const en = words();

test("every state offers what helps it, and nothing that cannot be", () => {
  const actions = (/** @type {typeof ABSENT} */ model, now = {}) => offers(model, { ...IDLE, ...now }).map(({ action }) => action);
  assert.deepEqual(actions(ABSENT), ["install"]);
  assert.deepEqual(actions({ ...ABSENT, offered: false }), []);
  assert.deepEqual(actions(WHOLE), ["use", "verify", "export", "remove"]);
  assert.deepEqual(actions(WHOLE, { chosen: true, folders: false }), ["verify", "remove"]);
  assert.deepEqual(actions(PARTIAL), ["install", "verify", "remove"]);
  assert.deepEqual(actions({ ...PARTIAL, offered: false }), ["verify", "remove"]);
  assert.deepEqual(actions(DAMAGED), ["repair", "verify", "remove"]);
  assert.deepEqual(actions({ ...ABSENT, replaces: "old" }), ["update"]);
  assert.deepEqual(actions({ ...PARTIAL, replaces: "old" }), ["update", "verify", "remove"]);
  assert.deepEqual(actions(WHOLE, { work: "verify" }), ["cancel"]);
  assert.deepEqual(actions(PARTIAL, { work: "install" }), ["pause"]);
  assert.deepEqual([ABSENT, WHOLE, PARTIAL].map(isWhole), [false, true, false]);
  for (const model of [ABSENT, WHOLE, PARTIAL, DAMAGED]) {
    for (const { key } of offers(model, IDLE)) assert.notEqual(en.t(key, { bytes: "1" }), key, key);
  }
});

test("states are told in words that exist", () => {
  const states = [ABSENT, { ...ABSENT, hereBytes: 5 }, WHOLE, { ...WHOLE, verified: null }, PARTIAL, { ...PARTIAL, paused: true },
    { ...PARTIAL, interrupted: true }, DAMAGED, { ...ABSENT, replaces: "old" }, { ...WHOLE, offered: false }, { ...PARTIAL, offered: false },
    { ...WHOLE, ownBytes: 10 }];
  const seen = new Set();
  for (const model of states) {
    for (const replaced of [false, true]) {
      for (const text of stateTexts(en, model, replaced)) {
        assert.doesNotMatch(text, /models\.|[{}]/);
        seen.add(text);
      }
    }
    for (const key of badgeKeys(model, true)) assert.notEqual(en.t(key), key);
  }
  assert.ok(seen.size >= 13, [...seen].join("\n"));
  assert.deepEqual(badgeKeys(DAMAGED, true), ["models.badge.chosen", "models.badge.damaged", "models.badge.partial"]);
});

test("ends are told with their numbers", () => {
  assert.equal(verifiedText(en, "Tiny", { files: 7, damaged: [], missing: 0 }), "Tiny is whole: all its 7 parts are right.");
  assert.match(verifiedText(en, "Tiny", { files: 7, damaged: ["a"], missing: 1 }), /^1 part of Tiny is damaged/);
  assert.equal(verifiedText(en, "Tiny", { files: 7, damaged: [], missing: 2 }), "2 parts of Tiny are missing.");
  assert.deepEqual(importedTexts(en, { name: "Tiny", files: 6, damaged: ["w/a.bin"], missing: 1 }), [
    "1 part of Tiny is missing.", "1 file in the folder is damaged and was left out: w/a.bin",
  ]);
});

test("progress says rate and time left once they are known, and what is waited for", () => {
  const progress = { bytes: 2e6, totalBytes: 1e7, files: 1, totalFiles: 5, idleSeconds: 0, problem: "" };
  assert.equal(progressText(en, progress, undefined), "2.0 MB of 10.0 MB");
  assert.equal(progressText(en, progress, { perSecond: 1e6, secondsLeft: 8 }), "2.0 MB of 10.0 MB, 1.0 MB/s, less than a minute left");
  assert.match(progressText(en, progress, { perSecond: 1e4, secondsLeft: 800 }), /about 14 minutes left$/);
  assert.match(progressText(en, progress, { perSecond: 1e3, secondsLeft: 8000 }), /about 3 hours left$/);
  assert.equal(troubleText(en, progress, true), "");
  assert.match(troubleText(en, { ...progress, idleSeconds: 6.2 }, true), /6 seconds/);
  assert.equal(troubleText(en, { ...progress, idleSeconds: 6.2 }, false), "", "a disk needs no server");
  assert.equal(troubleText(en, { ...progress, problem: "the connection failed" }, true), "Asking again: the connection failed.");
});

test("a rate is that of the last seconds", () => {
  const rate = new Rate();
  assert.equal(rate.add(0, 1e6, 0), undefined);
  assert.equal(rate.add(1000, 1e6, 1000), undefined, "too early");
  assert.deepEqual(rate.add(2000, 1e6, 2000), { perSecond: 1000, secondsLeft: 998 });
  for (let second = 3; second <= 20; second++) rate.add(2000 + (second - 2) * 5000, 1e6, second * 1000);
  const later = rate.add(97_000, 1e6, 21_000);
  assert.ok(later && Math.abs(later.perSecond - 5000) < 1, "what was slow long ago is forgotten");
  const still = new Rate();
  still.add(5, 10, 0);
  assert.equal(still.add(5, 10, 4000), undefined, "nothing comes");
});

test("the model that was chosen is remembered, and nothing else is believed", () => {
  /** @type {Map<string, unknown>} */
  const kept = new Map();
  const store = {
    read: (/** @type {string} */ name) => kept.get(name),
    write: (/** @type {string} */ name, /** @type {unknown} */ value) => (value === undefined ? kept.delete(name) : Boolean(kept.set(name, value))),
  };
  const site = { manifest: "/models/default.json" };
  assert.equal(chosenManifest(store, site), "/models/default.json");
  rememberChosen(store, "/models/tiny-q4-a.json");
  assert.equal(chosenManifest(store, site), "/models/tiny-q4-a.json");
  assert.equal(isOf(chosenManifest(store, site), "tiny-q4-a"), true);
  for (const strange of ["https://example.org/models/a.json", "/models/../a.json", "/models/a.json?x", 7, null, ["/models/a.json"]]) {
    kept.set("model", strange);
    assert.equal(chosenManifest(store, site), "/models/default.json");
  }
  rememberChosen(store, undefined);
  assert.equal(kept.size, 0);
});
