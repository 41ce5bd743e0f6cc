/**
 * Whole pictures of a small made-up model on a real device, with previews and going on from a kept step: what is shown is the estimate
 * of the clean picture, and neither changes a bit of the picture itself.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { Generator } from "../../../src_js/pipeline/generator.js";
import { packLatents } from "../../../src_js/pipeline/latents.js";
import { torchRandn } from "../../../src_js/pipeline/noise.js";
import { sigmas } from "../../../src_js/pipeline/scheduler.js";
import { syntheticManifest } from "../../../src_js/synthetic_manifest.js";
import { PRUNED_TOKENIZER, vocabularyOf } from "../support/qwen3_vocabulary.js";
import { openEngine } from "../support/gpu.js";
import { testRandom } from "../support/random.js";

/** @typedef {import("../../../src_js/pipeline/generator.js").FinishedStep} FinishedStep */
/** @typedef {import("../../../src_js/pipeline/generator.js").Preview} Preview */

const random = testRandom("previews.test.js");
const TEXT_TOKENS = 40;
const PAD_ID = 1956;
const STEPS = 3;
/** @type {import("../../../src_js/manifest.js").ModelConfig} */
const config = JSON.parse(readFileSync(new URL("../../../src_js/bench/small.json", import.meta.url), "utf8"));
config.prompt.text_seq_len = TEXT_TOKENS;
// a transformer that is much dearer than the decoder, as the real one is: only then do previews cost next to nothing
Object.assign(config.transformer, { hidden_size: 384, num_attention_heads: 12, mlp_hidden_size: 1152, num_single_layers: 1 });
Object.assign(config.vae_decoder, { block_out_channels: [8, 8, 8, 8], norm_num_groups: 4 });
const manifest = syntheticManifest(config, { format: "f32" });
const vocabulary = { ...vocabularyOf(PRUNED_TOKENIZER, PAD_ID), max_length: TEXT_TOKENS };
const SETTINGS = { prompt: "a red fox", width: 32, height: 16, seed: 3n, steps: STEPS, latents: null };

const files = new Map(manifest.shards.map(({ sha256, bytes }) => (
  [sha256, new Uint8Array(Float32Array.from({ length: bytes / 4 }, () => 0.2 * random.next() - 0.1).buffer)])));
/** @type {import("../../../src_js/engine/weights.js").ReadShard} */
const readShard = async (sha256, offset, target) => {
  target.set(/** @type {Uint8Array} */ (files.get(sha256)).subarray(offset, offset + target.length));
};

for (const precision of /** @type {const} */ (["f32", "f16"])) {
  describe(`previews, precision ${precision}`, () => {
    /** @type {import("../../../src_js/engine/engine.js").Engine} */
    let engine;
    /** @type {Generator} */
    let generator;
    /** @type {Uint8ClampedArray} without previews */
    let plain;
    /** @type {FinishedStep[]} */
    const steps = [];
    /** @type {Preview[]} */
    const previews = [];
    before(async () => {
      engine = await openEngine(precision);
      generator = new Generator({ engine, manifest, vocabulary, readShard });
      plain = (await generator.generate(SETTINGS, { onStep: (step) => steps.push(step) })).rgba;
    });
    after(() => engine.destroy());

    test("the picture is the same bit for bit with previews and without, one comes after each step but the last, in order", async () => {
      let fraction = 0;
      const { rgba } = await generator.generate(SETTINGS, {
        onPreview: (preview) => previews.push(preview),
        onProgress: (progress) => {
          assert.ok(progress.fraction >= fraction && progress.fraction <= 1);
          fraction = progress.fraction;
        },
      });
      assert.deepEqual(rgba, plain);
      assert.ok(fraction > 0.999);
      assert.deepEqual(previews.map(({ step, width, height }) => [step, width, height]), [[1, 32, 16], [2, 32, 16]]);
      assert.ok(new Set(previews.map(({ rgba: pixels }) => pixels.join())).size === previews.length, "each is another one");
    });

    test("a preview is the decoded estimate of the clean latents", async () => {
      const { rows, columns } = { rows: 1, columns: 2 };
      const { in_channels: channels } = config.transformer;
      const schedule = sigmas(rows * columns, STEPS);
      let old = packLatents(torchRandn(SETTINGS.seed, channels * rows * columns), channels, rows, columns);
      for (const { step, rgba: shown } of previews) {
        const { latents } = /** @type {FinishedStep} */ (steps[step - 1]);
        const [sigma = NaN, next = NaN] = schedule.subarray(step - 1, step + 1);
        const clean = latents.map((value, i) => value - next * ((value - (old[i] ?? NaN)) / (next - sigma)));
        const { rgba: expected } = await generator.generate(SETTINGS, { from: { step: STEPS, latents: clean } });
        const distance = Math.max(...expected.map((level, i) => Math.abs(level - (shown[i] ?? NaN))));
        assert.ok(distance <= 1, `after step ${step}: ${distance} levels`);
        old = latents;
      }
      assert.equal(previews.length, STEPS - 1);
    });

    test("the latents of every step are told, and from each of them the picture goes on to the same bits", async () => {
      assert.deepEqual(steps.map(({ step }) => step), [1, 2, 3]);
      for (const from of [1, 3].map((step) => /** @type {FinishedStep} */ (steps[step - 1]))) {
        /** @type {number[]} */
        const told = [];
        const { rgba } = await generator.generate(SETTINGS, { from, onStep: ({ step }) => told.push(step) });
        assert.deepEqual(rgba, plain, `from step ${from.step}`);
        assert.deepEqual(told, [2, 3].filter((step) => step > from.step));
      }
    });

    if (precision === "f16") return;                       // what follows does not depend on it

    test("a cancel in the middle of the steps is followed by no preview, and takes no memory", async () => {
      generator.residency.clear();
      const abort = new AbortController();
      let [ended, late] = [false, 0];
      const onPreview = () => {
        abort.abort();
        if (ended) late++;
      };
      await assert.rejects(generator.generate(SETTINGS, { signal: abort.signal, onPreview, onStep: onPreview }), { code: "cancelled" });
      ended = true;
      await engine.device.queue.onSubmittedWorkDone();
      await new Promise((resolve) => setTimeout(resolve, 20));
      generator.residency.clear();
      const { bytes, buffers, bindGroups, reads } = engine.usage();
      assert.deepEqual([late, bytes, buffers, bindGroups, reads], [0, 0, 0, 0, 0]);
    });

    test("a traced picture shows the same boundaries and previews", async () => {
      /** @type {string[]} */
      const names = [];
      const { rgba } = await generator.generate(SETTINGS, {
        onTrace: (name, { data }) => {
          names.push(name);
          const step = /^latents_(\d)$/.exec(name)?.[1];
          if (step) assert.deepEqual(data, steps[Number(step)]?.latents);
        },
        onPreview: ({ step }) => names.push(`preview ${step}`),
      });
      assert.deepEqual(rgba, plain);
      assert.deepEqual(names.filter((name) => /latents|preview/.test(name)).sort(), [
        "latents_0", "latents_1", "latents_2", "preview 1", "preview 2",
      ]);
    });
  });
}
