/** Weights on their way to the GPU: parts over several shards, residency within a budget, embedding rows from the store. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { linear } from "../../../src_js/engine/ops/linear.js";
import { loadStage } from "../../../src_js/engine/weights.js";
import { KleinbildError } from "../../../src_js/errors.js";
import { embedTokens } from "../../../src_js/pipeline/embedding.js";
import { Residency } from "../../../src_js/pipeline/residency.js";
import { openEngine } from "../support/gpu.js";
import { assertClose, matmul } from "../support/reference.js";
import { testRandom } from "../support/random.js";
import { execute, put } from "../support/tensors.js";

/** @typedef {import("../../../src_js/manifest.js").Manifest} Manifest */

const random = testRandom("residency.test.js");
const [N, K, SPLIT] = [10, 16, 6];
const SHARD_BYTES = 1024;
const values = Float32Array.from(random.normals(N * K));
const vectorValues = Float32Array.from(random.normals(5));

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
new Float32Array(/** @type {Uint8Array} */ (files["a"]).buffer).set(values.subarray(0, SPLIT * K));
new Float32Array(/** @type {Uint8Array} */ (files["b"]).buffer).set(values.subarray(SPLIT * K));
new Float32Array(/** @type {Uint8Array} */ (files["b"]).buffer, 512).set(vectorValues);
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

  test("a linear split over two shards multiplies as one", async () => {
    /** @type {number[]} */
    const progress = [];
    const stage = await loadStage(engine, manifest, "text_encoder", readShard, { onProgress: (f) => progress.push(f) });
    assert.deepEqual(progress, [0.5, 1]);
    const x = Float32Array.from(random.normals(3 * K));
    await execute(engine, (program) => {
      const out = put(program, null, 3, N);
      linear(program, put(program, x, 3, K), stage.get("w"), out);
      return out;
    }, (result) => assertClose(result, matmul(x, values, { m: 3, n: N, k: K }), { rms: 2e-6, dtype: "f32" }, "split linear"));
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

  test("memory that cannot be mapped is told as such", async () => {
    const device = Object.assign(Object.create(engine.device), {
      createBuffer: () => {
        throw new RangeError("createBuffer failed, size is too large for the implementation");
      },
    });
    const starved = Object.assign(Object.create(engine), { device, checkBufferSize: () => {} });
    await assert.rejects(loadStage(starved, manifest, "text_encoder", readShard), { code: "out-of-memory" });
  });

  test("stages stay while they fit the budget and make room when not", async () => {
    const roomy = new Residency(engine, manifest, readShard, 4 * SHARD_BYTES);
    const first = await roomy.stage("text_encoder", {});
    await roomy.stage("transformer", {});
    reads = [];
    assert.equal(await roomy.stage("text_encoder", {}), first);
    assert.deepEqual(reads, []);
    roomy.clear();

    const tight = new Residency(engine, manifest, readShard, 2 * SHARD_BYTES);
    const evicted = await tight.stage("text_encoder", {});
    await tight.stage("transformer", {});
    assert.notEqual(await tight.stage("text_encoder", {}), evicted);
    tight.clear();
  });
});

test("embedding rows are read once each, and an id without a row is refused", async () => {
  reads = [];
  const rows = await embedTokens(manifest, readShard, Int32Array.of(3, 0, 3, 7, 3));
  const row = (/** @type {number} */ id) => [1 + (2 * id) / 1024, 1 + (2 * id + 1) / 1024];
  assert.deepEqual([...rows], [row(3), row(0), row(3), row(7), row(3)].flat());
  assert.equal(reads.length, 3);
  await assert.rejects(embedTokens(manifest, readShard, Int32Array.of(8)), { code: "bad-manifest" });
});
