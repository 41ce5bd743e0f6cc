/** Browsers and systems by what they say of themselves. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { readPlatform } from "../../../../src_js/app/diagnosis/platform.js";

/** @type {[string, object, string, string, string, number][]} */
const AGENTS = [
  ["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36", {}, "linux", "chromium", "Chromium", 156],
  ["Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0", {}, "windows", "chromium", "Edge", 140],
  ["Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/156.0.0.0 Mobile Safari/537.36", {}, "android", "chromium", "Chromium", 156],
  ["Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) Chrome/156.0.0.0 Safari/537.36", {}, "chromeos", "chromium", "Chromium", 156],
  ["Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", {}, "linux", "firefox", "Firefox", 140],
  ["Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/26.0 Safari/605.1.15", {}, "mac", "safari", "Safari", 26],
  ["Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/26.0 Safari/605.1.15", { maxTouchPoints: 5 }, "ios", "safari", "Safari", 26],
  ["Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) CriOS/120.0 Mobile/15E148 Safari/604.1", {}, "ios", "safari", "Chrome", 120],
  ["", {}, "other", "other", "", 0],
];

test("system, engine, name and version from the user agent", () => {
  for (const [userAgent, more, system, engine, browser, version] of AGENTS) {
    const found = readPlatform({ userAgent, ...more });
    assert.deepEqual([found.system, found.engine, found.browser, found.version], [system, engine, browser, version], userAgent);
    assert.equal(found.mobile, system === "android" || system === "ios", userAgent);
  }
});

test("Chromium's own words go before the user agent's", () => {
  const userAgentData = { mobile: false, brands: [
    { brand: "Not?A_Brand", version: "24" }, { brand: "Chromium", version: "156" }, { brand: "Google Chrome", version: "156" },
  ] };
  const [userAgent = ""] = AGENTS[0] ?? [];
  assert.equal(readPlatform({ userAgent, userAgentData }).browser, "Google Chrome");
  const plain = { ...userAgentData, brands: userAgentData.brands.slice(0, 2) };
  assert.equal(readPlatform({ userAgent, userAgentData: plain }).browser, "Chromium");
  assert.equal(readPlatform({ userAgent, userAgentData: { brands: [] } }).version, 156);
});
