/** How a new version is offered and taken: never during a picture or a download, and with one click. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Update } from "../../../src_js/app/offline.js";

function newUpdate() {
  /** @type {string[]} */
  const told = [];
  const update = new Update({ reload: () => told.push("reload"), onChange: (state) => told.push(state), restMs: 1 });
  const waiting = { postMessage: (/** @type {unknown} */ message) => void told.push(String(message)) };
  return { update, told, waiting };
}

const rest = () => new Promise((resolve) => setTimeout(resolve, 20));

test("an idle page takes the version at one click, and reloads when it serves", () => {
  const { update, told, waiting } = newUpdate();
  update.accept();
  assert.deepEqual(told, [], "nothing is offered yet");
  update.offer(waiting);
  assert.deepEqual(told, ["offered"]);
  update.accept();
  assert.deepEqual(told, ["offered", "skip-waiting"]);
  update.changed();
  assert.deepEqual(told, ["offered", "skip-waiting", "reload"]);
});

test("a busy page promises it for afterwards, and pictures of a queue are no end of the work", async () => {
  const { update, told, waiting } = newUpdate();
  update.setBusy(true);
  update.offer(waiting);
  update.accept();
  update.accept();
  assert.deepEqual(told, ["offered", "afterwards", "afterwards"]);
  update.setBusy(false);
  update.setBusy(true);
  await rest();
  assert.equal(told.length, 3);
  update.setBusy(false);
  await rest();
  assert.equal(told.at(-1), "skip-waiting");
});

test("without a click nothing is taken, however long the page rests", async () => {
  const { update, told, waiting } = newUpdate();
  update.offer(waiting);
  update.setBusy(true);
  update.setBusy(false);
  await rest();
  assert.deepEqual(told, ["offered"]);
});

test("a version that another tab took is offered, and taken by a reload alone", () => {
  const { update, told, waiting } = newUpdate();
  update.offer(waiting);
  update.changed();
  assert.deepEqual(told, ["offered"], "the running version goes on");
  update.accept();
  assert.deepEqual(told, ["offered", "reload"]);
});
