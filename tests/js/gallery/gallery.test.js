import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";

import { Gallery } from "../../../src_js/gallery/gallery.js";
import { encodePng } from "../../../src_js/image/png.js";
import { pictureText } from "../../../src_js/image/picture_text.js";
import { FakeStore } from "../support/fake_opfs.js";

const MADE = { model: "tiny", revision: "r", precision: "f32" };

/** @param {string} prompt @param {number} [seed] @returns {Promise<Uint8Array<ArrayBuffer>>} */
async function picture(prompt, seed = 1) {
  const settings = { prompt, width: 16, height: 32, seed: BigInt(seed), steps: 4, latents: null };
  const png = await encodePng({ width: 16, height: 32, rgba: new Uint8Array(16 * 32 * 4), ...pictureText(settings, MADE, {}) });
  return new Uint8Array(png);
}

/** A gallery in a tab of its own. @param {FakeStore} store @param {Partial<import("../../../src_js/gallery/gallery.js").Place>} [others] */
function tab(store, others = {}) {
  let told = 0;
  /** @type {Promise<unknown>} */
  let last = Promise.resolve();
  const place = {
    root: async () => /** @type {any} */ (store.root),
    makeThumbnail: async (/** @type {Blob} */ blob) => new Blob([`thumbnail of ${blob.size}`]),
    exclusively: (/** @type {() => Promise<any>} */ task) => (last = last.then(task, task)),
    alone: async () => true,
    tell: () => void (told += 1),
    ...others,
  };
  return { gallery: new Gallery(place), told: () => told };
}

/** @param {Gallery} gallery */
const prompts = (gallery) => gallery.entries.map(({ prompt }) => prompt);

async function three() {
  const store = new FakeStore();
  const { gallery, told } = tab(store);
  await gallery.open();
  for (const [i, prompt] of ["one", "two", "three"].entries()) await gallery.add(await picture(prompt, i), 1_000_000 + i);
  return { store, gallery, told };
}

test("pictures are kept, the newest first, and found again by the next visit", async () => {
  const { store, gallery, told } = await three();
  assert.deepEqual(prompts(gallery), ["three", "two", "one"]);
  assert.equal(told(), 3);
  const png = await picture("two", 1);
  const [, entry] = gallery.entries;
  assert.deepEqual({ ...entry, id: "" }, {
    id: "", width: 16, height: 32, prompt: "two", seed: "1", bytes: png.length, crc: crc32(png), thumbnailBytes: `thumbnail of ${png.length}`.length,
  });
  assert.deepEqual(new Uint8Array(await (await gallery.picture(entry?.id ?? ""))?.arrayBuffer() ?? new ArrayBuffer()), png);
  assert.equal(gallery.bytes, gallery.entries.reduce((sum, one) => sum + one.bytes + one.thumbnailBytes, 0));
  const again = tab(store).gallery;
  await again.open();
  assert.deepEqual(again.entries, gallery.entries);
});

test("a long queue does not write the index for every picture, and hardly any must be read when the page opens again", async () => {
  const store = new FakeStore();
  const { gallery } = tab(store);
  await gallery.open();
  const png = await picture("one");
  const indexes = new Set();
  for (let i = 0; i < 200; i++) {
    await gallery.add(png, 1_000_000 + i);
    indexes.add(store.file("gallery/index.json").bytes);
  }
  assert.ok(indexes.size < 100, `${indexes.size} times`);
  const { entries } = JSON.parse(await store.file("gallery/index.json").bytes.text());
  assert.ok(entries.length > 190, `${entries.length} in it`);
  const again = tab(store).gallery;
  await again.open();
  assert.equal(again.entries.length, 200);
});

test("the index spares reading the pictures", async () => {
  const { store } = await three();
  for (const path of store.paths()) if (path.includes("pictures")) store.file(path).bytes = new Blob(["unread"]);
  const { gallery } = tab(store);
  await gallery.open();
  assert.deepEqual(prompts(gallery), ["three", "two", "one"]);
});

for (const [name, index] of /** @type {[string, string | null][]} */ ([
  ["lost", null], ["cut", '{"schema":1,"entr'], ["of another version", '{"schema":2,"entries":[]}'], ["of other things", "null"],
  ["of wrong entries", '{"schema":1,"entries":[null,1,{},{"id":"../../x"},[]]}'],
])) {
  test(`nothing is lost with an index that is ${name}, and it is written again`, async () => {
    const { store, gallery } = await three();
    if (index === null) store.remove("gallery/index.json");
    else store.file("gallery/index.json").bytes = new Blob([index]);
    const again = tab(store).gallery;
    await again.open();
    assert.deepEqual(again.entries.map((one) => ({ ...one, crc: 0, thumbnailBytes: 0 })), gallery.entries.map((one) => ({ ...one, crc: 0, thumbnailBytes: 0 })));
    for (const path of store.paths()) if (path.includes("pictures")) store.file(path).bytes = new Blob(["unread"]);
    const third = tab(store).gallery;
    await third.open();
    assert.deepEqual(prompts(third), ["three", "two", "one"]);
  });
}

test("one wrong entry of the index costs the reading of one picture", async () => {
  const { store } = await three();
  const index = JSON.parse(await store.file("gallery/index.json").bytes.text());
  for (const [field, value] of Object.entries({ width: -1, prompt: 5, crc: "x", bytes: 1.5, thumbnailBytes: null, seed: "9".repeat(21), height: 1e9 })) {
    const entries = structuredClone(index.entries);
    entries[1][field] = value;
    store.file("gallery/index.json").bytes = new Blob([JSON.stringify({ ...index, entries })]);
    const { gallery } = tab(store);
    await gallery.open();
    assert.deepEqual(prompts(gallery), ["three", "two", "one"], field);
    assert.deepEqual([gallery.entries[1]?.width, gallery.entries[1]?.height], [16, 32]);
  }
});

test("a picture that cannot be read is listed, so that it can be deleted, and has no thumbnail", async () => {
  const { store, gallery } = await three();
  const [entry] = gallery.entries;
  const path = `gallery/pictures/${entry?.id}.png`;
  store.file(path).bytes = store.file(path).bytes.slice(0, 60);
  store.file("gallery/index.json").bytes = new Blob([]);
  const again = tab(store).gallery;
  await again.open();
  assert.deepEqual({ ...again.entries[0], id: "" }, { id: "", width: 0, height: 0, prompt: "", seed: "", bytes: 60, crc: null, thumbnailBytes: 0 });
  assert.equal(await again.thumbnail(entry?.id ?? ""), null);
  await again.remove([entry?.id ?? ""]);
  assert.deepEqual(prompts(again), ["two", "one"]);
});

test("files that are no pictures of the gallery are let be and not listed", async () => {
  const { store } = await three();
  const { folder } = store.file(store.paths().find((path) => path.includes("pictures")) ?? "");
  for (const name of ["x.png", "0000001000000-0000000g.png", ".png", "0000001000000-00000000.png.part", "0000001000000-00000000.png.crswap"]) {
    await folder.getFileHandle(name, { create: true });
  }
  const { gallery } = tab(store);
  await gallery.open();
  await gallery.tidied;
  assert.equal(gallery.entries.length, 3);
  assert.deepEqual(store.paths().filter((path) => /part|crswap/.test(path)), [], "what interrupted writes left goes");
  assert.ok(store.paths().includes("gallery/pictures/x.png"));
});

test("a picture deleted can be brought back until the next start", async () => {
  const { store, gallery } = await three();
  const [first, second] = gallery.entries.map(({ id }) => id);
  assert.deepEqual(await gallery.remove([first ?? "", second ?? "", "none"]), [first, second]);
  assert.deepEqual(prompts(gallery), ["one"]);
  assert.deepEqual(await gallery.restore([first ?? ""]), [first]);
  assert.deepEqual(prompts(gallery), ["three", "one"]);
  assert.ok(await gallery.thumbnail(first ?? ""));
  const beside = tab(store, { alone: async () => false }).gallery;
  await beside.open();
  assert.deepEqual(await gallery.restore([second ?? ""]), [second], "another tab's start leaves the bin alone");
  await gallery.remove([second ?? ""]);
  const next = tab(store).gallery;
  await next.open();
  await next.tidied;
  assert.deepEqual(await gallery.restore([second ?? ""]), []);
  assert.deepEqual(store.paths().filter((path) => path.includes(second ?? "?")), []);
});

test("where the store is full nothing is half kept, and what was there stays", async () => {
  const { store, gallery } = await three();
  const before = store.paths();
  store.capacity = store.used() + 20;
  await assert.rejects(picture("four").then((png) => gallery.add(png)), { name: "KleinbildError", code: "storage-full" });
  store.fullName = "AbortError";
  await assert.rejects(picture("four").then((png) => gallery.add(png)), { name: "KleinbildError", code: "storage-full" });
  assert.deepEqual(store.paths(), before);
  assert.deepEqual(prompts(gallery), ["three", "two", "one"]);
  const png = await picture("four");
  store.capacity = store.used() + png.length;                           // the picture fits, and nothing beside it
  await gallery.add(png);
  assert.deepEqual(prompts(gallery), ["four", "three", "two", "one"]);
  const again = tab(store).gallery;
  await again.open();
  assert.deepEqual(prompts(again), ["four", "three", "two", "one"]);
  assert.equal(await (await again.thumbnail(again.entries[0]?.id ?? ""))?.text(), `thumbnail of ${png.length}`);
});

test("thumbnails that are lost are made again", async () => {
  const { store, gallery } = await three();
  const [entry] = gallery.entries;
  store.remove(`gallery/thumbnails/${entry?.id}`);
  assert.ok(await gallery.thumbnail(entry?.id ?? ""));
  assert.ok(store.paths().includes(`gallery/thumbnails/${entry?.id}`));
});

test("where no thumbnail can be drawn the picture shows itself", async () => {
  const { store, gallery } = await three();
  const [entry] = gallery.entries;
  store.remove(`gallery/thumbnails/${entry?.id}`);
  const again = tab(store, { makeThumbnail: async () => null }).gallery;
  await again.open();
  assert.equal((await again.thumbnail(entry?.id ?? ""))?.size, entry?.bytes);
  assert.ok(!store.paths().includes(`gallery/thumbnails/${entry?.id}`));
});

test("a store that was cleared behind the gallery's back is told, and goes on working", async () => {
  const { store, gallery } = await three();
  const [entry] = gallery.entries;
  store.clear();
  assert.equal(await gallery.picture(entry?.id ?? ""), null);
  assert.equal(await gallery.thumbnail(entry?.id ?? ""), null);
  assert.equal(await gallery.refresh(), 3);
  assert.deepEqual(prompts(gallery), []);
  assert.equal(await gallery.refresh(), 0);
  await gallery.add(await picture("after"));
  assert.deepEqual(prompts(gallery), ["after"]);
  assert.ok(await gallery.picture(gallery.entries[0]?.id ?? ""));
});

test("two tabs see each other's changes", async () => {
  const { store, gallery } = await three();
  const other = tab(store, { alone: async () => false }).gallery;
  await other.open();
  await other.add(await picture("other"));
  await other.remove([gallery.entries[2]?.id ?? ""]);
  assert.equal(await gallery.refresh(), 0, "what the other deleted is in the bin, not lost");
  assert.deepEqual(prompts(gallery), ["other", "three", "two"]);
});

test("the checksum of a picture is computed where it is not known", async () => {
  const { store, gallery } = await three();
  store.file("gallery/index.json").bytes = new Blob([]);
  const again = tab(store).gallery;
  await again.open();
  for (const [i, { id }] of gallery.entries.entries()) {
    assert.equal(again.entries[i]?.crc, null);
    assert.equal(await again.crc(id), gallery.entries[i]?.crc);
    assert.equal(again.entries[i]?.crc, gallery.entries[i]?.crc);
  }
  assert.equal(await again.crc("0000000000000-00000000"), null);
});

test("all of it can be removed", async () => {
  const { store, gallery } = await three();
  await gallery.clear();
  assert.deepEqual([gallery.entries, store.paths()], [[], []]);
  await gallery.clear();
  await gallery.add(await picture("again"));
  assert.deepEqual(prompts(gallery), ["again"]);
});
