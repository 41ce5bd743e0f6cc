import assert from "node:assert/strict";
import { test } from "node:test";
import { adviceFor, platformOf } from "../../../src_js/app/advice.js";
import { words } from "../support/words.js";

/** @type {import("../../../src_js/errors.js").ErrorCode[]} */
const CODES = ["no-webgpu", "no-adapter", "out-of-memory", "device-lost", "bad-manifest", "bad-shard", "download-failed",
  "worker-lost", "in-use", "incomplete", "storage-full", "too-large", "cancelled", "bad-input", "internal"];

test("every code has words of its own on every platform, in every language", () => {
  const platforms = /** @type {const} */ (["android", "ios", "linux", "mac", "windows", "other"]);
  for (const i18n of ["en", "de", "ar"].map(words)) {
    for (const platform of platforms) {
      const advice = CODES.map((code) => adviceFor(code, platform, i18n));
      assert.equal(new Set(advice.map(({ title }) => title)).size, CODES.length);
      for (const text of advice.flatMap(({ title, steps }) => [title, ...steps])) assert.doesNotMatch(text, /^errors\./);
    }
  }
  assert.match(adviceFor("no-adapter", "linux", words()).steps.join(" "), /--enable-unsafe-webgpu/);
  assert.match(adviceFor(/** @type {any} */ ("toString"), "linux", words()).title, /went wrong/);
});

test("platforms by user agent", () => {
  const agents = {
    "Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0.0.0": "linux",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/156.0.0.0": "android",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64)": "windows",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)": "mac",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)": "ios",
    "": "other",
  };
  for (const [agent, platform] of Object.entries(agents)) assert.equal(platformOf(agent), platform);
});
