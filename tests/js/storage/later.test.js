/** Files that are fetched for later: behind what is needed now, beside reading, each once however many ask. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ShardStore } from "../../../src_js/storage/shard_store.js";
import { BASE_URL, FakeServer, SmallLayer, makeFile } from "./fakes.js";

const FILES = Array.from({ length: 40 }, (_, seed) => makeFile(seed, 256 + seed));
const REFS = FILES.map(({ file }) => file);
/** @param {number} i */
const ref = (i) => /** @type {typeof REFS[0]} */ (REFS[i]);

async function setUp() {
  const server = new FakeServer(FILES);
  const layer = new SmallLayer();
  const open = () => ShardStore.open({ baseUrl: BASE_URL, model: REFS, fetch: server.fetch, layer, wait: async () => {} });
  return { server, layer, open, store: await open() };
}

/** @param {() => boolean | Promise<boolean>} holds waited for, ten seconds at most */
async function until(holds) {
  const end = performance.now() + 10_000;
  while (!(await holds())) {
    assert.ok(performance.now() < end, String(holds));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** @param {FakeServer} server */
const asked = ({ requests }) => requests.map(({ path }) => REFS.findIndex((file) => file.path === path));

test("files come in the order in which they are wanted", async () => {
  const { server, store } = await setUp();
  const wanted = [7, 3, 9, 1, 4].map(ref);
  /** @type {import("../../../src_js/storage/shard_store.js").InstallProgress[]} */
  const seen = [];
  await store.installLater(wanted, { onProgress: (progress) => seen.push(progress) });
  assert.deepEqual(asked(server), [7, 3, 9, 1, 4]);
  const totalBytes = wanted.reduce((sum, { bytes }) => sum + bytes, 0);
  assert.deepEqual(seen.at(-1), { bytes: totalBytes, totalBytes, files: 5, totalFiles: 5, problem: "" });
});

test("what is needed now goes ahead, and the rest goes on afterwards", async () => {
  const { server, store } = await setUp();
  /** @type {Promise<void> | undefined} */
  let urgent;
  const later = store.installLater(REFS, {
    onProgress: ({ files }) => {
      if (files === 3) urgent ??= store.install([35, 36, 37, 38, 39].map(ref), {});
    },
  });
  await until(() => urgent !== undefined);
  await urgent;
  const order = asked(server);
  const [first, last] = [order.indexOf(35), order.indexOf(39)];
  // Those that were in flight already may come to their end, and some lanes may have begun with their next.
  assert.ok(first <= 15, `${order}`);
  assert.deepEqual(order.slice(first, last + 1).filter((i) => i < 35), [], "nothing is begun between");
  await later;
  assert.deepEqual([...asked(server)].sort((a, b) => a - b), REFS.map((_, i) => i), "each once");
  assert.deepEqual(await store.missing(REFS), []);
});

test("a file that is on its way already is waited for, not fetched twice", async () => {
  const { server, store } = await setUp();
  const later = store.installLater([ref(0), ref(1)], {});
  await until(() => asked(server).length === 2);
  await store.install([ref(1), ref(2)], {});
  await later;
  assert.deepEqual(asked(server), [0, 1, 2]);
});

test("two tabs fetch the same files once between them", async () => {
  const { server, open, store } = await setUp();
  const other = await open();
  await Promise.all([store.installLater(REFS, {}), other.installLater(REFS, {}), other.install([ref(20)], {})]);
  assert.deepEqual([...asked(server)].sort((a, b) => a - b), REFS.map((_, i) => i));
  assert.deepEqual([await store.missing(REFS), await other.missing(REFS)], [[], []]);
});

test("a cancel of what is needed now does not end what comes later", async () => {
  const { server, store } = await setUp();
  server.answers.set(ref(30).path, ["hang"]);
  const later = store.installLater(REFS.slice(0, 20), {});
  const abort = new AbortController();
  const urgent = store.install([ref(30)], { signal: abort.signal });
  setTimeout(() => abort.abort(), 5);
  await assert.rejects(urgent, { code: "cancelled" });
  await later;
  assert.deepEqual(await store.missing(REFS.slice(0, 20)), []);
});

test("a cancelled wait for a file on its way leaves that file to whoever fetches it", async () => {
  const { store } = await setUp();
  const later = store.installLater([ref(0)], {});
  const abort = new AbortController();
  const urgent = store.install([ref(0)], { signal: abort.signal });
  abort.abort();
  await assert.rejects(urgent, { code: "cancelled" });
  await later;
  assert.deepEqual(await store.missing([ref(0)]), []);
});

test("a failure is told, and the next time continues with what is missing", async () => {
  const { server, store } = await setUp();
  server.answers.set(ref(10).path, [404]);
  await assert.rejects(store.installLater(REFS, {}), { code: "download-failed" });
  const missing = await store.missing(REFS);
  assert.ok(missing.includes(ref(10)) && missing.length < REFS.length);
  server.requests.length = 0;
  await store.installLater(REFS, {});
  assert.deepEqual(asked(server), missing.map((file) => REFS.indexOf(file)));
});

test("files are read while others come, and a download that hangs keeps no other tab from opening the folder", async () => {
  const { server, open, store } = await setUp();
  await store.install([ref(39)], {});
  server.answers.set(ref(5).path, ["hang"]);
  const abort = new AbortController();
  const later = store.installLater(REFS, { signal: abort.signal });
  const target = new Uint8Array(16);
  for (let i = 0; i < 20; i++) {
    await store.read(ref(39).sha256, i, target);
    assert.deepEqual(target, FILES[39]?.data.slice(i, i + 16));
  }
  // all but the one that hangs
  await until(async () => (await store.missing(REFS)).length === 1);
  assert.equal(server.inFlight, 1);
  const other = await open();
  assert.deepEqual(await other.missing(REFS), [ref(5)]);
  abort.abort();
  await assert.rejects(later, { code: "cancelled" });
});

test("files of the model that are not asked for are kept when others must make room", async () => {
  const { layer, store } = await setUp();
  await store.install(REFS.slice(0, 3), {});
  layer.files.set("other.bin", new Uint8Array(500));
  layer.capacity = 500 + REFS.slice(0, 3).reduce((sum, { bytes }) => sum + bytes, 0);
  await store.installLater([ref(3)], {});
  assert.equal(layer.files.has("other.bin"), false);
  assert.deepEqual(await store.missing(REFS.slice(0, 4)), []);
});
