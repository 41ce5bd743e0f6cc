/** How a stage loads: what is in flight at once, what is there before the bytes, and what is left after a cancel or a failure. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { beginStage, loadStage } from "../../../src_js/engine/weights.js";
import { KleinbildError } from "../../../src_js/errors.js";
import { FakeEngine } from "../support/fake_device.js";
import { testRandom } from "../support/random.js";

/** @typedef {import("../../../src_js/engine/weights.js").LoadOptions} LoadOptions */
/** @typedef {import("../../../src_js/engine/weights.js").LoadProgress} LoadProgress */

const random = testRandom("loading.test.js");
const SLOT_BYTES = 512;
const SLOTS = 3;
const SHARD_BYTES = [1280, 256, 2304, 512];
const CHUNKS = SHARD_BYTES.reduce((sum, bytes) => sum + Math.ceil(bytes / SLOT_BYTES), 0);
const TOTAL_BYTES = SHARD_BYTES.reduce((a, b) => a + b, 0);

const files = SHARD_BYTES.map((bytes) => Uint8Array.from({ length: bytes }, () => random.integer(256)));
const manifest = /** @type {import("../../../src_js/manifest.js").Manifest} */ (/** @type {unknown} */ ({
  stages: [{ name: "transformer", shards: [2, 0, 3, 1] }],
  tensors: [{
    name: "v", stage: "transformer", kind: "vector", shape: [5], format: "f32", block_size: 0, zero_points: false,
    parts: [{ shard: 3, row_start: 0, row_count: 5, offset: 256, length: 20 }],
  }],
  shards: SHARD_BYTES.map((bytes, i) => ({ path: `w/${i}.bin`, sha256: String(i), bytes })),
}));

/** The next turn of the event loop and all that follows from it. */
const tick = () => new Promise((resolve) => setTimeout(resolve, 5));

/** A reader that notes what it reads; `before` runs ahead of each read. */
function reader(/** @type {((reads: string[]) => void | Promise<void>)} */ before = () => {}) {
  /** @type {string[]} */
  const reads = [];
  return {
    reads,
    /** @type {import("../../../src_js/engine/weights.js").ReadShard} */
    read: async (sha256, offset, target) => {
      await before(reads);
      reads.push(`${sha256}:${offset}+${target.length}`);
      target.set(/** @type {Uint8Array} */ (files[Number(sha256)]).subarray(offset, offset + target.length));
    },
  };
}

/** @param {FakeEngine} engine @param {import("../../../src_js/engine/weights.js").ReadShard} read @param {LoadOptions} [options] */
const begin = (engine, read, options) =>
  beginStage(/** @type {any} */ (engine), manifest, "transformer", read, { staging: { slotBytes: SLOT_BYTES, slots: SLOTS }, ...options });

test("every shard arrives whole, in the stage's order, through few buffers", async () => {
  const engine = new FakeEngine();
  const { reads, read } = reader();
  /** @type {LoadProgress[]} */
  const progress = [];
  const stage = begin(engine, read, { onProgress: (one) => progress.push(one) });
  await stage.loaded;
  assert.deepEqual(reads.map((one) => one.split(":")[0]).filter((one, i, all) => one !== all[i - 1]), ["2", "0", "3", "1"]);
  assert.equal(reads.length, CHUNKS);
  for (const [i, shard] of [2, 0, 3, 1].entries()) {
    const { contents } = /** @type {{ contents: Uint8Array }} */ (/** @type {unknown} */ (stage.buffers[i]));
    assert.deepEqual(contents, files[shard], `shard ${shard}`);
  }
  assert.equal(engine.device.buffers.length, SHARD_BYTES.length + SLOTS);
  assert.deepEqual(progress.map(({ bytes }) => bytes), [2304, 3584, 4096, 4352]);
  assert.ok(progress.every(({ totalBytes, bytesPerSecond }) => totalBytes === TOTAL_BYTES && bytesPerSecond > 0));
  assert.equal(engine.device.staging.length, 0, "staging memory is given back");
  stage.destroy();
  assert.equal(engine.device.live.length, 0);
});

test("weights have their place before a byte was read", async () => {
  const engine = new FakeEngine();
  const { reads, read } = reader();
  const stage = begin(engine, read);
  assert.deepEqual(reads, []);
  const { buffer, offset } = stage.vector("v");
  assert.deepEqual([buffer.size, offset], [512, 256]);
  await stage.loaded;
  const { contents } = /** @type {{ contents: Uint8Array }} */ (/** @type {unknown} */ (buffer));
  assert.deepEqual(contents, files[3]);
});

test("reading goes on while mappings are under way, and no further than there are buffers", async () => {
  const engine = new FakeEngine();
  engine.device.holdMappings = true;
  const { reads, read } = reader();
  const stage = begin(engine, read);
  await tick();
  assert.equal(reads.length, SLOTS);
  assert.equal(engine.device.submits, SLOTS, "each copy is under way before the next read");
  engine.device.held.shift()?.();
  await tick();
  assert.equal(reads.length, SLOTS + 1);
  engine.device.holdMappings = false;
  for (const grant of engine.device.held.splice(0)) grant();
  await stage.loaded;
  assert.equal(reads.length, CHUNKS);
});

test("a cancel in the middle ends it and gives everything back", async () => {
  const engine = new FakeEngine();
  const abort = new AbortController();
  const { reads, read } = reader((all) => {
    if (all.length === 4) abort.abort();
  });
  const stage = begin(engine, read, { signal: abort.signal });
  await assert.rejects(stage.loaded, { code: "cancelled" });
  assert.equal(reads.length, 5, "the read in hand is the last");
  assert.equal(engine.device.live.length, 0);
  const aborted = begin.bind(null, engine, read, { signal: abort.signal });
  assert.throws(aborted, { code: "cancelled" });
  assert.equal(engine.device.live.length, 0);
});

test("a stage destroyed while it loads ends without a copy into what is gone", async () => {
  const engine = new FakeEngine();
  /** @type {() => void} */
  let letGo = () => {};
  const held = new Promise((resolve) => (letGo = () => resolve(undefined)));
  const { reads, read } = reader(async (all) => {
    if (all.length === 2) await held;
  });
  const stage = begin(engine, read);
  await tick();
  stage.destroy();
  letGo();
  await assert.rejects(stage.loaded, { code: "cancelled" });
  await tick();
  assert.equal(reads.length, 3);
  assert.equal(engine.device.live.length, 0);
});

test("a read that fails is told and leaves nothing, also when nobody waits", async () => {
  const engine = new FakeEngine();
  const { read } = reader((all) => {
    if (all.length === 5) throw new KleinbildError("bad-shard", "short");
  });
  const stage = begin(engine, read);
  await tick();                                                // an unhandled rejection here would fail this file
  await assert.rejects(stage.loaded, { code: "bad-shard", message: "short" });
  assert.equal(engine.device.live.length, 0);
});

test("a GPU without the room says so before anything is read", async () => {
  const engine = new FakeEngine();
  engine.device.scopeError = { message: "no room" };
  const { reads, read } = reader();
  await assert.rejects(begin(engine, read).loaded, { code: "out-of-memory", message: /1 MiB/ });
  assert.deepEqual(reads, []);
  assert.equal(engine.device.live.length, 0);
  assert.deepEqual(engine.device.scopes, []);
});

test("a shard larger than the GPU allows is refused before any buffer is made", () => {
  const engine = new FakeEngine();
  engine.device.limits.maxBufferSize = 2000;
  assert.throws(() => begin(engine, reader().read), { code: "out-of-memory" });
  assert.equal(engine.device.buffers.length, 0);
});

test("staging memory that cannot be had is told as such", async () => {
  const engine = new FakeEngine();
  engine.device.refuseBuffer = ({ mappedAtCreation }) => mappedAtCreation ? new RangeError("createBuffer failed, size is too large") : undefined;
  await assert.rejects(begin(engine, reader().read).loaded, { code: "out-of-memory" });
  assert.equal(engine.device.live.length, 0);
});

test("a device lost while loading is told as that, not as a failed mapping", async () => {
  const engine = new FakeEngine();
  engine.device.holdMappings = true;
  const { read } = reader();
  const stage = begin(engine, read);
  await tick();
  for (const buffer of engine.device.staging) buffer.refuse?.(new DOMException("the device is lost", "AbortError"));
  engine.fail("device-lost");
  await assert.rejects(stage.loaded, { code: "device-lost" });
  assert.equal(engine.device.live.length, 0);
});

test("so is one lost before the first byte", async () => {
  const engine = new FakeEngine();
  engine.device.scopeError = new DOMException("the device is lost", "OperationError");
  const { reads, read } = reader();
  const stage = begin(engine, read);
  engine.fail("device-lost");
  await assert.rejects(stage.loaded, { code: "device-lost" });
  assert.deepEqual(reads, []);
  assert.equal(engine.device.live.length, 0);
});

test("loadStage waits for the bytes and throws what the loading throws", async () => {
  const engine = new FakeEngine();
  const { reads, read } = reader();
  const load = (/** @type {import("../../../src_js/engine/weights.js").ReadShard} */ from) =>
    loadStage(/** @type {any} */ (engine), manifest, "transformer", from, { staging: { slotBytes: SLOT_BYTES } });
  await load(read);
  assert.equal(reads.length, CHUNKS);
  await assert.rejects(load(() => {
    throw new KleinbildError("bad-shard", "gone");
  }), { message: "gone" });
});
