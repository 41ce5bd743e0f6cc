import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { BlobCache } from "../../../src_js/storage/blob_cache.js";
import { SmallLayer } from "./fakes.js";
import { testRandom } from "../support/random.js";

const random = testRandom("blob_cache.test.js");
const DIGEST_BYTES = 32;
const key = (/** @type {string} */ name) => createHash("sha256").update(name).digest("hex");
const blob = (bytes = 100) => Uint8Array.from({ length: bytes }, () => random.integer(256));

async function setUp(maxBytes = 1000) {
  const layer = new SmallLayer();
  return { layer, cache: await BlobCache.open(layer, maxBytes) };
}

/** The one file that is there. @param {SmallLayer} layer @returns {[string, Uint8Array<ArrayBuffer>]} */
const onlyFile = (layer) => {
  assert.equal(layer.files.size, 1);
  return /** @type {[string, Uint8Array<ArrayBuffer>]} */ ([...layer.files][0]);
};

test("what was put comes back, also for another instance, and nothing else does", async () => {
  const { layer, cache } = await setUp();
  const bytes = blob();
  await cache.put(key("a"), bytes);
  assert.deepEqual(await cache.get(key("a")), bytes);
  assert.equal(await cache.get(key("b")), undefined);
  const again = await BlobCache.open(layer, 1000);
  assert.deepEqual(await again.get(key("a")), bytes);
  assert.equal(layer.partsRemoved, 2, "what interrupted writes left goes at every opening");
});

test("a second put under a key takes the place of the first", async () => {
  const { layer, cache } = await setUp();
  await cache.put(key("a"), blob());
  const second = blob(60);
  await cache.put(key("a"), second);
  assert.deepEqual(await cache.get(key("a")), second);
  assert.equal(onlyFile(layer)[1].length, DIGEST_BYTES + 60);
});

test("the least recently used go first, reads count as uses, and the bound holds", async () => {
  const { layer, cache } = await setUp(3 * (100 + DIGEST_BYTES));
  for (const name of ["a", "b", "c"]) await cache.put(key(name), blob());
  await cache.get(key("a"));
  await cache.put(key("d"), blob());
  const kept = [];
  for (const name of ["a", "b", "c", "d"]) if (await cache.get(key(name))) kept.push(name);
  assert.deepEqual(kept, ["a", "c", "d"]);
  await cache.put(key("e"), blob(200));                       // needs the room of two: c was read before d, a before both
  assert.deepEqual([...layer.files.keys()].map((name) => name.split("-")[1]).sort(), [`${key("d")}.bin`, `${key("e")}.bin`].sort());
  assert.ok([...layer.files.values()].reduce((sum, file) => sum + file.length, 0) <= 3 * (100 + DIGEST_BYTES));
});

test("what exceeds the bound by itself pushes nothing out", async () => {
  const { cache } = await setUp(200);
  await cache.put(key("a"), blob(50));
  await cache.put(key("b"), blob(200));
  assert.ok(await cache.get(key("a")));
  assert.equal(await cache.get(key("b")), undefined);
});

test("a damaged, cut or empty file is nothing, and goes", async () => {
  for (const damage of [
    (/** @type {Uint8Array<ArrayBuffer>} */ file) => file.map((byte, i) => (i === 77 ? byte ^ 1 : byte)),
    (/** @type {Uint8Array<ArrayBuffer>} */ file) => file.map((byte, i) => (i === 3 ? byte ^ 128 : byte)),
    (/** @type {Uint8Array<ArrayBuffer>} */ file) => file.slice(0, -1),
    () => new Uint8Array(0),
  ]) {
    const { layer, cache } = await setUp();
    await cache.put(key("a"), blob());
    const [name, file] = onlyFile(layer);
    layer.files.set(name, damage(file));
    assert.equal(await cache.get(key("a")), undefined);
    assert.equal(layer.files.size, 0);
  }
});

test("a file that another tab took away meanwhile is not here", async () => {
  const { layer, cache } = await setUp();
  await cache.put(key("a"), blob());
  await cache.put(key("b"), blob());
  const sizes = await layer.sizes();
  layer.sizes = async () => sizes;
  layer.files.clear();
  assert.equal(await cache.get(key("a")), undefined);
});

test("a full storage is told, and leaves the rest as it was", async () => {
  const { layer, cache } = await setUp();
  await cache.put(key("a"), blob());
  layer.capacity = 200;
  await assert.rejects(cache.put(key("b"), blob()), { code: "storage-full" });
  assert.ok(await cache.get(key("a")));
});

test("clear removes every file, strange ones too", async () => {
  const { layer, cache } = await setUp();
  await cache.put(key("a"), blob());
  layer.files.set("0-index.bin", blob());
  assert.ok(await cache.get(key("a")), "a strange file does not disturb");
  await cache.clear();
  assert.equal(layer.files.size, 0);
});

test("a file's name and contents are a digest's and the bytes'", async () => {
  const { layer, cache } = await setUp();
  const bytes = blob();
  await cache.put(key("a"), bytes);
  const [name, file] = onlyFile(layer);
  assert.match(name, new RegExp(`^[0-9]+-${key("a")}\\.bin$`));
  assert.deepEqual(file.slice(0, DIGEST_BYTES), Uint8Array.from(createHash("sha256").update(bytes).digest()));
  assert.deepEqual(file.slice(DIGEST_BYTES), bytes);
});
