/** Our own count of what is stored. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesOf, countStorage } from "../../../../src_js/app/diagnosis/storage_count.js";

/** @typedef {{ [name: string]: number | Tree }} Tree a file's bytes (-1: it is gone when it is looked at), or a folder */

/** @param {Tree} tree @returns {any} */
function folder(tree) {
  return {
    kind: "directory",
    async* entries() {
      for (const [name, value] of Object.entries(tree)) {
        const file = { kind: "file", getFile: async () => (value === -1 ? Promise.reject(new Error("gone")) : { size: value }) };
        yield [name, typeof value === "number" ? file : folder(value)];
      }
    },
  };
}

test("files are counted by the folder that they serve, and what is not the store's own is counted, too", async () => {
  const kept = await countStorage(folder({
    kleinbild: { weights: { "a.bin": 100, "b.bin.part": 20 }, gallery: { "1": { "x.png": 5, "gone.png": -1 } }, stray: 7 }, other: { "z": 1 },
  }));
  assert.deepEqual(kept, [
    { name: "weights", files: 2, bytes: 120 }, { name: "", files: 2, bytes: 8 }, { name: "gallery", files: 2, bytes: 5 },
  ]);
  assert.equal(bytesOf(kept), 133);
  assert.deepEqual(await countStorage(folder({})), []);
});
