import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_PICTURES, PictureQueue } from "../../../../src_js/app/make/queue.js";
import { ownQueue } from "../../../../src_js/app/make/queue_owner.js";
import { QueueRunner } from "../../../../src_js/app/make/queue_runner.js";
import { QueueStore } from "../../../../src_js/app/make/queue_store.js";
import { Store } from "../../../../src_js/app/store.js";
import { KleinbildError } from "../../../../src_js/errors.js";

const ORDER = { prompt: "a fox", width: 32, height: 16, steps: 2, seeds: ["1", "2", "3"], keepPrompt: true };

/** @param {Map<string, string>} items @param {number} [most] characters that fit */
function storeOf(items, most = Infinity) {
  return new Store(() => ({
    getItem: (key) => items.get(key) ?? null,
    setItem(key, value) {
      if (value.length > most) throw new Error("QuotaExceededError");
      items.set(key, value);
    },
    removeItem: (key) => void items.delete(key),
  }));
}

/** @param {Parameters<typeof storeOf>} store */
function queueOn(...store) {
  return new PictureQueue(new QueueStore(storeOf(...store), null, "queue"), () => {});
}

/**
 * A runner whose pictures fail as told.
 * @param {PictureQueue} queue
 * @param {Record<string, import("../../../../src_js/errors.js").ErrorCode | (() => void)>} [plan] by seed
 */
function runnerOf(queue, plan = {}) {
  /** @type {string[]} */
  const made = [];
  const runner = new QueueRunner(queue, async ({ seed, prompt }) => {
    const what = plan[`${seed}`];
    await Promise.resolve();
    if (typeof what === "string") return new KleinbildError(what, "");
    what?.();
    made.push(`${prompt} ${seed}`);
    return null;
  }, () => {});
  return { runner, made };
}

test("pictures are made in order, those added meanwhile too", async () => {
  const queue = queueOn(new Map());
  const { runner, made } = runnerOf(queue, { 2: () => void queue.add([{ ...ORDER, prompt: "a hare", seeds: ["9"] }]) });
  queue.add([ORDER]);
  const running = runner.run();
  assert.deepEqual([runner.running, runner.making], [true, { id: 1, seed: "1" }]);
  await Promise.all([running, runner.run()]);
  assert.deepEqual(made, ["a fox 1", "a fox 2", "a fox 3", "a hare 9"]);
  assert.deepEqual([queue.length, runner.running, runner.making], [0, false, null]);
});

test("while something else has the GPU pictures wait, and begin by themselves afterwards", async () => {
  const queue = queueOn(new Map());
  const { runner, made } = runnerOf(queue);
  runner.hold(true);
  queue.add([{ ...ORDER, seeds: ["1"] }]);
  await runner.run();
  assert.deepEqual([made, queue.length, runner.held, runner.running], [[], 1, true, false]);
  runner.hold(false);
  await runner.run();
  while (runner.running) await Promise.resolve();
  assert.deepEqual([made, queue.length], [["a fox 1"], 0]);
});

test("pause ends after the picture in hand, and goes on where it was", async () => {
  const queue = queueOn(new Map());
  const { runner, made } = runnerOf(queue, { 1: () => (queue.paused = true) });
  queue.add([ORDER]);
  await runner.run();
  assert.deepEqual([made.length, queue.length], [1, 2]);
  await runner.run();
  assert.equal(made.length, 1, "a paused queue stays paused");
  queue.paused = false;
  await runner.run();
  assert.equal(made.length, 3);
});

test("a cancelled picture is dropped and the others wait; a failure tries again, what is hopeless does not", async () => {
  for (const [code, left] of /** @type {const} */ ([["cancelled", 2], ["too-large", 2], ["bad-input", 2], ["device-lost", 3], ["download-failed", 3]])) {
    const queue = queueOn(new Map());
    const { runner } = runnerOf(queue, { 1: code });
    queue.add([ORDER]);
    await runner.run();
    assert.deepEqual([queue.length, queue.paused, runner.running], [left, true, false], code);
  }
});

test("a picture that fails alone leaves no queue behind", async () => {
  const queue = queueOn(new Map());
  const { runner } = runnerOf(queue, { 1: "device-lost" });
  queue.add([{ ...ORDER, seeds: ["1"] }]);
  await runner.run();
  assert.deepEqual([queue.length, queue.paused], [0, false]);
});

test("removing leaves the picture in the making", () => {
  const queue = queueOn(new Map());
  queue.add([ORDER, { ...ORDER, prompt: "a hare" }]);
  queue.remove(1, "1");
  assert.deepEqual(queue.orders.map(({ prompt, seeds }) => [prompt, ...seeds]), [["a fox", "1"], ["a hare", "1", "2", "3"]]);
  queue.remove(2);
  queue.remove(99);
  assert.equal(queue.length, 1);
});

test("no more pictures than anybody means, and none of an order that would be too many", () => {
  const queue = queueOn(new Map());
  const seeds = Array.from({ length: MAX_PICTURES - 1 }, (_, i) => `${i}`);
  assert.equal(queue.add([{ ...ORDER, seeds }]), true);
  assert.equal(queue.add([ORDER]), false);
  assert.equal(queue.length, MAX_PICTURES - 1);
});

test("a reload brings the queue back with the picture that was in the making, and waits for a word", async () => {
  const items = new Map();
  const queue = queueOn(items);
  queue.add([ORDER, { ...ORDER, prompt: "a hare", seeds: ["7"] }]);
  queue.done(1, "1");
  const again = queueOn(items);
  assert.deepEqual(again.recall(), { restored: 3, lost: 0 });
  assert.deepEqual(again.orders.map(({ prompt, seeds }) => [prompt, ...seeds]), [["a fox", "2", "3"], ["a hare", "7"]]);
  assert.equal(again.paused, true);
  const { runner, made } = runnerOf(again);
  await runner.run();
  assert.equal(made.length, 0);
  again.paused = false;
  await runner.run();
  assert.equal(made.length, 3);
  assert.match([...items.values()].join(), /^{"at":\d+}$/, "nothing but the time is remembered of an empty queue");
});

test("prompts that are not to be kept are not, and their loss is told once", () => {
  const items = new Map();
  const queue = queueOn(items);
  queue.add([ORDER, { ...ORDER, prompt: "a secret", keepPrompt: false }]);
  assert.ok(![...items.values()].join().includes("secret"));
  assert.deepEqual(queueOn(items).recall(), { restored: 3, lost: 3 });
  assert.deepEqual(queueOn(items).recall(), { restored: 3, lost: 0 });
  queue.forget();
  assert.ok(![...items.values()].join().includes("fox"));
  assert.deepEqual(queueOn(items).recall(), { restored: 0, lost: 6 });
});

test("a queue too long for the store is told as lost, not brought back half", () => {
  const items = new Map();
  const queue = queueOn(items, 500);
  queue.add([ORDER]);
  queue.add([{ ...ORDER, prompt: "x".repeat(1000) }]);
  assert.deepEqual(queueOn(items, 500).recall(), { restored: 0, lost: 6 });
});

test("strange storage does no harm", () => {
  const bad = [null, 5, [], { orders: 5 }, { orders: [null, 5, {}], lost: -3 }, { orders: [{ ...ORDER, width: 17 }], lost: "many" },
    { orders: [{ ...ORDER, seeds: [] }] }, { orders: [{ ...ORDER, seeds: ["-1"] }] }, { orders: [{ ...ORDER, seeds: ["99999999999999999999"] }] },
    { orders: [{ ...ORDER, prompt: 5 }] }, { orders: [{ ...ORDER, steps: 1e9 }] }, { orders: [{ ...ORDER, seeds: Array(1001).fill("1") }] }];
  for (const value of bad) {
    assert.deepEqual(queueOn(new Map([["kleinbild.queue", JSON.stringify({ at: 1, value }) ?? ""]])).recall(), { restored: 0, lost: 0 }, JSON.stringify(value)?.slice(0, 80));
  }
  const second = new PictureQueue(null, () => {});
  second.add([ORDER]);
  assert.deepEqual([second.recall(), second.length], [{ restored: 0, lost: 0 }, 3], "a queue that is not remembered works");
});

test("one tab owns the queue; where there are no locks, each does", async () => {
  const held = new Set();
  const locks = /** @type {any} */ ({
    async request(/** @type {string} */ name, /** @type {unknown} */ _, /** @type {(lock: unknown) => Promise<void>} */ work) {
      if (held.has(name)) return work(null);
      held.add(name);
      return work({});
    },
  });
  assert.deepEqual([await ownQueue(locks), await ownQueue(locks), await ownQueue(undefined)], [true, false, true]);
  assert.equal(await ownQueue(/** @type {any} */ ({ request: () => Promise.reject(new Error("not allowed")) })), false);
});
