/**
 * Whole pictures of a small made-up model on a real device: a repeated prompt skips the text encoder and changes no pixel, a trace
 * shows what is computed, and a cancel in any phase leaves no memory taken and a generator as good as before.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { Generator } from "../../../src_js/pipeline/generator.js";
import { PromptCache } from "../../../src_js/pipeline/prompt_cache.js";
import { BlobCache } from "../../../src_js/storage/blob_cache.js";
import { MemoryLayer } from "../../../src_js/storage/memory.js";
import { syntheticManifest } from "../../../src_js/synthetic_manifest.js";
import { PRUNED_TOKENIZER, vocabularyOf } from "../support/qwen3_vocabulary.js";
import { openEngine } from "../support/gpu.js";
import { testRandom } from "../support/random.js";

/** @typedef {import("../../../src_js/pipeline/generator.js").Observer} Observer */

const random = testRandom("repeated_prompt.test.js");
const TEXT_TOKENS = 40;
const PAD_ID = 1956;
/** @type {import("../../../src_js/manifest.js").ModelConfig} */
const config = JSON.parse(readFileSync(new URL("../../../src_js/bench/small.json", import.meta.url), "utf8"));
config.prompt.text_seq_len = TEXT_TOKENS;
const manifest = syntheticManifest(config, { format: "f32" });
const vocabulary = { ...vocabularyOf(PRUNED_TOKENIZER, PAD_ID), max_length: TEXT_TOKENS };
const SETTINGS = { prompt: "a red fox", width: 32, height: 48, seed: 3n, steps: 2, latents: null };

const files = new Map(manifest.shards.map(({ sha256, bytes }) => (
  [sha256, new Uint8Array(Float32Array.from({ length: bytes / 4 }, () => 0.4 * random.next() - 0.2).buffer)])));
const shardsOf = (/** @type {string} */ name) => (
  manifest.stages.find((stage) => stage.name === name)?.shards.map((i) => manifest.shards[i]?.sha256) ?? []);
/** @type {string[]} */
let reads = [];
/** @type {import("../../../src_js/engine/weights.js").ReadShard} */
const readShard = async (sha256, offset, target) => {
  reads.push(sha256);
  target.set(/** @type {Uint8Array} */ (files.get(sha256)).subarray(offset, offset + target.length));
};
const encoderRead = () => reads.some((sha256) => shardsOf("text_encoder").includes(sha256));

describe("repeated prompts", () => {
  /** @type {import("../../../src_js/engine/engine.js").Engine} */
  let engine;
  before(async () => {
    engine = await openEngine("f32");
  });
  after(() => engine.destroy());

  /** @param {PromptCache} [prompts] */
  const openGenerator = (prompts) => new Generator({ engine, manifest, vocabulary, readShard, ...(prompts && { prompts }), platform: "test" });

  /** @param {Generator} generator @param {Partial<typeof SETTINGS>} [settings] @param {Observer} [observer] */
  const draw = async (generator, settings, observer = {}) => {
    /** @type {Set<string>} */
    const stages = new Set();
    let fraction = 0;
    reads = [];
    const { rgba } = await generator.generate({ ...SETTINGS, ...settings }, {
      ...observer,
      onProgress: (progress) => {
        assert.ok(progress.fraction >= fraction && progress.fraction <= 1);
        fraction = progress.fraction;
        stages.add(progress.stage);
        observer.onProgress?.(progress);
      },
    });
    assert.ok(fraction > 0.999);
    return { rgba, encoded: stages.has("text_encoder") };
  };

  test("the picture is the same, and the text encoder neither runs nor is read", async () => {
    const blobs = await BlobCache.open(new MemoryLayer(), 2 ** 24);
    const generator = openGenerator(new PromptCache(blobs));
    const first = await draw(generator);
    assert.ok(first.encoded && encoderRead());
    const other = await draw(generator, { prompt: "a blue fox" });
    assert.ok(other.encoded);
    assert.notDeepEqual(other.rgba, first.rgba);
    assert.deepEqual(await draw(generator), { rgba: first.rgba, encoded: false });
    const bigger = await draw(generator, { width: 48, seed: 4n });
    assert.equal(bigger.encoded, false, "size and seed do not concern the prompt");
    generator.residency.clear();

    const reopened = openGenerator(new PromptCache(blobs));
    assert.deepEqual(await draw(reopened), { rgba: first.rgba, encoded: false });
    assert.ok(!encoderRead());
    reopened.residency.clear();
    const without = openGenerator();
    assert.deepEqual(await draw(without), { rgba: first.rgba, encoded: true });
    without.residency.clear();
    assert.equal(engine.memory.bytes, 0);
  });

  test("a trace computes every boundary, those that are kept too, and they are equal", async () => {
    const prompts = new PromptCache(undefined);
    const generator = openGenerator(prompts);
    /** @type {Map<string, ArrayLike<number>>} */
    const traced = new Map();
    const { rgba } = await draw(generator);
    const shown = await draw(generator, {}, { onTrace: (name, { data }) => traced.set(name, data.slice()) });
    assert.deepEqual(shown, { rgba, encoded: true });
    assert.deepEqual([...traced.keys()], [
      "input_ids", "attention_mask", "prompt_embeds", "sigmas", "latents_0", "latents_1", "decoded", "image",
    ]);
    const find = prompts.find.bind(prompts);
    /** @type {Float32Array | undefined} */
    let kept;
    prompts.find = async (...of) => {
      const found = await find(...of);
      kept = found.values;
      return found;
    };
    await draw(generator);
    assert.deepEqual(kept, traced.get("prompt_embeds"));
    generator.residency.clear();
  });

  test("a cancel in any phase gives the memory back, and the next picture is right", async () => {
    const generator = openGenerator();
    const { rgba } = await draw(generator);
    for (const phase of ["loading", "text_encoder", "transformer", "vae_decoder"]) {
      generator.residency.clear();
      const abort = new AbortController();
      const onProgress = (/** @type {{stage: string}} */ { stage }) => {
        if (stage === phase) abort.abort();
      };
      await assert.rejects(draw(generator, {}, { signal: abort.signal, onProgress }), { code: "cancelled" }, phase);
      generator.residency.clear();
      assert.equal(engine.memory.bytes, 0, phase);
    }
    assert.deepEqual((await draw(generator)).rgba, rgba);
    generator.residency.clear();
  });
});
