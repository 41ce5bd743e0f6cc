/** What the installed app is opened with: hostile addresses open nothing. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { readLaunch, takeLaunches } from "../../../src_js/app/launch.js";

const ORIGIN = "http://127.0.0.1:8080";

test("a shortcut opens its view in the window that is open", () => {
  assert.equal(readLaunch({ targetURL: `${ORIGIN}/#/gallery` }, ORIGIN).fragment, "#/gallery");
  for (const targetURL of [`${ORIGIN}/`, `${ORIGIN}/#headless=abc`, "https://example.org/#/gallery", `${ORIGIN}/bench.html#/make`,
    "javascript:alert(1)#/make", "", null, undefined]) {
    assert.equal(readLaunch({ targetURL: targetURL ?? null }, ORIGIN).fragment, "", String(targetURL));
  }
});

test("pictures that were opened with the app arrive as files; one that is gone spoils no other thing", async () => {
  /** @type {((params: import("../../../src_js/app/launch.js").LaunchParams) => void)[]} */
  const consumers = [];
  /** @type {File[][]} */
  const opened = [];
  const location = { origin: ORIGIN, hash: "#/make" };
  const launchQueue = { setConsumer: (/** @type {(typeof consumers)[number]} */ one) => void consumers.push(one) };
  takeLaunches({ openFiles: (files) => void opened.push(files) }, { launchQueue, location });
  const [consume] = consumers;
  assert.ok(consume);
  const png = /** @type {File} */ ({ name: "a.png" });
  consume({ files: [{ getFile: async () => png }] });
  consume({ files: [{ getFile: async () => { throw new Error("gone"); } }] });
  consume({ files: [] });
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(opened, [[png]]);
  consume({ targetURL: `${ORIGIN}/#/gallery` });
  assert.equal(location.hash, "#/gallery");
  takeLaunches({ openFiles: () => assert.fail() }, { location });
});

test("a launch with more files than anybody looks at is cut", () => {
  const files = Array.from({ length: 1000 }, () => ({ getFile: async () => /** @type {any} */ ({}) }));
  assert.equal(readLaunch({ files }, ORIGIN).files.length, 100);
});
