import assert from "node:assert/strict";
import { test } from "node:test";
import { PromptCache, promptIdentity } from "../../../src_js/pipeline/prompt_cache.js";
import { BlobCache } from "../../../src_js/storage/blob_cache.js";
import { SmallLayer } from "../storage/fakes.js";
import { testRandom } from "../support/random.js";

const random = testRandom("prompt_cache.test.js");
const LENGTH = 50;
const result = () => Float32Array.from(random.normals(LENGTH));

async function setUp({ memoryBytes = 10 * LENGTH * 4 } = {}) {
  const layer = new SmallLayer();
  const blobs = await BlobCache.open(layer, 100 * LENGTH * 4);
  return { layer, blobs, cache: new PromptCache(blobs, memoryBytes), reopened: () => new PromptCache(blobs, memoryBytes) };
}

test("a result kept is found again, bit for bit, in memory and after a reload", async () => {
  const { cache, reopened } = await setUp();
  const values = result();
  values.set([NaN, -0, Infinity]);
  const first = await cache.find(["a"], LENGTH, true);
  assert.equal(first.values, undefined);
  await first.keep(values);
  assert.deepEqual((await cache.find(["a"], LENGTH, true)).values, values);
  const found = (await reopened().find(["a"], LENGTH, true)).values;
  assert.deepEqual(new Uint32Array(found?.buffer ?? new ArrayBuffer(0)), new Uint32Array(values.buffer));
  assert.equal((await cache.find(["b"], LENGTH, true)).values, undefined);
});

test("what may not be kept on the device stays in memory", async () => {
  const { layer, cache, reopened } = await setUp();
  const values = result();
  await (await cache.find(["a"], LENGTH, false)).keep(values);
  assert.equal(layer.files.size, 0);
  assert.deepEqual((await cache.find(["a"], LENGTH, false)).values, values);
  const other = reopened();
  await (await other.find(["b"], LENGTH, true)).keep(values);
  assert.equal((await reopened().find(["b"], LENGTH, false)).values, undefined, "nor is the device looked at");
});

test("memory holds the last few, by use", async () => {
  const { cache } = await setUp({ memoryBytes: 2 * LENGTH * 4 });
  for (const name of ["a", "b"]) await (await cache.find([name], LENGTH, false)).keep(result());
  await cache.find(["a"], LENGTH, false);
  await (await cache.find(["c"], LENGTH, false)).keep(result());
  const kept = [];
  for (const name of ["a", "b", "c"]) if ((await cache.find([name], LENGTH, false)).values) kept.push(name);
  assert.deepEqual(kept, ["a", "c"]);
});

test("a damaged result, or one of another length, is computed anew", async () => {
  const { layer, cache, reopened } = await setUp();
  await (await cache.find(["a"], LENGTH, true)).keep(result());
  assert.equal((await reopened().find(["a"], LENGTH + 1, true)).values, undefined);
  for (const [name, file] of layer.files) layer.files.set(name, file.map((byte, i) => (i === 90 ? byte ^ 4 : byte)));
  const missing = await reopened().find(["a"], LENGTH, true);
  assert.equal(missing.values, undefined);
  const values = result();
  await missing.keep(values);
  assert.deepEqual((await reopened().find(["a"], LENGTH, true)).values, values);
});

test("a storage that fails costs no picture", async () => {
  const { layer, cache } = await setUp();
  layer.capacity = 0;
  const values = result();
  await (await cache.find(["a"], LENGTH, true)).keep(values);
  assert.deepEqual((await cache.find(["a"], LENGTH, true)).values, values);
  layer.sizes = async () => {
    throw new DOMException("gone", "InvalidStateError");
  };
  assert.equal((await cache.find(["b"], LENGTH, true)).values, undefined);
});

test("clear forgets everything, also the result of a prompt that was under way", async () => {
  const { layer, cache } = await setUp();
  await (await cache.find(["a"], LENGTH, true)).keep(result());
  const underWay = await cache.find(["b"], LENGTH, true);
  await cache.clear();
  await underWay.keep(result());
  for (const name of ["a", "b"]) assert.equal((await cache.find([name], LENGTH, true)).values, undefined);
  assert.equal(layer.files.size, 0);
});

test("clear while a result is being written leaves nothing", async () => {
  const { layer, cache } = await setUp();
  /** @type {() => void} */
  let letGo = () => {};
  const held = new Promise((resolve) => (letGo = () => resolve(undefined)));
  const write = layer.write.bind(layer);
  layer.write = async (name, bytes) => {
    await held;
    await write(name, bytes);
  };
  const keeping = (await cache.find(["a"], LENGTH, true)).keep(result());
  await new Promise((resolve) => setTimeout(resolve, 5));
  const clearing = cache.clear();
  letGo();
  await Promise.all([keeping, clearing]);
  assert.equal(layer.files.size, 0);
});

test("without a place on the device, memory serves", async () => {
  const cache = new PromptCache(undefined);
  const values = result();
  await (await cache.find(["a"], LENGTH, true)).keep(values);
  assert.deepEqual((await cache.find(["a"], LENGTH, true)).values, values);
  await cache.clear();
  assert.equal((await cache.find(["a"], LENGTH, true)).values, undefined);
});

/** A manifest and an engine as far as a prompt's result depends on them. */
const world = () => ({
  manifest: {
    id: "tiny-q4-1", revision: "1", config: { text_encoder: { hidden_size: 8 }, transformer: { hidden_size: 9 } },
    tokenizer: { sha256: "t" }, stages: [{ name: "embedding", shards: [0] }, { name: "text_encoder", shards: [1, 2] }, { name: "transformer", shards: [3] }],
    shards: [{ sha256: "0" }, { sha256: "1" }, { sha256: "2" }, { sha256: "3" }],
  },
  engine: {
    info: { vendor: "v", architecture: "a", description: "d", precision: "f16", features: ["subgroups"] }, tuning: { identity: "k" },
  },
  platform: { build: "/v/1/", browser: "156" },
  ids: Int32Array.of(5, 6, 0, 0),
  length: 2,
});

/** @param {ReturnType<typeof world>} of */
const identity = ({ manifest, engine, platform, ids, length }) =>
  JSON.stringify(promptIdentity(/** @type {any} */ (manifest), /** @type {any} */ (engine), platform, ids, length));

test("a result belongs to one model, page, GPU, choice of kernels and prompt", () => {
  const original = identity(world());
  assert.equal(identity(world()), original);
  /** @type {((of: any) => void)[]} */
  const changes = [
    (of) => (of.manifest.id = "other"), (of) => (of.manifest.revision = "2"), (of) => (of.manifest.tokenizer.sha256 = "u"),
    (of) => (of.manifest.shards[0].sha256 = "x"), (of) => (of.manifest.shards[2].sha256 = "x"),
    (of) => (of.manifest.config.text_encoder.hidden_size = 16), (of) => (of.platform.build = "/v/2/"), (of) => (of.platform.browser = "157"),
    (of) => (of.engine.info.vendor = "w"), (of) => (of.engine.info.architecture = "b"), (of) => (of.engine.info.description = "e"),
    (of) => (of.engine.info.precision = "f32"), (of) => (of.engine.info.features = []), (of) => (of.engine.tuning.identity = "l"),
    (of) => (of.ids[1] = 7), (of) => (of.length = 3),
  ];
  const seen = new Set([original]);
  for (const change of changes) {
    const changed = world();
    change(changed);
    seen.add(identity(changed));
  }
  assert.equal(seen.size, changes.length + 1);
  const elsewhere = world();
  elsewhere.manifest.shards[3] = { sha256: "other" };
  assert.equal(identity(elsewhere), original, "the transformer's bytes do not matter; its revision does");
});
