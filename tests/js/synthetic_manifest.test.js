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
  for (const { name, shards: own } of stages) {
    const limit = name === "embedding" ? 1024 * 1024 : SHARD_BYTES;
    for (const index of own.slice(0, -1)) {
      const next = tensors.flatMap(({ parts }) => parts).find(({ shard }) => shard === index + 1);
      const bytes = shards[index]?.bytes ?? 0;
      assert.ok(bytes <= limit, `shard ${index} is too large`);
      assert.ok(bytes + (next?.length ?? 0) > limit, `shard ${index} had room`);
    }
  }
});
