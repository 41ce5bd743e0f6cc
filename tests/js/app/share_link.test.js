import assert from "node:assert/strict";
import { test } from "node:test";

import { checkRestored } from "../../../src_js/app/restored.js";
import { readLink, writeLink } from "../../../src_js/app/share_link.js";
import { testRandom } from "../support/random.js";

const random = testRandom("share_link.test.js");
const PAGE = "http://localhost:8080/?kiosk=1#/gallery";

/** @param {string} link */
const parametersOf = (link) => new URL(link).hash.split("?").slice(1).join("?");

test("settings stand in the fragment only", () => {
  const link = writeLink({ prompt: "a fox & co", width: 512, height: 256, seed: 18446744073709551615n, steps: 4 }, PAGE);
  assert.equal(link, "http://localhost:8080/#/make?prompt=a+fox+%26+co&seed=18446744073709551615&width=512&height=256&steps=4");
  assert.equal(writeLink({ prompt: "x", width: 16, height: 16, seed: null, steps: 1 }, PAGE), "http://localhost:8080/#/make?prompt=x&width=16&height=16&steps=1");
});

test("any settings that make a link come back from it", () => {
  const parts = ["fox", " ", "\n", "\u6771", "\u{1f600}", "\u0645\u0631\u062d\u0628\u0627", "\u200f", '"', "<img src=x onerror=alert(1)>", "&seed=1", "#", "?", "%", "%zz", "+", "\t"];
  for (let round = 0; round < 1000; round++) {
    const prompt = Array.from({ length: 1 + random.integer(30) }, () => parts[random.integer(parts.length)]).join("");
    const settings = {
      prompt, width: 16 * (1 + random.integer(128)), height: 16 * (1 + random.integer(128)),
      seed: (BigInt(random.integer(2 ** 32)) << 32n) | BigInt(random.integer(2 ** 32)), steps: 1 + random.integer(100),
    };
    const link = writeLink(settings, PAGE);
    assert.ok(link);
    assert.deepEqual(readLink(parametersOf(link)), { settings, ignored: [], cleaned: false });
  }
});

test("a prompt too long for a link makes none", () => {
  assert.equal(writeLink({ prompt: "x".repeat(8000), width: 16, height: 16, seed: 1n, steps: 1 }, PAGE), null);
});

test("a link with nothing of it, or far too much, is none", () => {
  for (const parameters of ["", "picture=5", "prompt=", "prompt", "&&&=&", `prompt=${"x".repeat(64_001)}`]) {
    assert.equal(readLink(parameters), null, parameters.slice(0, 20));
  }
});

test("numbers that cannot be are left out, and the rest is taken", () => {
  for (const bad of ["-1", "1.5", "1e3", "0x10", " 16", "NaN", "\u0661\u0666", "99999999999999999999999", "18446744073709551616", "null", "<b>"]) {
    const link = ["seed", "width", "height", "steps"].map((name) => `${name}=${encodeURIComponent(bad)}`).join("&");
    assert.deepEqual(readLink(`prompt=fox&${link}`), {
      settings: { prompt: "fox" }, ignored: ["width", "height", "seed", "steps"], cleaned: false,
    }, bad);
  }
  assert.deepEqual(readLink("width=500&height=2049&steps=101&seed=0"), {
    settings: { width: 496, seed: 0n }, ignored: ["height", "steps"], cleaned: false,
  });
  assert.deepEqual(readLink("width=15&height=0&steps=0")?.ignored, ["width", "height", "steps"]);
});

test("of a name given twice the first counts, and unknown ones do not", () => {
  assert.deepEqual(readLink("prompt=a&prompt=b&latents=1&__proto__=x&constructor=y")?.settings, { prompt: "a" });
});

test("broken percent signs and bytes hurt nothing", () => {
  assert.deepEqual(readLink("prompt=%E0%A4%A&seed=%")?.settings.prompt, "\ufffd%A");
});

test("what would hide or reorder text is taken out, and said", () => {
  const prompt = "a\0b\x1b[31mc\u202ed\u2066e\u{e0041}f\ud800g\ufeffh\x9bi\u2028j";
  assert.deepEqual(checkRestored({ prompt }), { settings: { prompt: "ab[31mcdefghij" }, ignored: [], cleaned: true });
  const plain = "one\ttwo\r\nthree\rfour \u200f\u0645\u0631\u062d\u0628\u0627\u200e \u{1f468}\u200d\u{1f469}\u200d\u{1f467} \u{1f600}\ufe0f";
  assert.deepEqual(checkRestored({ prompt: plain }), {
    settings: { prompt: plain.replace("\r\n", "\n").replace("\r", "\n") }, ignored: [], cleaned: false,
  });
});

test("a prompt longer than the model takes is left out", () => {
  assert.deepEqual(checkRestored({ prompt: "x".repeat(100_001), seed: "1" }), { settings: { seed: 1n }, ignored: ["prompt"], cleaned: false });
});
