/** Measuring with a clock that is made up. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { measure } from "../../../../src_js/engine/timing/measure.js";
import { testRandom } from "../../support/random.js";

const random = testRandom("measure.test.js");

/** @param {(repeats: number, call: number) => number} seconds of a call */
function fakeClock(seconds) {
  /** @type {number[]} repeats of each call */
  const calls = [];
  const time = async (/** @type {number} */ repeats) => seconds(repeats, calls.push(repeats) - 1);
  return { calls, time };
}

test("short work is repeated until a sample is long, and the first run counts for nothing", async () => {
  const once = 2e-6 * (1 + random.next());
  const { calls, time } = fakeClock((repeats, call) => (call === 0 ? 1 : 1e-5 + once * repeats));
  const { seconds, whole } = await measure(time);
  assert.ok(whole);
  assert.ok(seconds >= once && seconds < once * 1.01, `${seconds} of ${once}: the clock's own time must fade`);
  assert.ok((calls.at(-1) ?? 0) * once >= 0.0149 || (calls.at(-1) ?? 0) === 4096, `${calls}`);
});

test("a clock that shows nothing for short work ends all the same", async () => {
  const { calls, time } = fakeClock(() => 0);
  assert.equal((await measure(time)).seconds, 0);
  assert.ok(calls.length < 40, `${calls}`);
});

test("the median shrugs off a disturbed sample", async () => {
  const { time } = fakeClock((repeats, call) => repeats * (call === 3 ? 0.5 : 0.02));
  assert.equal((await measure(time)).seconds, 0.02);
});

test("a GPU that clocks up meanwhile is waited for", async () => {
  /** A GPU whose clock is low at first and rises while it works. @param {number} begin seconds @param {number} end */
  const rising = (begin, end) => {
    let worked = 0;
    return fakeClock((repeats) => {
      const risen = Math.min(1, Math.max(0, (worked - begin) / (end - begin)));
      const seconds = repeats * 1e-3 * (2.6 - 1.6 * risen);
      worked += seconds;
      return seconds;
    });
  };
  const { calls, time } = rising(0.03 + 0.02 * random.next(), 0.15 + 0.05 * random.next());
  const { seconds, whole } = await measure(time);
  assert.ok(whole && seconds < 1.04e-3, `${seconds}`);
  assert.ok(calls.length < 40, `${calls}`);
  assert.ok((await measure(rising(0.02, 0.1).time, 1.1e-3)).whole, "what looked hopeless while the clock was low is not given up");
});

test("waiting for a GPU that never comes to rest ends, and the median of the last samples counts", async () => {
  const { calls, time } = fakeClock((repeats, call) => repeats * 0.02 * (call % 2 === 0 ? 1 : 1.5));
  const { seconds, whole } = await measure(time);
  assert.ok(whole && seconds >= 0.02 && seconds <= 0.03);
  assert.ok(calls.length <= 18, `${calls.length} calls: 0.3 seconds, and the rest`);
});

test("long work is not repeated, hopeless work is given up after two samples that agree, or at once", async () => {
  const slow = fakeClock((repeats) => repeats * 0.6);
  assert.deepEqual(await measure(slow.time), { seconds: 0.6, whole: true });
  assert.deepEqual(slow.calls, [1, 1]);
  const hopeless = fakeClock((repeats) => repeats * 0.02);
  assert.deepEqual(await measure(hopeless.time, 0.019), { seconds: 0.02, whole: false });
  assert.deepEqual(hopeless.calls, [1, 1, 1]);
  const worse = fakeClock((repeats, call) => repeats * (call === 0 ? 0.02 : 0.1));
  assert.deepEqual(await measure(worse.time, 0.019), { seconds: 0.1, whole: false });
  assert.deepEqual(worse.calls, [1, 1]);
  const stuck = fakeClock(() => 3);
  assert.deepEqual(await measure(stuck.time, 0.7), { seconds: 3, whole: false });
  assert.deepEqual(stuck.calls, [1]);
});
