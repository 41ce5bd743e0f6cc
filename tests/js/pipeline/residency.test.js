/** Weights on their way to the GPU: progress, residency within a budget, embedding rows from the store. What lies where: weights.test.js. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { loadStage } from "../../../src_js/engine/weights.js";
import { KleinbildError } from "../../../src_js/errors.js";
import { embedTokens } from "../../../src_js/pipeline/embedding.js";
import { Residency, evictions } from "../../../src_js/pipeline/residency.js";
import { openEngine } from "../support/gpu.js";
import { testRandom } from "../support/random.js";

/** @typedef {import("../../../src_js/manifest.js").Manifest} Manifest */

const random = testRandom("residency.test.js");
const [N, K, SPLIT] = [10, 16, 6];
const SHARD_BYTES = 1024;

/** Three stages of one shard or two: W [10, 16] split after row 6, a vector behind its second part, an embedding table. */
const shards = ["a", "b", "c", "d"].map((sha256) => ({ path: `w/${sha256}.bin`, sha256, bytes: SHARD_BYTES }));
const part = (/** @type {number} */ shard, /** @type {number} */ row_start, /** @type {number} */ row_count, offset = 0, length = row_count * K * 4) =>
  ({ shard, row_start, row_count, offset, length });
const dense = { format: /** @type {const} */ ("f32"), block_size: 0, zero_points: false };
const manifest = /** @type {Manifest} */ (/** @type {unknown} */ ({
  stages: [
    { name: "text_encoder", shards: [0, 1] }, { name: "embedding", shards: [2] },
    { name: "transformer", shards: [3] }, { name: "vae_decoder", shards: [3] },
  ],
  tensors: [
    { name: "w", stage: "text_encoder", kind: "linear", shape: [N, K], ...dense, parts: [part(0, 0, SPLIT), part(1, SPLIT, N - SPLIT)] },
    { name: "v", stage: "text_encoder", kind: "vector", shape: [5], ...dense, parts: [part(1, 0, 5, 512, 20)] },
    { name: "e", stage: "embedding", kind: "embedding", shape: [8, 2], ...dense, format: "f16", parts: [part(2, 0, 8, 256, 32)] },
  ],
  shards,
}));

/** @type {Record<string, Uint8Array>} */
const files = Object.fromEntries(shards.map(({ sha256 }) => [sha256, new Uint8Array(SHARD_BYTES)]));
new Uint16Array(/** @type {Uint8Array} */ (files["c"]).buffer, 256).set(Array.from({ length: 16 }, (_, i) => 0x3c00 + i));

/** @type {string[]} */
let reads = [];
/** @type {import("../../../src_js/engine/weights.js").ReadShard} */
const readShard = (sha256, offset, target) => {
  reads.push(sha256);
  target.set(/** @type {Uint8Array} */ (files[sha256]).subarray(offset, offset + target.length));
};

describe("weights on the GPU", () => {
  /** @type {import("../../../src_js/engine/engine.js").Engine} */
  let engine;
  before(async () => {
    engine = await openEngine("f32");
  });
  after(() => engine.destroy());

  test("a stage tells how far it is, and what it holds", async () => {
    /** @type {number[]} */
    const progress = [];
    const stage = await loadStage(engine, manifest, "text_encoder", readShard, { onProgress: ({ bytes, totalBytes }) => progress.push(bytes / totalBytes) });
    assert.deepEqual(progress, [0.5, 1]);
    assert.deepEqual(stage.get("w").parts.map(({ rowStart, rowCount }) => [rowStart, rowCount]), [[0, SPLIT], [SPLIT, N - SPLIT]]);
    assert.deepEqual([stage.vector("v").offset, stage.has("x")], [512, false]);
    assert.throws(() => stage.get("x"), /not in the manifest/);
    stage.destroy();
  });

  test("a failed or cancelled read leaves no buffer behind and is told", async () => {
    const fail = () => {
      throw new KleinbildError("bad-shard", "short");
    };
    await assert.rejects(loadStage(engine, manifest, "text_encoder", fail), /short/);
    const signal = AbortSignal.abort();
    await assert.rejects(loadStage(engine, manifest, "text_encoder", readShard, { signal }), { code: "cancelled" });
  });

  test("stages stay while they fit the budget beside the work of the running one", async () => {
    const before = engine.memory.bytes;
    const residency = new Residency(engine, manifest, readShard, 4 * SHARD_BYTES);
    const encoder = residency.stage("text_encoder", SHARD_BYTES);
    const transformer = residency.stage("transformer", SHARD_BYTES);
    await Promise.all([encoder.loaded, transformer.loaded]);
    assert.equal(engine.memory.bytes, before + 3 * SHARD_BYTES);
    reads = [];
    assert.equal(residency.stage("text_encoder", SHARD_BYTES), encoder, "3 shards and the work of one: it fits");
    assert.deepEqual(reads, []);

    assert.equal(residency.stage("transformer", SHARD_BYTES + 1), transformer, "of the others, what is in the way goes");
    assert.equal(engine.memory.bytes, before + SHARD_BYTES);
    const again = residency.stage("text_encoder", 0);
    await again.loaded;
    assert.notEqual(again, encoder);
    residency.clear();
    assert.equal(engine.memory.bytes, before);
  });

  test("a stage is loaded ahead only beside all that is there and the work of the running one", async () => {
    const before = engine.memory.bytes;
    const residency = new Residency(engine, manifest, readShard, 4 * SHARD_BYTES);
    await residency.stage("text_encoder", SHARD_BYTES).loaded;
    reads = [];
    residency.ahead("transformer", SHARD_BYTES + 1);
    await residency.settled();
    assert.deepEqual(reads, []);
    residency.ahead("transformer", SHARD_BYTES);
    residency.ahead("transformer", SHARD_BYTES);
    await residency.settled();
    assert.deepEqual(reads, ["d"]);
    await residency.stage("transformer", SHARD_BYTES).loaded;
    assert.deepEqual(reads, ["d"]);
    residency.clear();
    assert.equal(engine.memory.bytes, before);
  });

  test("stages that run together do not make room for each other, others do", async () => {
    const residency = new Residency(engine, manifest, readShard, 4 * SHARD_BYTES);
    await residency.stage("vae_decoder", 0).loaded;
    await residency.stage("text_encoder", 0).loaded;
    reads = [];
    await residency.stage("transformer", 2 * SHARD_BYTES, {}, ["vae_decoder"]).loaded;
    assert.deepEqual(reads, ["d"], "the text encoder went, though the decoder costs less");
    await residency.stage("vae_decoder", 2 * SHARD_BYTES, {}, ["transformer"]).loaded;
    await residency.stage("transformer", 2 * SHARD_BYTES, {}, ["vae_decoder"]).loaded;
    assert.deepEqual(reads, ["d"]);
    residency.clear();
  });

  test("a stage cancelled while it was loaded ahead is gone once settled, and the next picture loads it", async () => {
    const before = engine.memory.bytes;
    const abort = new AbortController();
    const residency = new Residency(engine, manifest, (...of) => {
      abort.abort();
      return readShard(...of);
    }, 4 * SHARD_BYTES);
    residency.ahead("text_encoder", 0, { signal: abort.signal });
    await residency.settled();
    assert.equal(engine.memory.bytes, before);
    await residency.stage("text_encoder", 0).loaded;
    assert.equal(engine.memory.bytes, before + 2 * SHARD_BYTES);
    residency.clear();
  });

  test("a stage that failed to load is loaded afresh", async () => {
    let broken = true;
    const residency = new Residency(engine, manifest, (...of) => {
      if (broken) throw new KleinbildError("bad-shard", "short");
      return readShard(...of);
    });
    await assert.rejects(residency.stage("transformer", 0).loaded, /short/);
    broken = false;
    await residency.stage("transformer", 0).loaded;
    residency.clear();
  });
});

test("room is made by what costs least to load again", () => {
  for (let round = 0; round < 200; round++) {
    const loaded = Array.from({ length: random.integer(4) }, (_, stage) => ({ stage, bytes: 1 + random.integer(20) }));
    const room = random.integer(45) - 5;
    const bytes = (/** @type {number[]} */ stages) => stages.reduce((sum, stage) => sum + (loaded[stage]?.bytes ?? NaN), 0);
    const all = bytes(loaded.map(({ stage }) => stage));
    const gone = evictions(loaded, room);
    assert.ok(all - bytes(gone) <= Math.max(room, 0), "the rest fits");
    const single = loaded.filter((stage) => all - stage.bytes <= room).map((stage) => stage.bytes);
    if (all <= room) assert.deepEqual(gone, []);
    else if (single.length > 0) assert.ok(bytes(gone) <= Math.min(...single), "no single stage would have done for less");
  }
  assert.deepEqual(evictions([{ stage: "a", bytes: 5 }, { stage: "b", bytes: 3 }, { stage: "c", bytes: 9 }], 9), ["a", "b"]);
});

test("embedding rows are read once each, and an id without a row is refused", async () => {
  reads = [];
  const rows = await embedTokens(manifest, readShard, Int32Array.of(3, 0, 3, 7, 3));
  const row = (/** @type {number} */ id) => [1 + (2 * id) / 1024, 1 + (2 * id + 1) / 1024];
  assert.deepEqual([...rows], [row(3), row(0), row(3), row(7), row(3)].flat());
  assert.equal(reads.length, 3);
  await assert.rejects(embedTokens(manifest, readShard, Int32Array.of(8)), { code: "bad-manifest" });
});
