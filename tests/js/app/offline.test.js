/** How a new version is offered and taken: never during a picture or a download, and with one click. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Update, keepOffline } from "../../../src_js/app/offline.js";

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

/** A browser's service workers. @param {import("node:test").TestContext} context @param {{}} [controller] of the page */
function containerOf(context, controller) {
  /** @type {string[]} */
  const registered = [];
  const serviceWorker = Object.assign(new EventTarget(), {
    controller: controller ? { postMessage() {} } : null,
    async register(/** @type {unknown} */ url) {
      registered.push(String(url));
      return Object.assign(new EventTarget(), { waiting: null, installing: null });
    },
  });
  for (const [name, value] of /** @type {const} */ ([["navigator", { serviceWorker }], ["document", new EventTarget()], ["location", { origin: "https://a.example" }]])) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { configurable: true, value });
    context.after(() => (before ? Object.defineProperty(globalThis, name, before) : Reflect.deleteProperty(globalThis, name)));
  }
  return registered;
}

for (const [what, outcome] of /** @type {const} */ ([["is usable", "resolve"], ["failed to open", "reject"]])) {
  test(`a first visit fetches nothing for later ones until the page ${what}`, async (context) => {
    const registered = containerOf(context);
    const settle = { resolve() {}, reject() {} };
    const usable = new Promise((resolve, reject) => Object.assign(settle, { resolve, reject }));
    const kept = keepOffline("a", newUpdate().update, usable);
    await rest();
    assert.deepEqual(registered, []);
    settle[outcome]();
    await kept;
    assert.deepEqual(registered, ["https://a.example/sw.js"]);
  });
}

test("a later visit asks for a new version at once", async (context) => {
  const registered = containerOf(context, {});
  await keepOffline("a", newUpdate().update, new Promise(() => {}));
  assert.deepEqual(registered, ["https://a.example/sw.js"]);
});

test("a first visit that never becomes usable is kept for later ones all the same", async (context) => {
  const registered = containerOf(context);
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const kept = keepOffline("a", newUpdate().update, new Promise(() => {}));
  for (let turn = 0; turn < 9; turn++) await Promise.resolve();
  context.mock.timers.tick(10_000);
  await kept;
  assert.deepEqual(registered, ["https://a.example/sw.js"]);
});
