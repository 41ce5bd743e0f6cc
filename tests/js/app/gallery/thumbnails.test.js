import assert from "node:assert/strict";
import { test } from "node:test";

import { Thumbnails } from "../../../../src_js/app/gallery/thumbnails.js";

test("a few at a time, the last asked for first, none that is no longer wanted", async () => {
  /** @type {Map<string, (blob: Blob | null) => void>} */
  const loads = new Map();
  const thumbnails = new Thumbnails((id) => new Promise((resolve) => loads.set(id, resolve)));
  /** @type {string[]} */
  const shown = [];
  const ask = (/** @type {string} */ id, wanted = () => true) =>
    thumbnails.ask(id, { wanted, show: (url) => shown.push(`${id} ${url === null ? "none" : "shown"}`) });
  for (const id of ["a", "b", "c", "d", "e", "f", "g", "h"]) ask(id);
  ask("i", () => false);
  assert.deepEqual([...loads.keys()].join(""), "abcdef");
  loads.get("a")?.(new Blob(["a"]));
  loads.get("b")?.(null);
  await new Promise((resolve) => setTimeout(resolve, 1));
  assert.deepEqual([...loads.keys()].join(""), "abcdefhg");
  assert.deepEqual(shown, ["a shown", "b none"]);
  assert.match(thumbnails.known("a") ?? "", /^blob:/);
  assert.equal(thumbnails.known("b"), null);
  assert.equal(thumbnails.known("z"), undefined);
  thumbnails.forget("a");
  assert.equal(thumbnails.known("a"), undefined);
});

test("what failed once is asked for again", async () => {
  let failures = 1;
  const thumbnails = new Thumbnails(async (id) => {
    if (failures-- > 0) throw new DOMException("busy", "NotReadableError");
    return new Blob([id]);
  });
  const ask = () => new Promise((show) => thumbnails.ask("a", { wanted: () => true, show }));
  assert.equal(await ask(), null);
  assert.equal(thumbnails.known("a"), undefined);
  assert.match(/** @type {string} */ (await ask()), /^blob:/);
});

test("addresses are given back when there are too many", async () => {
  const thumbnails = new Thumbnails(async (id) => new Blob([id]));
  for (let i = 0; i < 500; i++) await new Promise((resolve) => thumbnails.ask(`${i}`, { wanted: () => true, show: resolve }));
  assert.equal(thumbnails.known("99"), undefined);
  assert.match(thumbnails.known("100") ?? "", /^blob:/);
});
