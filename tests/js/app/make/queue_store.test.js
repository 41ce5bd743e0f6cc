/** The two places of the queue: whichever heard later counts, and either may be missing. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { QueueStore } from "../../../../src_js/app/make/queue_store.js";

/** A place that can lose what it was told last. */
class Place {
  /** @type {unknown[]} */
  told = [];
  refuses = false;

  read() {
    return structuredClone(this.told.at(-1));
  }

  /** @param {string} _ @param {unknown} value */
  write(_, value) {
    if (!this.refuses) this.told.push(structuredClone(value));
    return !this.refuses;
  }

  /** @returns {any} the same as a database */
  get table() {
    return { read: async () => this.read(), write: async (/** @type {string} */ name, /** @type {unknown} */ value) => void this.write(name, value) };
  }
}

const open = (/** @type {Place} */ here, /** @type {Place} */ there) => QueueStore.open(here, "queue", async () => there.table);

test("what either place heard last is what is remembered", async () => {
  for (const loser of ["here", "there"]) {
    const [here, there] = [new Place(), new Place()];
    const store = await open(here, there);
    assert.equal(store.read(), undefined);
    for (const value of [[1], [1, 2]]) store.write(value);
    (loser === "here" ? here : there).told.pop();
    assert.deepEqual((await open(here, there)).read(), [1, 2], `${loser} lost one`);
    (loser === "here" ? here : there).told = [];
    assert.deepEqual((await open(here, there)).read(), [1, 2], `${loser} lost all`);
  }
});

test("what was forgotten does not come back from the place that did not hear of it", async () => {
  const [here, there] = [new Place(), new Place()];
  const store = await open(here, there);
  store.write(["a prompt"]);
  store.write(undefined);
  assert.ok(!JSON.stringify([here.told.at(-1), there.told.at(-1)]).includes("prompt"));
  there.told.pop();
  assert.equal((await open(here, there)).read(), undefined);
});

test("a clock that went back changes nothing", async (context) => {
  const [here, there] = [new Place(), new Place()];
  const store = await open(here, there);
  context.mock.method(Date, "now", () => 2000);
  store.write(["before"]);
  context.mock.method(Date, "now", () => 1000);
  store.write(["after"]);
  here.told.pop();
  assert.deepEqual((await open(here, there)).read(), ["after"]);
});

test("without a database, and with one that fails, localStorage does", async () => {
  const here = new Place();
  const none = await QueueStore.open(here, "queue", () => Promise.reject(new DOMException("no", "SecurityError")));
  assert.equal(none.write([1]), true);
  const fails = () => Promise.reject(new DOMException("full", "QuotaExceededError"));
  const broken = await QueueStore.open(here, "queue", async () => ({ read: fails, write: fails }));
  assert.deepEqual(broken.read(), [1]);
  assert.equal(broken.write([2]), true);
  here.refuses = true;
  assert.equal(broken.write([3]), false);
});

test("anything may lie in the browser's storage", () => {
  for (const stored of [null, 1, "x", [], { at: "1", value: [1] }, { value: [1] }]) {
    const here = new Place();
    here.told.push(stored);
    assert.equal(new QueueStore(here, null, "queue", stored).read(), undefined);
  }
});
