import assert from "node:assert/strict";
import { test } from "node:test";
import { filesInFlight } from "../../../src_js/storage/download.js";
import { ShardStore } from "../../../src_js/storage/shard_store.js";
import { BASE_URL, FakeServer, SmallLayer, makeFile } from "./fakes.js";

const FILES = [0, 1, 2, 3, 4, 5].map((seed) => makeFile(seed));
const REFS = FILES.map(({ file }) => file);
const FIRST = /** @type {typeof FILES[0]} */ (FILES[0]);
const NAME = `${FIRST.file.sha256}.bin`;

async function setUp() {
  const server = new FakeServer(FILES);
  const layer = new SmallLayer();
  /** @type {number[]} */
  const waits = [];
  const wait = async (/** @type {number} */ milliseconds) => void waits.push(milliseconds);
  const store = await ShardStore.open({ baseUrl: BASE_URL, model: REFS, fetch: server.fetch, layer, wait });
  return { server, layer, waits, store };
}

test("installs every file, reads it back, and asks for nothing a second time", async () => {
  const { server, store } = await setUp();
  assert.deepEqual(await store.missing(REFS), REFS);
  await store.install(REFS, {});
  assert.deepEqual(await store.missing(REFS), []);
  const target = new Uint8Array(10);
  await store.read(FIRST.file.sha256, 500, target);
  assert.deepEqual(target, FIRST.data.slice(500, 510));
  assert.equal(server.requests.length, REFS.length);
  await store.install(REFS, {});
  assert.equal(server.requests.length, REFS.length);
});

test("three full shards are in flight, or six small files", async () => {
  const many = FILES.concat(Array.from({ length: 6 }, (_, i) => makeFile(100 + i)));
  const server = new FakeServer(many);
  const refs = many.map(({ file }) => file);
  const store = await ShardStore.open({ baseUrl: BASE_URL, model: refs, fetch: server.fetch, layer: new SmallLayer() });
  await store.install(refs, {});
  assert.equal(server.mostInFlight, 6);
  const file = /** @type {const} */ ({ encoding: "", bytes: 2 ** 26, transfer_bytes: 2 ** 26 });
  assert.deepEqual([[file, ...REFS], [{ ...file, bytes: 2 ** 25 }], REFS, []].map(filesInFlight), [3, 6, 6, 6]);
});

test("progress never decreases and ends at the total", async () => {
  const { server, store } = await setUp();
  server.answers.set(FIRST.file.path, ["cut", "down", 503]);
  /** @type {import("../../../src_js/storage/shard_store.js").InstallProgress[]} */
  const seen = [];
  await store.install(REFS, { onProgress: (progress) => seen.push(progress) });
  const bytes = seen.map((progress) => progress.bytes);
  assert.deepEqual(bytes, [...bytes].sort((a, b) => a - b));
  assert.deepEqual(seen.at(-1), { bytes: 6000, totalBytes: 6000, files: 6, totalFiles: 6, problem: "" });
});

test("a wrong digest is fetched once more, past the HTTP cache", async () => {
  const { server, store } = await setUp();
  server.answers.set(FIRST.file.path, [new Uint8Array(1000)]);
  await store.install([FIRST.file], {});
  assert.deepEqual(server.requests.map(({ cache }) => cache), ["default", "reload"]);
  assert.deepEqual(await store.missing([FIRST.file]), []);
});

test("a wrong digest twice is refused by name and not kept", async () => {
  const { server, store, layer } = await setUp();
  server.answers.set(FIRST.file.path, [new Uint8Array(1000), new Uint8Array(1000)]);
  const failure = { code: "bad-shard", message: new RegExp(FIRST.file.path) };
  await assert.rejects(store.install([FIRST.file], {}), failure);
  assert.equal(layer.files.size, 0);
  assert.equal(server.requests.length, 2);
});

test("a broken connection is retried with growing pauses, then given up", async () => {
  const { server, store, waits } = await setUp();
  server.answers.set(FIRST.file.path, ["down", "cut", 503, 429]);
  await store.install([FIRST.file], {});
  assert.deepEqual(waits, [500, 1500, 4000, 10000]);
  const again = await setUp();
  again.server.answers.set(FIRST.file.path, ["down", "down", "down", "down", "down"]);
  await assert.rejects(again.store.install([FIRST.file], {}), { code: "download-failed", message: /5 times/ });
  assert.equal(again.server.requests.length, 5);
  const hurried = await setUp();
  hurried.server.answers.set(FIRST.file.path, ["down", "down", "down"]);
  await assert.rejects(hurried.store.install([FIRST.file], { retries: 2 }), { code: "download-failed", message: /3 times/ });
  assert.deepEqual([hurried.server.requests.length, hurried.waits], [3, [500, 1500]]);
});

test("a broken connection goes on from where it broke, or from the start where the server cannot", async () => {
  for (const [ranges, asked, bytes] of /** @type {[boolean, (string | undefined)[], number[]][]} */ ([
    [true, [undefined, "bytes=500-", "bytes=500-"], [500, 1000, 1000]],
    [false, [undefined, "bytes=500-", "bytes=500-"], [500, 1000, 1000]],
  ])) {
    const { server, store, layer } = await setUp();
    server.ranges = ranges;
    server.answers.set(FIRST.file.path, ["cut", "down"]);
    /** @type {import("../../../src_js/storage/shard_store.js").InstallProgress[]} */
    const seen = [];
    await store.install([FIRST.file], { onProgress: (progress) => seen.push(progress) });
    assert.deepEqual(server.requests.map(({ range }) => range), asked);
    assert.deepEqual(layer.files.get(NAME), FIRST.data);
    assert.deepEqual(seen.filter(({ problem }) => !problem).map((progress) => progress.bytes).slice(-3), ranges ? bytes : [500, 1000, 1000]);
    assert.deepEqual(seen.map(({ problem }) => problem).filter(Boolean), ["only 500 of 1000 bytes arrived", "the connection failed"]);
  }
});

test("a server that answers with another part than was asked for is not believed", async () => {
  const { server, store } = await setUp();
  server.answers.set(FIRST.file.path, ["cut"]);
  const { fetch } = server;
  server.fetch = async (input, init) => {
    const response = await fetch(input, init);
    return response.status === 206 ? new Response(FIRST.data.slice(400), { status: 206, headers: { "Content-Range": "bytes 400-999/1000" } }) : response;
  };
  const failing = await ShardStore.open({ baseUrl: BASE_URL, model: REFS, fetch: server.fetch, layer: new SmallLayer(), wait: async () => {} });
  await assert.rejects(failing.install([FIRST.file], {}), { code: "download-failed", message: /another part/ });
  assert.deepEqual(await store.missing([FIRST.file]), [FIRST.file]);
});

test("a line that breaks again and again, but brings something each time, gets there", async () => {
  const large = makeFile(200, 9 * 2 ** 20);
  const server = new FakeServer([large]);
  const { fetch } = server;
  let sent = 0;
  const store = await ShardStore.open({ baseUrl: BASE_URL, model: [], layer: new SmallLayer(), wait: async () => {}, fetch: async (input, init) => {
    const whole = await fetch(input, init);
    const part = (await whole.arrayBuffer()).slice(0, 2 ** 20);
    sent += part.byteLength;
    return new Response(part, { status: whole.status, headers: whole.headers });
  } });
  await store.install([large.file], {});
  assert.equal(server.requests.length, 9);
  assert.equal(sent, large.file.bytes);
});

test("a damaged or cut file is found by its digest, set aside, and mended by the next install", async () => {
  const { server, store, layer } = await setUp();
  await store.install(REFS, {});
  assert.equal(await store.check(FIRST.file), "whole");
  for (const spoil of [(/** @type {Uint8Array} */ data) => void (data[3] = 1 ^ (data[3] ?? 0)), () => layer.files.set(NAME, FIRST.data.slice(0, 999))]) {
    layer.files.set(NAME, FIRST.data.slice());
    spoil(/** @type {Uint8Array} */ (layer.files.get(NAME)));
    assert.equal(await store.check(FIRST.file), "damaged");
    assert.equal(await store.check(FIRST.file), "missing");
    assert.ok(layer.files.has(`${NAME}.damaged`));
    assert.deepEqual(await store.missing(REFS), [FIRST.file]);
    server.requests.length = 0;
    await store.install(REFS, {});
    assert.deepEqual(server.requests.map(({ path }) => path), [FIRST.file.path]);
    assert.deepEqual(layer.files.get(NAME), FIRST.data);
    assert.ok(!layer.files.has(`${NAME}.damaged`));
  }
});

test("what comes otherwise than from the site is kept only with the right digest", async () => {
  const { server, store, layer } = await setUp();
  assert.equal(await store.keep(FIRST.file, new Uint8Array(1000)), false);
  assert.equal(await store.keep(FIRST.file, FIRST.data.slice(1)), false);
  assert.equal(layer.files.size, 0);
  assert.equal(await store.keep(FIRST.file, FIRST.data.slice()), true);
  assert.deepEqual(await store.missing([FIRST.file]), []);
  assert.equal(server.requests.length, 0);
});

test("what other models keep makes no room", async () => {
  const { server, layer } = await setUp();
  layer.files.set("other.bin", new Uint8Array(500));
  layer.files.set("leftover.bin", new Uint8Array(500));
  layer.capacity = 1500;
  const store = await ShardStore.open({ baseUrl: BASE_URL, model: [], kept: async () => ["other.bin", NAME], fetch: server.fetch, layer });
  await store.install([FIRST.file], {});
  assert.deepEqual([...layer.files.keys()].sort(), [NAME, "other.bin"].sort());
  await assert.rejects(store.install(REFS.slice(1, 2), {}), { code: "storage-full" });
  assert.ok(layer.files.has("other.bin"));
});

test("an answer that will not change is not retried", async () => {
  for (const answer of [404, 403, new Uint8Array(1001)]) {
    const { server, store } = await setUp();
    server.answers.set(FIRST.file.path, [answer]);
    await assert.rejects(store.install([FIRST.file], {}), { code: "download-failed" });
    assert.equal(server.requests.length, 1);
  }
});

test("an interrupted install continues with what is missing", async () => {
  const { server, store } = await setUp();
  const last = makeFile(100);
  const refs = [...REFS, last.file];
  server.files.set(last.file.path, last.sent);
  server.answers.set(last.file.path, [404]);
  await assert.rejects(store.install(refs, {}), { code: "download-failed" });
  const missing = await store.missing(refs);
  // One was whole before the last was asked for; its neighbours may have been stopped by its failure.
  assert.ok(missing.includes(last.file) && missing.length <= 6, `${missing.length} are missing`);
  server.requests.length = 0;
  await store.install(refs, {});
  assert.deepEqual(server.requests.map(({ path }) => path).sort(), missing.map(({ path }) => path).sort());
});

test("cancelling ends the requests and keeps what was complete", async () => {
  const { server, store, layer } = await setUp();
  for (const { path } of REFS.slice(1)) server.answers.set(path, ["hang"]);
  const abort = new AbortController();
  const installing = store.install(REFS, { signal: abort.signal, onProgress: ({ files }) => files === 1 && abort.abort() });
  await assert.rejects(installing, { code: "cancelled" });
  assert.deepEqual([...layer.files.keys()], [NAME]);
  assert.equal(server.inFlight, 0);
  await assert.rejects(store.install(REFS, { signal: abort.signal }), { code: "cancelled" });
});

test("a file of the wrong size counts as missing and is replaced", async () => {
  const { store, layer } = await setUp();
  layer.files.set(NAME, new Uint8Array(999));
  assert.deepEqual(await store.missing([FIRST.file]), [FIRST.file]);
  await store.install([FIRST.file], {});
  assert.equal(layer.files.get(NAME)?.length, 1000);
});

test("full storage is told, after files of other builds made room in vain", async () => {
  const { store, layer } = await setUp();
  layer.files.set("other.bin", new Uint8Array(500));
  layer.capacity = 1000;
  await assert.rejects(store.install(REFS.slice(0, 2), {}), { code: "storage-full", message: /Still missing: 1000 bytes\.$/ });
  assert.equal(layer.files.has("other.bin"), false);
  assert.equal(layer.files.size, 1);
});

test("files of other builds make room", async () => {
  const { store, layer } = await setUp();
  layer.files.set("other.bin", new Uint8Array(500));
  layer.capacity = 1000;
  await store.install([FIRST.file], {});
  assert.deepEqual([...layer.files.keys()], [NAME]);
});

test("opening removes what interrupted writes left", async () => {
  const { layer } = await setUp();
  assert.equal(layer.partsRemoved, 1);
});

test("a read past the end, or of a file that is not there, is a bad shard", async () => {
  const { store } = await setUp();
  await store.install([FIRST.file], {});
  await assert.rejects(store.read(FIRST.file.sha256, 995, new Uint8Array(10)), { code: "bad-shard", message: /5 of 10 bytes/ });
  await assert.rejects(store.read("f".repeat(64), 0, new Uint8Array(1)), { code: "bad-shard" });
});

test("JSON is read by its reference, and anything else is refused", async () => {
  const { store, layer } = await setUp();
  const file = { path: `w/${"a".repeat(64)}.json`, sha256: "a".repeat(64), bytes: 7, encoding: /** @type {const} */ (""), transfer_bytes: 7 };
  layer.files.set(`${"a".repeat(64)}.json`, new TextEncoder().encode('{"a":1}'));
  assert.deepEqual(await store.readJson(file), { a: 1 });
  layer.files.set(`${"b".repeat(64)}.json`, new TextEncoder().encode("{nothing"));
  const broken = { ...file, path: `w/${"b".repeat(64)}.json`, sha256: "b".repeat(64), bytes: 8 };
  await assert.rejects(store.readJson(broken), { code: "bad-shard" });
});

test("files opened ahead are opened once; one that is missing is told by its read", async () => {
  const { store, layer } = await setUp();
  await store.install([FIRST.file], {});
  /** @type {string[]} */
  const opened = [];
  const open = layer.open.bind(layer);
  layer.open = (name) => (opened.push(name), open(name));
  const second = /** @type {typeof FILES[0]} */ (FILES[1]);
  store.openAhead([FIRST.file, second.file]);
  await new Promise((resolve) => setTimeout(resolve, 1));
  const target = new Uint8Array(10);
  await store.read(FIRST.file.sha256, 0, target);
  assert.deepEqual(target, FIRST.data.slice(0, 10));
  assert.equal(opened.filter((name) => name === NAME).length, 1);
  await assert.rejects(store.read(second.file.sha256, 0, target), { code: "bad-shard" });
  await store.install([second.file], {});
  await store.read(second.file.sha256, 0, target);
  assert.deepEqual(target, second.data.slice(0, 10));
});
