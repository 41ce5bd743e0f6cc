/** Models from and into folders: every file by its digest, hostile folders refused, an export that another device imports. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { Page, exportModel } from "../../../src_js/storage/export.js";
import { filesOfDirectory, filesOfList, modelsIn } from "../../../src_js/storage/folder.js";
import { importModels } from "../../../src_js/storage/import.js";
import { fileName } from "../../../src_js/storage/shard_store.js";
import { FakeDirectory, FakeSite, makeModel, openLibrary } from "./models.js";

const MODEL = makeModel("tiny-q4-a");
const OTHER = makeModel("other-q4-b", { name: "Other", changed: [0] });
const SUMS = "SHA256SUMS";
const encoder = new TextEncoder();
const PAGE = new Map(Object.entries({
  "/v/b/files.json": '["/", "/sw.js", "/v/b/css/a.css"]',
  "/": '<script id="kleinbild">{"manifest": "/models/default.json"}</script>',
  "/sw.js": 'const FILES = ["/", "/models/default.json"];',
  "/v/b/css/a.css": "p {}",
}));

/** @type {typeof fetch} */
const fetchPage = async (input) => {
  const text = PAGE.get(new URL(String(input)).pathname);
  return text === undefined ? new Response("", { status: 404 }) : new Response(text);
};
const page = new Page(new URL("http://localhost/v/b/"), fetchPage);

/** A folder as build.py writes it, packed where that pays. @param {import("./models.js").FakeModel[]} models */
async function siteFolder(models, prefix = "") {
  const folder = new FakeDirectory();
  for (const { manifest, text, files } of models) {
    await folder.put(`${prefix}models/${manifest.id}.json`, encoder.encode(text));
    for (const { file, sent } of files) await folder.put(prefix + file.path, sent);
  }
  await folder.put(`${prefix}models/index.json`, encoder.encode("{}"));
  await folder.put(`${prefix}index.html`, encoder.encode("x"));
  return folder;
}

/** @param {FakeDirectory} folder */
const found = (folder) => filesOfDirectory(folder.handle);

test("a site's folder is imported without a request, from whatever folder around it was chosen", async () => {
  for (const prefix of ["", "dist/", "stick/kleinbild/dist/"]) {
    const site = new FakeSite([]);
    const { library } = await openLibrary(site);
    const folder = await siteFolder([MODEL, OTHER], prefix);
    /** @type {number[]} */
    const seen = [];
    const results = await importModels(library, await found(folder), { onProgress: ({ bytes, totalBytes }) => seen.push(bytes / totalBytes) });
    assert.deepEqual(results.map(({ id, damaged, missing }) => [id, damaged, missing]).sort(), [["other-q4-b", [], 0], ["tiny-q4-a", [], 0]]);
    assert.equal(seen.at(-1), 1);
    assert.deepEqual(site.requests, []);
    assert.deepEqual(await library.verify("tiny-q4-a", {}), { files: MODEL.files.length, damaged: [], missing: 0 });
  }
});

test("a list of files serves where a browser gives no folders", async () => {
  const { library } = await openLibrary(new FakeSite([]));
  const tree = (await siteFolder([MODEL])).tree("stick/");
  const files = [...tree].map(([path, data]) => Object.defineProperty(new File([data], path), "webkitRelativePath", { value: path }));
  const [result] = await importModels(library, filesOfList(files), {});
  assert.deepEqual([result?.files, result?.missing], [MODEL.files.length, 0]);
});

test("wrong bytes count for nothing and are named; the rest comes from the site later", async () => {
  const site = new FakeSite([MODEL]);
  const { library, weights } = await openLibrary(site);
  const folder = await siteFolder([MODEL]);
  const [flipped, cut, gone, long] = MODEL.files.map(({ file }) => file.path);
  for (const [path, change] of /** @type {[string, (data: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>][]} */ ([
    [flipped, (data) => data.map((byte, i) => (i === 20 ? byte ^ 1 : byte))], [cut, (data) => data.slice(0, -1)],
    [long, (data) => new Uint8Array([...data, 0])],
  ])) await folder.put(path, change(/** @type {Uint8Array<ArrayBuffer>} */ (folder.tree().get(path))));
  const w = await folder.getDirectoryHandle("w");
  w.children.delete(String(gone).slice(2));
  const [result] = await importModels(library, await found(folder), {});
  assert.deepEqual(result?.damaged.sort(), [flipped, cut, long].sort());
  assert.equal(result?.missing, 4);
  assert.equal(weights.files.size, MODEL.files.length - 4);
  await library.install("tiny-q4-a", {});
  assert.deepEqual(site.asked.sort(), [flipped, cut, gone, long].sort());
});

test("hostile folders are refused or bounded", async () => {
  const { library, weights, records } = await openLibrary(new FakeSite([]));
  const nothing = new FakeDirectory();
  await nothing.put("holiday/pictures/w/a.bin", encoder.encode("x"));
  await assert.rejects(found(nothing).then((files) => importModels(library, files, {})), { code: "bad-input", message: /no model/ });
  for (const [text, name] of /** @type {[string, string][]} */ ([
    ["{", "x"], ["[]", "x"], [MODEL.text, "another-name"], [MODEL.text.replace('"w/', '"../w/'), "tiny-q4-a"],
    [JSON.stringify({ ...JSON.parse(MODEL.text), id: "../../x" }), "x"],
  ])) {
    const folder = new FakeDirectory();
    await folder.put(`models/${name}.json`, encoder.encode(text));
    await assert.rejects(found(folder).then((files) => importModels(library, files, {})), { code: "bad-manifest" }, name);
  }
  assert.deepEqual([weights.files.size, (await records.all()).length], [0, 0]);
  const deep = await siteFolder([MODEL], "1/2/3/4/5/6/");
  assert.deepEqual(modelsIn(await found(deep)), []);
  const crowd = new FakeDirectory();
  const w = await crowd.getDirectoryHandle("w", { create: true });
  for (let i = 0; i <= 50_000; i++) w.children.set(`${String(i).padStart(64, "0")}.bin`, /** @type {any} */ ({ kind: "file" }));
  await assert.rejects(found(crowd), { code: "bad-input", message: /more than 50000/ });
});

test("an import stops when asked, or when the device is full, and keeps what it has", async () => {
  const { library, weights } = await openLibrary(new FakeSite([]));
  const folder = await siteFolder([MODEL]);
  const abort = new AbortController();
  const stopping = importModels(library, await found(folder), { signal: abort.signal, onProgress: ({ files }) => files === 2 && abort.abort() });
  await assert.rejects(stopping, { code: "cancelled" });
  assert.equal(weights.files.size, 2);
  weights.capacity = 8000;
  await assert.rejects(importModels(library, await found(folder), {}), { code: "storage-full" });
  weights.capacity = Infinity;
  const [result] = await importModels(library, await found(folder), {});
  assert.deepEqual([result?.missing, weights.files.size], [0, MODEL.files.length]);
});

test("an export is a whole site with this model alone, and another device imports it", async () => {
  const { library } = await openLibrary(new FakeSite([OTHER, MODEL]));
  await library.install("tiny-q4-a", {});
  const stick = new FakeDirectory();
  const { folder } = await exportModel(library, "tiny-q4-a", stick.handle, { page });
  assert.equal(folder, "kleinbild-tiny-q4-a");
  const tree = (await stick.getDirectoryHandle(folder)).tree();
  const text = (/** @type {string} */ path) => new TextDecoder().decode(tree.get(path));
  for (const line of text(SUMS).trimEnd().split("\n")) {
    const [digest, path = ""] = line.split("  ");
    assert.equal(createHash("sha256").update(tree.get(path) ?? "").digest("hex"), digest, path);
  }
  assert.equal(text(SUMS).trimEnd().split("\n").length, tree.size - 1);
  assert.deepEqual([...tree.keys()].filter((path) => path.endsWith(".gz")), []);
  assert.match(text("index.html"), /"manifest": "\/models\/tiny-q4-a.json"/);
  assert.match(text("sw.js"), /"\/models\/tiny-q4-a.json"/);
  assert.equal(text("v/b/css/a.css"), "p {}");
  const elsewhere = await openLibrary(new FakeSite([]));
  const [result] = await importModels(elsewhere.library, await found(stick), {});
  assert.deepEqual([result?.id, result?.files, result?.damaged, result?.missing], ["tiny-q4-a", MODEL.files.length, [], 0]);
  assert.deepEqual([...elsewhere.weights.files.keys()].sort(), MODEL.files.map(({ file }) => fileName(file)).sort());
});

test("an export goes on where it stopped, spreads no damage, and needs the whole model", async () => {
  const { library, weights } = await openLibrary(new FakeSite([MODEL]));
  const stick = new FakeDirectory();
  const start = () => exportModel(library, "tiny-q4-a", stick.handle, { page });
  await assert.rejects(start(), { code: "incomplete", message: /not on this device/ });
  await library.install("tiny-q4-a", {});
  stick.room.left = 9000;
  await assert.rejects(start(), { code: "storage-full", message: /chosen folder/ });
  assert.ok(![...stick.tree().keys()].some((path) => path.endsWith(SUMS)));
  stick.room.left = Infinity;
  await start();
  const w = await (await stick.getDirectoryHandle("kleinbild-tiny-q4-a")).getDirectoryHandle("w");
  assert.ok([...w.children.values()].every((file) => !(file instanceof FakeDirectory) && file.written === 1));
  const name = fileName(/** @type {any} */ (MODEL.files[1]).file);
  weights.files.get(name)?.reverse();
  w.children.delete(name);
  await assert.rejects(start(), { code: "bad-shard", message: new RegExp(name) });
  weights.files.delete(name);
  await assert.rejects(start(), { code: "incomplete" });
});
