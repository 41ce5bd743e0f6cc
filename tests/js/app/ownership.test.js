import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { TabOwnership } from "../../../src_js/app/ownership.js";

/** @typedef {import("../../../src_js/app/ownership.js").Manner} Manner */
/** @typedef {import("../../../src_js/app/ownership.js").Ownership} Ownership */

/** One exclusive lock of each name, given in the order of asking, as the browser's. */
class FakeLocks {
  /** @type {{run: () => Promise<void>, options: any, reject: (error: Error) => void}[]} */
  #line = [];
  #held = false;

  /** @param {string} _ @param {any} options @param {(lock: object | null) => any} task */
  request(_, options, task) {
    if (options.ifAvailable && this.#held) return Promise.resolve(task(null));
    return new Promise((resolve, reject) => {
      const entry = {
        options, reject, run: async () => {
          this.#held = true;
          resolve(await task({}));
          this.#held = false;
          this.#next();
        },
      };
      options.signal?.addEventListener("abort", () => {
        const at = this.#line.indexOf(entry);
        if (at < 0) return;
        this.#line.splice(at, 1);
        reject(new Error("aborted"));
      });
      this.#line.push(entry);
      this.#next();
    });
  }

  #next() {
    if (!this.#held) void this.#line.shift()?.run();
  }
}

/** @type {BroadcastChannel[]} */
const channels = [];
afterEach(() => {
  for (const channel of channels.splice(0)) channel.close();
});

let tests = 0;

/** Tabs of one browser: what each was told, what each was asked. */
function browser() {
  const locks = /** @type {any} */ (new FakeLocks());
  const name = `ownership test ${tests++}`;
  return async () => {
    const channel = new BroadcastChannel(name);
    channels.push(channel);
    /** @type {Ownership[]} */
    const told = [];
    /** @type {Manner[]} */
    const asked = [];
    const tab = {
      told, asked, work: Promise.resolve(),
      tabs: new TabOwnership({
        onChange: (ownership) => told.push(ownership),
        async onAsked(manner) {
          asked.push(manner);
          await tab.work;
        },
      }, locks, channel),
    };
    await tab.tabs.open();
    await news();
    return tab;
  };
}

/** Until messages between tabs have arrived, and what follows from them is done. */
const news = () => new Promise((resolve) => setTimeout(resolve, 90));
const states = (/** @type {{tabs: TabOwnership}[]} */ ...tabs) => tabs.map((tab) => tab.tabs.ownership.state);

test("the first tab has the GPU, a second one is told so and whether a picture is being made", async () => {
  const open = browser();
  const first = await open();
  assert.deepEqual(first.told, [{ state: "owner" }]);
  first.tabs.setBusy(true);
  const second = await open();
  assert.deepEqual(second.told.at(-1), { state: "taken", busy: true, asked: false, silent: false });
  first.tabs.setBusy(false);
  await news();
  assert.deepEqual(second.told.at(-1), { state: "taken", busy: false, asked: false, silent: false });
  assert.deepEqual(states(first, second), ["owner", "taken"]);
});

for (const manner of /** @type {const} */ (["finish", "cancel"])) {
  test(`a tab that asks gets the GPU once the owner has freed it: ${manner}`, async () => {
    const open = browser();
    const [first, second] = [await open(), await open()];
    let free = () => {};
    first.work = new Promise((resolve) => (free = () => resolve(undefined)));
    second.tabs.ask(manner);
    await news();
    assert.deepEqual(first.asked, [manner]);
    assert.deepEqual(states(first, second), ["owner", "taken"], "not before");
    assert.deepEqual(second.told.at(-1), { state: "taken", busy: false, asked: true, silent: false });
    free();
    await news();
    assert.deepEqual(states(first, second), ["taken", "owner"]);
    first.tabs.ask("finish");
    await news();
    assert.deepEqual(states(first, second), ["owner", "taken"], "and back");
  });
}

test("of several that wait, the one that asks is next", async () => {
  const open = browser();
  const tabs = [await open(), await open(), await open(), await open()];
  for (const asking of [3, 1, 2, 0]) {
    tabs[asking]?.tabs.ask("finish");
    await news();
    assert.deepEqual(states(...tabs), tabs.map((_, i) => (i === asking ? "owner" : "taken")));
  }
  assert.deepEqual(tabs.map(({ asked }) => asked.length), [1, 1, 1, 1]);
});

test("an owner that does not answer is told of, and one that is gone is followed at once", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const locks = /** @type {any} */ (new FakeLocks());
  let gone = () => {};
  void locks.request("", {}, () => new Promise((resolve) => (gone = () => resolve(undefined))));
  const channel = new BroadcastChannel(`ownership test ${tests++}`);
  channels.push(channel);
  const tab = new TabOwnership({ onChange() {}, async onAsked() {} }, locks, channel);
  await tab.open();
  tab.ask("finish");
  context.mock.timers.tick(60_000);
  assert.deepEqual(tab.ownership, { state: "taken", busy: false, asked: false, silent: true });
  gone();
  for (let i = 0; i < 9; i++) await Promise.resolve();
  assert.deepEqual(tab.ownership, { state: "owner" });
});
