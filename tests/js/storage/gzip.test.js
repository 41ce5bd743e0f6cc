/** Files that the server has as gzip: unpacked on their way, verified plain, and refused in every other case. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { sha256Hex } from "../../../src_js/digest.js";
import { ShardStore } from "../../../src_js/storage/shard_store.js";
import { BASE_URL, FakeServer, SmallLayer, makeFile, makeGzipFile } from "./fakes.js";

const BYTES = 100_000;
const { file: FILE, data: DATA, sent: SENT } = makeGzipFile(1, BYTES);
const NAME = `${FILE.sha256}.bin`;

/** @param {import("./fakes.js").Answer[]} [answers] before the file itself */
async function setUp(answers = []) {
  const plain = makeFile(2);
  const server = new FakeServer([{ file: FILE, data: DATA, sent: SENT }, plain]);
  server.answers.set(FILE.path, answers);
  const layer = new SmallLayer();
  const store = await ShardStore.open({ baseUrl: BASE_URL, model: [FILE], fetch: server.fetch, layer, wait: async () => {} });
  return { server, layer, store, plain: plain.file };
}

/** @param {Uint8Array[]} parts @returns {Uint8Array<ArrayBuffer>} */
const joined = (...parts) => new Uint8Array(Buffer.concat(parts));

test("a gzip file is kept plain, under its plain name", async () => {
  const { store, layer, server } = await setUp();
  await store.install([FILE], {});
  assert.deepEqual(layer.files.get(NAME), DATA);
  assert.deepEqual(await store.missing([FILE]), []);
  const target = new Uint8Array(10);
  await store.read(FILE.sha256, 500, target);
  assert.deepEqual(target, DATA.slice(500, 510));
  assert.equal(server.requests.length, 1);
  assert.ok(SENT.length < BYTES / 2, "the file is much smaller on its way");
});

test("progress counts bytes as they are sent", async () => {
  const { store, plain } = await setUp(["cut", "down"]);
  /** @type {import("../../../src_js/storage/shard_store.js").InstallProgress[]} */
  const seen = [];
  await store.install([FILE, plain], { onProgress: (progress) => seen.push(progress) });
  const total = SENT.length + plain.bytes;
  assert.deepEqual(seen.at(-1), { bytes: total, totalBytes: total, files: 2, totalFiles: 2, problem: "" });
  const bytes = seen.map((progress) => progress.bytes);
  assert.deepEqual(bytes, [...bytes].sort((a, b) => a - b));
  assert.ok(seen.every(({ totalBytes }) => totalBytes === total));
});

test("a connection that breaks off is tried again", async () => {
  const { store, server, layer } = await setUp(["cut", "down", 503, "cut"]);
  await store.install([FILE], {});
  assert.deepEqual(layer.files.get(NAME), DATA);
  assert.equal(server.requests.length, 5);
  assert.ok(server.requests.every(({ cache }) => cache === "default"), "what did not arrive is no damage");
});

const flipped = SENT.slice();
flipped[SENT.length - 6] = (flipped[SENT.length - 6] ?? 0) ^ 1;

/** @type {[string, Uint8Array<ArrayBuffer>, RegExp][]} answers as long as promised that are not the file */
const DAMAGES = [
  ["what is no gzip", new Uint8Array(SENT.length).fill(65), /is no sound gzip file/],
  ["a wrong check sum", flipped, /is no sound gzip file/],
  ["another file's content", resized(gzipSync(makeFile(3, BYTES).data), SENT.length), /wrong SHA-256|no sound gzip/],
];

/** @param {Uint8Array} bytes @param {number} length @returns {Uint8Array<ArrayBuffer>} cut, or padded with zeros */
function resized(bytes, length) {
  const result = new Uint8Array(length);
  result.set(bytes.subarray(0, length));
  return result;
}

for (const [name, answer, message] of DAMAGES) {
  test(`${name} is fetched once more, past the HTTP cache, then refused by name`, async () => {
    const healed = await setUp([answer]);
    await healed.store.install([FILE], {});
    assert.deepEqual(healed.layer.files.get(NAME), DATA);
    assert.deepEqual(healed.server.requests.map(({ cache }) => cache), ["default", "reload"]);

    const { store, layer, server } = await setUp([answer, answer]);
    await assert.rejects(store.install([FILE], {}), (/** @type {any} */ error) => {
      assert.equal(error.code, "bad-shard");
      assert.ok(error.message.includes(FILE.path) && message.test(error.message), error.message);
      return true;
    });
    assert.equal(layer.files.size, 0);
    assert.equal(server.requests.length, 2);
  });
}

/** @param {Uint8Array<ArrayBuffer>} sent @param {number} bytes promised @param {Uint8Array<ArrayBuffer>} [data] whose digest is promised */
async function installOther(sent, bytes, data = DATA) {
  const sha256 = await sha256Hex(data);
  const file = { path: `w/${sha256}.bin.gz`, sha256, bytes, encoding: /** @type {const} */ ("gzip"), transfer_bytes: sent.length };
  const server = new FakeServer([{ file, data, sent }]);
  const layer = new SmallLayer();
  const store = await ShardStore.open({ baseUrl: BASE_URL, model: [], fetch: server.fetch, layer, wait: async () => {} });
  return { installing: store.install([file], {}), server, layer };
}

test("whatever follows the gzip member is refused, though the digest is right", async () => {
  for (const [name, tail] of /** @type {[string, Uint8Array][]} */ ([
    ["rubbish", new TextEncoder().encode("rubbish")], ["zeros", new Uint8Array(16)], ["one byte", new Uint8Array(1)],
    ["an empty member", gzipSync(new Uint8Array())],
  ])) {
    const { installing, layer } = await installOther(joined(SENT, tail), BYTES);
    await assert.rejects(installing, { code: "bad-shard" }, name);
    assert.equal(layer.files.size, 0, name);
  }
});

test("a member that ends early, or holds less than promised, is refused", async () => {
  for (const [sent, bytes] of /** @type {[Uint8Array<ArrayBuffer>, number][]} */ ([[SENT.slice(0, -9), BYTES], [SENT, BYTES + 256]])) {
    const { installing, layer } = await installOther(sent, bytes);
    await assert.rejects(installing, { code: "bad-shard" });
    assert.equal(layer.files.size, 0);
  }
});

test("a file that unpacks to more than promised is stopped at once and not asked for again", async () => {
  const bomb = new Uint8Array(gzipSync(new Uint8Array(64 * 2 ** 20)));
  const { installing, server, layer } = await installOther(bomb, 1024);
  await assert.rejects(installing, { code: "bad-shard", message: /unpacks to more than the 1024 bytes promised/ });
  assert.equal(server.requests.length, 1);
  assert.equal(layer.files.size, 0);
  const twice = await installOther(joined(SENT, SENT), BYTES);
  await assert.rejects(twice.installing, { code: "bad-shard", message: /unpacks to more/ });
});

test("an answer that is longer than promised is not tried again", async () => {
  const { store, server } = await setUp([joined(SENT, new Uint8Array(1))]);
  await assert.rejects(store.install([FILE], {}), { code: "download-failed", message: /longer than/ });
  assert.equal(server.requests.length, 1);
});

test("cancelling ends a file that is being unpacked", async () => {
  const { store, server, layer } = await setUp(["hang"]);
  const abort = new AbortController();
  const installing = store.install([FILE], { signal: abort.signal });
  setTimeout(() => abort.abort(), 5);
  await assert.rejects(installing, { code: "cancelled" });
  assert.deepEqual([layer.files.size, server.inFlight], [0, 0]);
});
