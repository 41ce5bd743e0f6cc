/** A download that goes on by itself never runs while a picture is made, and ends where nothing is left of it. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { GoingOn } from "../../../../src_js/app/models/going_on.js";

/** @returns {Promise<void>} */
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** @param {{ busy?: boolean }} [options] */
function scene({ busy = false } = {}) {
  const log = /** @type {string[]} */ ([]);
  const left = { download: /** @type {string | undefined} */ ("model") };
  let end = () => {};
  const going = new GoingOn({
    find: () => left.download,
    act: (download) => new Promise((resolve) => {
      log.push(`begin ${download}`);
      end = resolve;
    }),
    stop: () => void log.push("stop"),
    busy,
  });
  return { log, left, going, end: async () => (end(), settled()) };
}

test("it begins at once and ends with the download", async () => {
  const { log, left, going, end } = scene();
  assert.deepEqual(log, ["begin model"]);
  left.download = undefined;
  await end();
  going.setBusy(true);
  going.setBusy(false);
  assert.deepEqual(log, ["begin model"]);
});

test("a picture stops it, and after the picture it goes on", async () => {
  const { log, going, end } = scene();
  going.setBusy(true);
  assert.deepEqual(log, ["begin model", "stop"]);
  await end();
  assert.deepEqual(log, ["begin model", "stop"]);
  going.setBusy(false);
  assert.deepEqual(log, ["begin model", "stop", "begin model"]);
});

test("a picture that ends before the download has stopped loses nothing", async () => {
  const { log, going, end } = scene();
  going.setBusy(true);
  going.setBusy(false);
  assert.deepEqual(log, ["begin model", "stop"]);
  await end();
  assert.deepEqual(log, ["begin model", "stop", "begin model"]);
});

test("the next picture comes while it stops for the one before", async () => {
  const { log, going, end } = scene();
  going.setBusy(true);
  going.setBusy(false);
  going.setBusy(true);
  await end();
  assert.deepEqual(log, ["begin model", "stop", "stop"]);
  going.setBusy(false);
  assert.equal(log.at(-1), "begin model");
});

test("it waits for a picture that was there first", () => {
  const { log, going } = scene({ busy: true });
  assert.deepEqual(log, []);
  going.setBusy(false);
  assert.deepEqual(log, ["begin model"]);
});

test("a download that failed is tried again after the next picture", async () => {
  const { log, going, end } = scene();
  await end();
  assert.deepEqual(log, ["begin model"]);
  going.setBusy(true);
  going.setBusy(false);
  assert.deepEqual(log, ["begin model", "begin model"]);
});
