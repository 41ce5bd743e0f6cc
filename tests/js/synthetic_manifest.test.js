/**
 * A made-up model's manifest: whatever validates a packaged model accepts it, for the true shapes and for odd ones.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { SHARD_BYTES, parseManifest } from "../../src_js/manifest.js";
import { syntheticManifest } from "../../src_js/synthetic_manifest.js";

/** @param {string} name */
const config = (name) => JSON.parse(readFileSync(new URL(`../../src_js/bench/${name}.json`, import.meta.url), "utf8"));

for (const name of ["klein4b", "small"]) {
  for (const options of [
    { tableSigmas: [1, 0.5, 0.25] },
    { blockSize: 16, zeroPoints: true }, { blockSize: 32 }, { blockSize: 128 },
    { format: /** @type {const} */ ("f16") }, { format: /** @type {const} */ ("f32") },
  ]) {
    test(`the manifest of ${name} as ${JSON.stringify(options)} is a valid one`, () => {
      const manifest = syntheticManifest(config(name), options);
      assert.deepEqual(parseManifest(JSON.parse(JSON.stringify(manifest))), manifest);
    });
  }
}

test("shards are filled up before another is begun", () => {
  const { shards, stages, tensors } = syntheticManifest(config("klein4b"));
  for (const { shards: own } of stages) {
    for (const index of own.slice(0, -1)) {
      const next = tensors.flatMap(({ parts }) => parts).find(({ shard }) => shard === index + 1);
      assert.ok((shards[index]?.bytes ?? 0) + (next?.length ?? 0) > SHARD_BYTES, `shard ${index} had room`);
    }
  }
});
