/** Models on a device: what is said of them, sharing, interruption, damage, removal, a new revision. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { keptNames } from "../../../src_js/storage/library.js";
import { fileName } from "../../../src_js/storage/shard_store.js";
import { FakeSite, makeModel, openLibrary } from "./models.js";

const FIRST = makeModel("tiny-q4-a");
/** Another model that differs in two shards. */
const SECOND = makeModel("other-q4-b", { name: "Other", changed: [0, 5] });
/** The first model's next revision: one shard is new. */
const LATER = makeModel("tiny-q4-c", { changed: [6] });

const names = (/** @type {import("./models.js").FakeModel} */ { files }) => files.map(({ file }) => fileName(file)).sort();
const bytes = (/** @type {import("./models.js").FakeModel} */ { files }) => files.reduce((sum, { file }) => sum + file.bytes, 0);

/** @param {import("../../../src_js/storage/library.js").ModelLibrary} library @param {string} id */
async function stateOf(library, id) {
  const { models } = await library.list();
  const state = models.find((model) => model.id === id);
  assert.ok(state, id);
  return state;
}

test("an offered model is told with what it takes, before and after it was installed", async () => {
  const { library } = await openLibrary(new FakeSite([FIRST, SECOND]));
  const before = await stateOf(library, "tiny-q4-a");
  const transfer = FIRST.files.reduce((sum, { file }) => sum + file.transfer_bytes, 0);
  assert.deepEqual([before.installed, before.default, before.hereBytes, before.missingBytes, before.verified], [false, true, 0, transfer, null]);
  const began = Date.now();
  await library.install("tiny-q4-a", {});
  const after = await stateOf(library, "tiny-q4-a");
  assert.deepEqual([after.installed, after.hereBytes, after.ownBytes, after.missingBytes, after.damaged], [true, bytes(FIRST), bytes(FIRST), 0, []]);
  assert.ok(after.verified !== null && after.verified >= began);
  const { store } = await library.list();
  assert.deepEqual([store.bytes, store.leftoverBytes, store.offline], [bytes(FIRST), 0, false]);
});

test("models share equal files: the second fetches its own only, and removing one leaves the other's", async () => {
  const site = new FakeSite([FIRST, SECOND]);
  const { library, weights } = await openLibrary(site);
  await library.install("tiny-q4-a", {});
  const own = names(SECOND).filter((name) => !names(FIRST).includes(name));
  assert.equal((await stateOf(library, "other-q4-b")).missingFiles, own.length);
  site.requests.length = 0;
  await library.install("other-q4-b", {});
  assert.deepEqual(site.asked.map((path) => fileName({ path })).sort(), own.sort());
  const shared = await stateOf(library, "other-q4-b");
  assert.ok(shared.ownBytes > 0 && shared.ownBytes < shared.hereBytes);
  await library.remove("other-q4-b");
  assert.deepEqual([...weights.files.keys()].sort(), names(FIRST));
  assert.deepEqual((await library.verify("tiny-q4-a", {})).damaged, []);
  await library.remove("tiny-q4-a");
  assert.equal(weights.files.size, 0);
  assert.equal((await stateOf(library, "tiny-q4-a")).installed, false);
});

test("a pause and an interruption are told apart after the page went away, and only what is missing is fetched", async () => {
  const site = new FakeSite([FIRST]);
  const device = await openLibrary(site);
  for (const [pause, expected] of /** @type {[boolean, boolean[]][]} */ ([[true, [true, false]], [false, [false, true]]])) {
    const abort = new AbortController();
    const hanging = FIRST.files.slice(3).map(({ file }) => file.path);
    for (const path of hanging) site.answers.set(path, ["hang"]);
    const installing = device.library.install("tiny-q4-a", {
      signal: abort.signal, paused: () => pause, onProgress: ({ files }) => files > 0 && abort.abort(),
    });
    await assert.rejects(installing, { code: "cancelled" });
    const again = await openLibrary(site, device);
    const state = await stateOf(again.library, "tiny-q4-a");
    assert.deepEqual([state.paused, state.interrupted], expected);
    assert.ok(state.hereBytes > 0 && state.missingFiles > 0);
    site.answers.clear();
    if (pause) {
      device.weights.files.clear();
      continue;
    }
    const here = [...device.weights.files.keys()];
    site.requests.length = 0;
    await again.library.install("tiny-q4-a", {});
    assert.deepEqual(site.asked.map((path) => fileName({ path })).filter((name) => here.includes(name)), []);
    assert.equal((await stateOf(again.library, "tiny-q4-a")).interrupted, false);
  }
});

test("verifying names what is damaged and sets it aside; one part or all are repaired", async () => {
  const site = new FakeSite([FIRST]);
  const { library, weights } = await openLibrary(site);
  await library.install("tiny-q4-a", {});
  const [one = "", two = "", three = ""] = names(FIRST);
  for (const name of [one, two]) weights.files.get(name)?.reverse();
  weights.files.set(three, (weights.files.get(three) ?? new Uint8Array()).slice(1));
  /** @type {number[]} */
  const seen = [];
  const result = await library.verify("tiny-q4-a", { onProgress: (progress) => seen.push(progress.bytes) });
  assert.deepEqual({ ...result, damaged: result.damaged.sort() }, { files: FIRST.files.length, damaged: [one, two, three], missing: 0 });
  assert.equal(seen.at(-1), bytes(FIRST));
  const state = await stateOf(library, "tiny-q4-a");
  assert.deepEqual([state.damaged.sort(), state.verified, state.missingFiles], [[one, two, three], null, 3]);
  assert.ok((await library.list()).store.leftoverBytes > 0);
  site.requests.length = 0;
  await library.repair("tiny-q4-a", [two], {});
  assert.deepEqual(site.asked.map((path) => fileName({ path })), [two]);
  assert.deepEqual((await stateOf(library, "tiny-q4-a")).damaged.sort(), [one, three]);
  await library.repair("tiny-q4-a", null, {});
  const mended = await stateOf(library, "tiny-q4-a");
  assert.deepEqual([mended.damaged, mended.missingFiles], [[], 0]);
  assert.ok(mended.verified !== null);
  assert.equal((await library.list()).store.leftoverBytes, 0);
});

test("a new revision is told as such, fetches what changed, and the old one works until it is removed", async () => {
  const site = new FakeSite([FIRST, SECOND]);
  const { library, weights } = await openLibrary(site);
  await library.install("tiny-q4-a", {});
  site.offer([LATER, SECOND]);
  const { models } = await library.list();
  assert.deepEqual(models.map(({ id, offered, replaces }) => [id, offered, replaces]), [
    ["tiny-q4-c", true, "tiny-q4-a"], ["other-q4-b", true, null], ["tiny-q4-a", false, null],
  ]);
  assert.equal((await stateOf(library, "tiny-q4-c")).missingFiles, 1);
  site.requests.length = 0;
  await library.install("tiny-q4-c", { replaces: "tiny-q4-a" });
  assert.equal(site.asked.length, 1);
  assert.ok(names(FIRST).every((name) => weights.files.has(name)), "the old one is whole");
  await library.remove("tiny-q4-a");
  assert.deepEqual([...weights.files.keys()].sort(), names(LATER));
});

test("a model works on without its site, and with a site that has moved on", async () => {
  const site = new FakeSite([FIRST]);
  const device = await openLibrary(site);
  await device.library.install("tiny-q4-a", {});
  site.files.clear();
  const { library } = await openLibrary(site, device);
  const { models, store } = await library.list();
  assert.deepEqual([models.length, models[0]?.id, models[0]?.missingFiles, store.offline], [1, "tiny-q4-a", 0, true]);
  assert.equal((await library.verify("tiny-q4-a", {})).missing, 0);
  await assert.rejects(library.install("other-q4-b", {}), { code: "download-failed" });
});

test("storage that was cleared under the page is told, and filled again", async () => {
  const site = new FakeSite([FIRST]);
  const { library, weights, notes } = await openLibrary(site);
  await library.install("tiny-q4-a", {});
  weights.files.clear();
  assert.equal((await stateOf(library, "tiny-q4-a")).hereBytes, 0);
  await library.install("tiny-q4-a", {});
  assert.deepEqual([...weights.files.keys()].sort(), names(FIRST));
  weights.files.clear();
  notes.files.clear();
  assert.equal((await stateOf(library, "tiny-q4-a")).installed, false);
  await library.install("tiny-q4-a", {});
  assert.deepEqual([...weights.files.keys()].sort(), names(FIRST));
});

test("a full device keeps every installed model, says so, and goes on once there is room", async () => {
  const site = new FakeSite([FIRST, SECOND]);
  const { library, weights } = await openLibrary(site);
  await library.install("tiny-q4-a", {});
  weights.files.set("leftover.bin", new Uint8Array(1000));
  weights.capacity = bytes(FIRST) + 1000;
  await assert.rejects(library.install("other-q4-b", {}), { code: "storage-full" });
  assert.equal((await library.verify("tiny-q4-a", {})).missing, 0);
  assert.ok(!weights.files.has("leftover.bin"), "what nobody needs made room");
  weights.capacity = Infinity;
  await library.install("other-q4-b", {});
  assert.equal((await stateOf(library, "other-q4-b")).missingFiles, 0);
});

test("leftovers are counted and removed on request", async () => {
  const { library, weights } = await openLibrary(new FakeSite([FIRST]));
  await library.install("tiny-q4-a", {});
  weights.files.set("0".repeat(64) + ".bin", new Uint8Array(77));
  assert.equal((await library.list()).store.leftoverBytes, 77);
  await library.clean();
  assert.deepEqual([...weights.files.keys()].sort(), names(FIRST));
});

test("a record that is damaged, foreign or of another model is none", async () => {
  const site = new FakeSite([FIRST]);
  const { library, notes, records } = await openLibrary(site);
  await library.install("tiny-q4-a", {});
  const file = "tiny-q4-a.json";
  const sound = new TextDecoder().decode(notes.files.get(file));
  for (const text of ["", "{", "null", sound.slice(0, -2), sound.replace('"schema":1', '"schema":2'), sound.replace("rope_theta", "rope_thetb"),
    sound.replace('"begun":', '"begun":-')]) {
    notes.files.set(file, new TextEncoder().encode(text));
    assert.equal(await records.get("tiny-q4-a"), undefined, text.slice(0, 20));
    assert.deepEqual(await keptNames(records), []);
  }
  notes.files.set("other.json", new TextEncoder().encode(sound));
  assert.equal(await records.get("other"), undefined);
  notes.files.set(file, new TextEncoder().encode(sound));
  assert.equal((await records.get("tiny-q4-a"))?.pinned, true);
});

test("an index that is damaged is refused by its field", async () => {
  const site = new FakeSite([FIRST]);
  const { library } = await openLibrary(site);
  const index = JSON.parse(new TextDecoder().decode(site.files.get("models/index.json")));
  for (const [change, message] of /** @type {[(i: any) => void, RegExp][]} */ ([
    [(i) => (i.models[0].manifest = "/models/../x.json"), /manifest/],
    [(i) => (i.models[0].manifest = "/models/other.json"), /not the path/],
    [(i) => (i.models[0].default = false), /not exactly one/],
    [(i) => i.models.push(i.models[0]), /listed twice/],
    [(i) => (i.models[0].bytes = 1e20), /bytes/],
    [(i) => (i.models = []), /expected 1 to 64/],
  ])) {
    const value = structuredClone(index);
    change(value);
    site.files.set("models/index.json", new TextEncoder().encode(JSON.stringify(value)));
    await assert.rejects(library.site.index(), { code: "bad-manifest", message });
    assert.equal((await library.list()).store.offline, true);
  }
});
