/**
 * What only some pictures need: embedding rows shard by shard, modulation from its table or from its weights. Whole pictures of a small
 * made-up model on a real device, from a store that lacks whatever was not fetched.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { KleinbildError } from "../../../src_js/errors.js";
import { stageShards } from "../../../src_js/manifest.js";
import { embeddingShards } from "../../../src_js/pipeline/embedding.js";
import { Generator } from "../../../src_js/pipeline/generator.js";
import { readTable, tableRows } from "../../../src_js/pipeline/modulation_table.js";
import { PromptCache } from "../../../src_js/pipeline/prompt_cache.js";
import { sigmas } from "../../../src_js/pipeline/scheduler.js";
import { timestepEmbedding } from "../../../src_js/pipeline/timestep.js";
import { syntheticManifest } from "../../../src_js/synthetic_manifest.js";
import { partLayout } from "../../../src_js/tensor_layout.js";
import { PRUNED_TOKENIZER, vocabularyOf } from "../support/qwen3_vocabulary.js";
import { openEngine } from "../support/gpu.js";
import { testRandom } from "../support/random.js";
import { at, silu } from "../support/reference.js";

/** @typedef {import("../../../src_js/manifest.js").Manifest} Manifest */
/** @typedef {import("../../../src_js/pipeline/generator.js").FetchShards} FetchShards */
/** @typedef {import("../../../src_js/pipeline/generator.js").Progress} Progress */

const random = testRandom("needed_shards.test.js");
const TEXT_TOKENS = 40;
const PAD_ID = 1956;
const SHARD_ROWS = 100;
const SETTINGS = { prompt: "a red fox", width: 32, height: 48, seed: 3n, steps: 2, latents: null };
const SIGMAS = sigmas(6, SETTINGS.steps).subarray(0, SETTINGS.steps);
/** @type {import("../../../src_js/manifest.js").ModelConfig} */
const config = JSON.parse(readFileSync(new URL("../../../src_js/bench/small.json", import.meta.url), "utf8"));
config.prompt.text_seq_len = TEXT_TOKENS;
const vocabulary = { ...vocabularyOf(PRUNED_TOKENIZER, PAD_ID), max_length: TEXT_TOKENS };
// one more than the picture needs, so that rows are chosen and not just copied
const manifest = inSmallShards(syntheticManifest(config, { format: "f32", tableSigmas: [0.99609375, ...SIGMAS].sort((a, b) => b - a) }));

/** @param {Manifest} of @returns {Manifest} with the embedding table in shards of SHARD_ROWS */
function inSmallShards(of) {
  const result = structuredClone(of);
  const table = result.tensors.find(({ kind }) => kind === "embedding");
  const stage = result.stages.find(({ name }) => name === "embedding");
  assert.ok(table && stage);
  const [rows = 0, columns = 0] = table.shape;
  table.parts = [];
  stage.shards = [];
  for (let start = 0; start < rows; start += SHARD_ROWS) {
    const count = Math.min(SHARD_ROWS, rows - start);
    const length = count * columns * 4;
    const bytes = Math.ceil(length / 256) * 256;
    const sha256 = `e${start}`;
    stage.shards.push(result.shards.length);
    table.parts.push({ shard: result.shards.length, row_start: start, row_count: count, offset: 0, length });
    result.shards.push({ path: `w/${sha256}.bin`, sha256, bytes, encoding: "", transfer_bytes: bytes });
  }
  return result;
}

const files = new Map(manifest.shards.map(({ sha256, bytes }) => (
  [sha256, new Uint8Array(Float32Array.from({ length: bytes / 4 }, () => 0.4 * random.next() - 0.2).buffer)])));
fillTable();

/** @param {string} name of a linear in f32 @param {ArrayLike<number>} x @returns {Float64Array} its product with x */
function product(name, x) {
  const tensor = manifest.tensors.find((one) => one.name === `${name}.weight`);
  const [part] = tensor?.parts ?? [];
  assert.ok(tensor && part && tensor.parts.length === 1);
  const { rowStride } = partLayout(tensor, part.row_count);
  const bytes = /** @type {Uint8Array} */ (files.get(manifest.shards[part.shard]?.sha256 ?? ""));
  const weights = new Float32Array(bytes.buffer, part.offset);
  return Float64Array.from({ length: part.row_count }, (_, n) => {
    let sum = 0;
    for (let k = 0; k < x.length; k++) sum += at(x, k) * at(weights, k * rowStride + n);
    return sum;
  });
}

/** Works out the table from the stage modulation, as the packager does. */
function fillTable() {
  const part = manifest.tensors.find(({ kind }) => kind === "table")?.parts[0];
  const bytes = /** @type {Uint8Array} */ (files.get(manifest.shards[part?.shard ?? -1]?.sha256 ?? ""));
  const rows = manifest.table_sigmas.map((sigma) => {
    const hidden = product("time_guidance_embed.timestep_embedder.linear_1", timestepEmbedding(sigma, config.transformer.timestep_channels));
    const embedded = product("time_guidance_embed.timestep_embedder.linear_2", hidden.map(silu)).map(silu);
    return ["double_stream_modulation_img.linear", "double_stream_modulation_txt.linear", "single_stream_modulation.linear", "norm_out.linear"]
      .flatMap((name) => [...product(name, embedded)]);
  });
  new Float32Array(bytes.buffer).set(rows.flat());
}

/** @param {number[]} ids */
const rowsOf = (ids) => embeddingShards(manifest, Int32Array.from(ids)).map(({ sha256 }) => sha256);
const modulationShards = stageShards(manifest, "modulation").map(({ sha256 }) => sha256);

test("embedding shards are those that hold the rows, each once", () => {
  assert.deepEqual(rowsOf([0, 99, 100, 5, 250, 100]), ["e0", "e100", "e200"]);
  assert.throws(() => rowsOf([1e7]), { code: "bad-manifest" });
});

test("the table serves a picture only when it knows all its sigmas, bit for bit", async () => {
  const next = Float32Array.of(at(SIGMAS, 1));
  new Uint32Array(next.buffer)[0] = (new Uint32Array(next.buffer)[0] ?? 0) + 1;
  assert.equal(tableRows(manifest, Float32Array.of(at(SIGMAS, 0), at(next, 0))), undefined);
  assert.equal(tableRows({ ...manifest, table_sigmas: [] }, SIGMAS), undefined);
  const rows = tableRows(manifest, SIGMAS);
  assert.deepEqual(rows?.map((row) => manifest.table_sigmas[row]), [...SIGMAS]);
  assert.deepEqual(tableRows(manifest, Float32Array.of(0.99609375)), [manifest.table_sigmas.indexOf(0.99609375)]);
  const table = manifest.tensors.find(({ kind }) => kind === "table");
  const split = structuredClone(manifest);
  const parts = split.tensors.find(({ kind }) => kind === "table");
  const columns = table?.shape[1] ?? 0;
  const shard = table?.parts[0]?.shard ?? -1;
  if (parts) {
    parts.parts = [
      { shard, row_start: 0, row_count: 1, offset: 0, length: columns * 4 },
      { shard, row_start: 1, row_count: 2, offset: columns * 4, length: columns * 8 },
    ];
  }
  const values = new Float32Array(/** @type {Uint8Array} */ (files.get(manifest.shards[shard]?.sha256 ?? "")).buffer);
  const read = await readTable(split, (sha256, offset, target) => {
    target.set(/** @type {Uint8Array} */ (files.get(sha256)).subarray(offset, offset + target.length));
  }, [2, 0, 1]);
  assert.deepEqual(read, Float32Array.from([2, 0, 1].flatMap((row) => [...values.subarray(row * columns, (row + 1) * columns)])));
});

describe("pictures from a part of the model", () => {
  /** @type {import("../../../src_js/engine/engine.js").Engine} */
  let engine;
  before(async () => {
    engine = await openEngine("f32");
  });
  after(() => engine.destroy());

  /** A generator whose store has the stages that every picture needs. @param {Manifest} [of] @param {PromptCache} [prompts] */
  function setUp(of = manifest, prompts) {
    const here = new Set(of.stages.filter(({ load }) => load === "start").flatMap(({ name }) => stageShards(of, name)).map(({ sha256 }) => sha256));
    /** @type {string[]} */
    const fetched = [];
    /** @type {Error[]} */
    const failures = [];
    /** @type {FetchShards} */
    const fetchShards = async (shards, { onProgress }) => {
      const missing = shards.filter(({ sha256 }) => !here.has(sha256));
      for (const [files, { sha256, bytes }] of missing.entries()) {
        onProgress?.({ bytes, totalBytes: bytes * missing.length, files, totalFiles: missing.length });
        await new Promise((resolve) => setTimeout(resolve, 2));
        const failure = failures.shift();
        if (failure) throw failure;
        here.add(sha256);
        fetched.push(sha256);
      }
    };
    const generator = new Generator({
      engine, manifest: of, vocabulary, fetchShards, ...(prompts && { prompts }),
      readShard: async (sha256, offset, target) => {
        assert.ok(here.has(sha256), `${sha256} is not here`);
        target.set(/** @type {Uint8Array} */ (files.get(sha256)).subarray(offset, offset + target.length));
      },
    });
    return { generator, fetched, failures, here };
  }

  /** @param {Generator} generator @param {Partial<typeof SETTINGS>} [settings] */
  async function draw(generator, settings) {
    /** @type {Map<string, Float32Array>} */
    const traced = new Map();
    const { rgba } = await generator.generate({ ...SETTINGS, ...settings }, {
      onTrace: (name, { data }) => traced.set(name, Float32Array.from(data)),
    });
    generator.residency.clear();
    return { rgba, traced };
  }

  test("read from the table or computed, the picture is the same within float32's rounding", async () => {
    const read = setUp();
    const computed = setUp({ ...manifest, table_sigmas: [] });
    const [one, other] = [await draw(read.generator), await draw(computed.generator)];
    for (const name of ["latents_0", "latents_1", "decoded"]) {
      const [a, b] = [one.traced.get(name) ?? [], other.traced.get(name) ?? []];
      const scale = Math.max(...Array.from(b, Math.abs));
      const error = Math.max(...Array.from(a, (value, i) => Math.abs(value - at(b, i)))) / scale;
      assert.ok(error < 1e-5, `${name}: ${error}`);
    }
    assert.ok(one.rgba.every((value, i) => Math.abs(value - at(other.rgba, i)) <= 1));
    assert.ok(modulationShards.every((shard) => !read.fetched.includes(shard)), "the table needs no modulation weights");
    assert.ok(modulationShards.every((shard) => computed.fetched.includes(shard)));
  });

  test("only a prompt's own rows are fetched, and only the first time", async () => {
    const { generator, fetched } = setUp();
    const { traced } = await draw(generator);
    const ids = [...new Set(traced.get("input_ids"))];
    assert.deepEqual(fetched, rowsOf([...(traced.get("input_ids") ?? [])]));
    assert.ok(ids.length > 5 && fetched.length < stageShards(manifest, "embedding").length);
    fetched.length = 0;
    await draw(generator, { seed: 4n });
    assert.deepEqual(fetched, []);
    const { traced: another } = await draw(generator, { prompt: "a blue house" });
    assert.ok(fetched.every((shard) => rowsOf([...(another.get("input_ids") ?? [])]).includes(shard)));
  });

  test("a size that the table does not know fetches the modulation's weights before anything is computed", async () => {
    const { generator, fetched } = setUp();
    /** @type {Progress[]} */
    const seen = [];
    await generator.generate({ ...SETTINGS, steps: 3 }, { onProgress: (progress) => seen.push(progress) });
    generator.residency.clear();
    assert.deepEqual(fetched.slice(-modulationShards.length), modulationShards);
    const stages = seen.map(({ stage }) => stage).filter((stage, i, all) => stage !== all[i - 1]);
    assert.equal(stages[0], "download");
    assert.equal(stages.lastIndexOf("download"), 0, `${stages}`);
    const fractions = seen.map(({ fraction }) => fraction);
    assert.deepEqual(fractions, [...fractions].sort((a, b) => a - b));
    assert.ok((fractions.at(-1) ?? 0) > 0.999);
    const [first] = seen;
    assert.ok(first && (first.totalBytes ?? 0) > 0 && first.steps > 0);
  });

  test("a prompt whose result is kept needs no rows", async () => {
    const prompts = new PromptCache(undefined);
    const { generator } = setUp(manifest, prompts);
    const first = await generator.generate(SETTINGS);
    generator.residency.clear();
    const without = setUp(manifest, prompts);
    const again = await without.generator.generate(SETTINGS);
    without.generator.residency.clear();
    assert.deepEqual([without.fetched, again.rgba], [[], first.rgba]);
  });

  test("what is neither here nor to be had is told in one line, and the next picture is as good as before", async () => {
    const { generator, failures } = setUp();
    failures.push(new KleinbildError("download-failed", "The server cannot be reached."));
    await assert.rejects(draw(generator), {
      code: "incomplete", message: "Not on this device yet: the rows of the model's word table that this prompt needs. The server cannot be reached.",
    });
    await draw(generator);
    failures.push(new KleinbildError("download-failed", "The server cannot be reached."));
    await assert.rejects(draw(generator, { steps: 3 }), { code: "incomplete", message: /this size and number of steps/ });
    failures.push(new KleinbildError("storage-full", "full"));
    await assert.rejects(draw(generator, { steps: 3 }), { code: "storage-full", message: "full" });
    await draw(generator);
    assert.equal(engine.memory.bytes, 0);
  });
});
