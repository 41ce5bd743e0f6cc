/**
 * The predicted plan of the real model's shapes, without a GPU: arithmetic, bytes and memory against formulas worked out here, and
 * every count against plan_klein4b.json, so that no change makes a stage dearer unnoticed. UPDATE_PLAN=1 writes that file anew.
 */

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { memoryNeeds } from "../../../src_js/pipeline/budget.js";
import { planPicture, stageBytes } from "../../../src_js/pipeline/plan.js";
import { previewDue } from "../../../src_js/pipeline/preview_size.js";
import { sigmas } from "../../../src_js/pipeline/scheduler.js";
import { syntheticManifest } from "../../../src_js/synthetic_manifest.js";
import { deviceInfo } from "../support/device_info.js";

/** @typedef {import("../../../src_js/pipeline/plan.js").ProgramPlan} ProgramPlan */
/** @typedef {import("../../../src_js/pipeline/plan.js").PicturePlan} PicturePlan */

const config = /** @type {import("../../../src_js/manifest.js").ModelConfig} */ (
  JSON.parse(readFileSync(new URL("../../../src_js/bench/klein4b.json", import.meta.url), "utf8")));
const manifest = syntheticManifest(config, { format: "q4", blockSize: 32 });
const GPU_STAGES = /** @type {const} */ (["text_encoder", "modulation", "transformer", "vae_decoder"]);
const expectedFile = new URL("plan_klein4b.json", import.meta.url);

/** Rows of text, width of the transformer, of its MLP, and of the text encoder and its MLP. */
const [TEXT, D, MLP, E, EMLP] = [512, 3072, 9216, 2560, 9728];
const KEYS = 8 * 128;
const QUERIES = 32 * 128;

/** @param {ProgramPlan} program @param {RegExp} kernels @returns {number} */
const flopsOf = (program, kernels) => Object.entries(program.kernels)
  .filter(([name]) => kernels.test(name)).reduce((sum, [, { flops }]) => sum + flops, 0);
const PRODUCTS = /linear|gemm/;
const ATTENTION = /attention/;
const CONVOLUTION = /^conv(?!_weights)/;

/** @param {number} side pixels @param {Partial<import("../../../src_js/engine/device.js").DeviceInfo>} [facts] @returns {PicturePlan} */
const planOf = (side, facts) => planPicture({ info: deviceInfo(facts) }, manifest, { width: side, height: side, steps: 4 });
/** @param {number} width @param {number} height @param {number} [steps] @returns {PicturePlan} with previews */
const shown = (width, height, steps = 4, of = manifest) => planPicture({ info: deviceInfo() }, of, { width, height, steps, preview: true });
/** In dispatches of any size, so that nothing is read twice. @param {number} side */
const uncut = (side) => planPicture({ info: deviceInfo(), maxDispatchFlops: Infinity }, manifest, { width: side, height: side, steps: 4 });

/** @param {PicturePlan} plan @returns {Record<string, unknown>} what must not change unnoticed */
function summary({ programs, flops, workBytes, largestBytes }) {
  const each = Object.entries(programs).map(([name, { dispatches, flops: own, weightBytes, tensorBytes, activationBytes }]) => (
    [name, { dispatches, flops: own, weightBytes, tensorBytes, activationBytes }]));
  return { flops, workBytes, largestBytes, programs: Object.fromEntries(each) };
}

describe("plan of the 4B model, 4 bits in blocks of 32", () => {
  for (const side of [512, 1024]) {
    const picture = (side / 16) ** 2;
    const rows = TEXT + picture;
    const { programs } = planOf(side);

    test(`arithmetic of the text encoder and the transformer at ${side}`, () => {
      const layer = E * (2 * QUERIES + 2 * KEYS) + 3 * E * EMLP;
      assert.equal(flopsOf(programs.text_encoder, PRODUCTS), 2 * 27 * TEXT * layer);
      assert.equal(flopsOf(programs.text_encoder, ATTENTION), 2 * 27 * TEXT * TEXT * QUERIES, "the causal half");

      const doubles = 5 * rows * (4 * D * D + 3 * D * MLP);
      const singles = 19 * rows * (D * (3 * D + 2 * MLP) + D * (D + MLP));
      // of the last block only the picture's rows go on
      const last = rows * D * (3 * D + 2 * MLP) + picture * D * (D + MLP);
      const ends = 2 * picture * 128 * D;
      assert.equal(flopsOf(programs.step, PRODUCTS), 2 * (doubles + singles + last + ends));
      assert.equal(flopsOf(programs.step, ATTENTION), 4 * D * (24 * rows * rows + picture * rows));
      assert.equal(flopsOf(programs.prelude, PRODUCTS), 2 * TEXT * 7680 * D);
      assert.equal(flopsOf(/** @type {ProgramPlan} */ (programs.modulation), PRODUCTS), 2 * 4 * (256 * D + D * D + 17 * D * D));
    });

    test(`arithmetic of the decoder at ${side}`, () => {
      const latent = (side / 8) ** 2;
      const conv = (/** @type {number} */ scale, /** @type {number} */ from, /** @type {number} */ to) => (
        latent * scale * scale * 9 * from * to);
      // of a doubled map 3x3 pixels are 2x2 different ones
      const doubling = (/** @type {number} */ scale, /** @type {number} */ width) => (conv(scale, width, width) * 4) / 9;
      const shortcuts = latent * (16 * 512 * 256 + 64 * 256 * 128);
      const resnets = (/** @type {number} */ scale, /** @type {number} */ from, /** @type {number} */ width) =>
        conv(scale, from, width) + 5 * conv(scale, width, width);
      const products = latent * 32 * 32 + conv(1, 32, 512) + 4 * conv(1, 512, 512) + resnets(1, 512, 512) + doubling(2, 512)
        + resnets(2, 512, 512) + doubling(4, 512) + resnets(4, 512, 256) + doubling(8, 256) + resnets(8, 256, 128) + shortcuts
        + conv(8, 128, 3);
      assert.equal(flopsOf(programs.vae_decoder, CONVOLUTION), 2 * products);
      assert.equal(flopsOf(programs.vae_decoder, ATTENTION), 4 * latent * latent * 512);
      assert.equal(flopsOf(programs.vae_decoder, PRODUCTS), 2 * 4 * latent * 512 * 512);
    });

    test(`the rest is a small part of the arithmetic at ${side}`, () => {
      for (const [name, program] of Object.entries(programs)) {
        const products = flopsOf(program, /linear|gemm|attention|conv/);
        assert.ok(program.flops >= products && program.flops < products * 1.01, `${name}: ${program.flops} of ${products}`);
      }
    });

    test(`each weight is read once a run at ${side}`, () => {
      const { programs: { text_encoder: encoder, modulation, prelude, step, vae_decoder: decoder } } = uncut(side);
      const bytes = (/** @type {string} */ stage) => manifest.tensors.filter((tensor) => tensor.stage === stage)
        .flatMap(({ parts }) => parts).reduce((sum, { length }) => sum + length, 0);
      // a norm's vector may be bound twice, a part's sections are padded: a millionth
      for (const [moved, stored] of /** @type {const} */ ([
        [encoder.weightBytes, bytes("text_encoder")], [modulation?.weightBytes ?? NaN, bytes("modulation")], [prelude.weightBytes + step.weightBytes, bytes("transformer")],
        [decoder.weightBytes, bytes("vae_decoder")],
      ])) assert.ok(Math.abs(moved - stored) <= stored / 1000, `${moved} moved, ${stored} stored`);
    });
  }

  test("memory: all weights stay on the GPU within the bars, 8.25 GB hold 1024x1024", () => {
    const weights = manifest.stages.filter(({ name }) => name !== "embedding").flatMap(({ shards }) => shards);
    const bytes = weights.reduce((sum, index) => sum + (manifest.shards[index]?.bytes ?? NaN), 0);
    for (const [side, bar] of /** @type {const} */ ([[512, 4.5e9], [1024, 6.5e9]])) {
      const plan = planOf(side);
      const { whole, least } = memoryNeeds(plan);
      assert.equal(whole, bytes + Math.max(...Object.values(plan.workBytes)));
      assert.ok(whole <= bar, `${side}: ${whole}`);
      assert.ok(least < whole);
      for (const stage of GPU_STAGES) {
        assert.equal(plan.weightBytes[stage], stageBytes(manifest, stage));
        assert.ok(plan.workBytes[stage] + plan.weightBytes[stage] <= least);
      }
    }
  });

  test("memory: the largest tensors are there, and a picture holds at least two of its largest maps", () => {
    for (const side of [512, 1024]) {
      const { programs } = planOf(side);
      const pixels = side * side;
      // three maps meet at a 256 channel resnet of full size: f16 in and out, or in, norm and out
      assert.ok(programs.vae_decoder.activationBytes >= 2 * pixels * 128 * 2);
      assert.ok(programs.vae_decoder.activationBytes <= 3 * pixels * 256 * 2, `${programs.vae_decoder.activationBytes}`);
      const rows = TEXT + (side / 16) ** 2;
      assert.ok(programs.step.activationBytes >= rows * (4 * D + 2 * D), "the residual stream and a layer's result");
      assert.ok(programs.step.activationBytes <= rows * (4 * D + 2 * (5 * D + 4 * MLP)), `${programs.step.activationBytes}`);
      assert.ok(programs.step.largestBytes >= rows * 4 * D);
    }
  });

  test("the arithmetic agrees with the published counts of the model", () => {
    // multiply-adds of the specification at 512x512, in billions: text encoder 1395 beside attention, step 5074
    const { text_encoder: encoder, step } = planOf(512).programs;
    assert.ok(Math.abs(flopsOf(encoder, PRODUCTS) / 2e9 - 1395) < 1);
    assert.ok(Math.abs((flopsOf(step, PRODUCTS) + flopsOf(step, ATTENTION)) / 2e9 - 5074) < 30);
  });

  test("f32 takes as many FLOPs and more memory", () => {
    const [half, single] = [planOf(512), planOf(512, { precision: "f32", f16: false })];
    assert.equal(half.flops, single.flops);
    for (const stage of GPU_STAGES.filter((name) => name !== "modulation")) {
      const ratio = single.workBytes[stage] / half.workBytes[stage];
      assert.ok(ratio > 1.2 && ratio <= 2, `${stage}: ${ratio}`);
    }
  });

  test("a shorter prompt saves arithmetic of its keys and values only", () => {
    const [whole, short] = [TEXT, 17].map((length) => (
      planPicture({ info: deviceInfo() }, manifest, { width: 256, height: 256, steps: 1, length }).programs.text_encoder));
    const saved = 2 * 27 * (TEXT - 17) * 2 * E * KEYS;
    assert.equal(flopsOf(/** @type {ProgramPlan} */ (whole), PRODUCTS) - flopsOf(/** @type {ProgramPlan} */ (short), PRODUCTS), saved);
  });

  test("a picture's FLOPs are those of its programs, a step for each step", () => {
    const { programs: { text_encoder: encoder, modulation, prelude, step, vae_decoder: decoder }, flops } = planOf(256);
    assert.equal(flops, encoder.flops + (modulation?.flops ?? NaN) + prelude.flops + 4 * step.flops + decoder.flops);
  });

  test("sizes and steps that the table knows take neither the modulation's weights nor its arithmetic", () => {
    const tableSigmas = [...new Set([1024, 4096].flatMap((tokens) => [...sigmas(tokens, 4).subarray(0, 4)]))].sort((a, b) => b - a);
    assert.equal(tableSigmas.length, 7, "the first sigma is 1 at every size");
    const tabled = syntheticManifest(config, { format: "q4", blockSize: 32, tableSigmas });
    const of = (/** @type {number} */ width, /** @type {number} */ height, /** @type {number} */ steps) => (
      planPicture({ info: deviceInfo() }, tabled, { width, height, steps }));
    for (const side of [512, 1024]) {
      const [computed, read] = [planOf(side), of(side, side, 4)];
      const { modulation, ...others } = computed.programs;
      assert.deepEqual(read.programs, others);
      assert.equal(read.flops, computed.flops - (modulation?.flops ?? NaN));
      assert.deepEqual(read.weightBytes, { ...computed.weightBytes, modulation: 0 });
      assert.equal(memoryNeeds(computed).whole - memoryNeeds(read).whole, stageBytes(tabled, "modulation"));
      assert.deepEqual(read.modulationRows?.map((row) => tableSigmas[row]), [...sigmas((side / 16) ** 2, 4).subarray(0, 4)]);
    }
    assert.equal(stageBytes(tabled, "transformer"), stageBytes(manifest, "transformer"), "the table is no weight");
    assert.ok(of(1024, 256, 4).modulationRows, "of as many tokens as 512x512");
    for (const plan of [of(512, 512, 3), of(528, 512, 4), of(512, 512, 8)]) {
      assert.equal(plan.modulationRows, undefined);
      assert.equal(plan.weightBytes.modulation, stageBytes(tabled, "modulation"));
    }
  });

  test("previews keep within a twentieth of a step's time, are no smaller than that asks, and have the picture's shape", () => {
    // a FLOP of the decoder takes up to two and a half times as long as one of a step
    const time = (/** @type {PicturePlan} */ { programs: { preview, step } }) => (2.5 * (preview?.flops ?? NaN)) / step.flops;
    for (const [width, height, least] of /** @type {const} */ ([[256, 256, 64], [512, 512, 128], [768, 512, 128], [1024, 1024, 256], [1360, 768, 192], [2048, 2048, 512]])) {
      const plan = shown(width, height);
      const { preview } = plan;
      assert.ok(preview && preview.every === 1 && preview.count === 3);
      assert.ok(time(plan) <= 0.05, `${width}x${height}: ${time(plan)}`);
      assert.ok(Math.min(preview.width, preview.height) >= least, `${preview.width}x${preview.height}`);
      const [across, down] = [preview.width / width, preview.height / height];
      assert.ok(Math.abs(across / down - 1) <= 8 / Math.min(preview.width, preview.height), "up to one latent pixel");
      assert.deepEqual([preview.width, preview.height], [preview.small.width * 8, preview.small.height * 8]);
    }
  });

  test("previews cost what their programs do, and change nothing else", () => {
    for (const side of [512, 1024]) {
      const [plain, plan] = [planOf(side), shown(side, side)];
      const { preview, ...others } = plan.programs;
      assert.deepEqual(others, plain.programs);
      assert.equal(plan.flops, plain.flops + 3 * (preview?.flops ?? NaN));
      assert.deepEqual(plan.workBytes, {
        ...plain.workBytes, transformer: plain.workBytes.transformer + (preview?.activationBytes ?? NaN) + (preview?.sharedBytes ?? NaN),
      });
      assert.equal(preview?.sharedBytes, (side / 16) ** 2 * 128 * 4, "the latents before the step");
      const [without, needs] = [memoryNeeds(plain), memoryNeeds(plan)];
      assert.equal(needs.least, Math.max(without.least, plan.weightBytes.transformer + plan.weightBytes.vae_decoder + plan.workBytes.transformer));
    }
  });

  test("a decoder that is dear beside the steps shows fewer previews, or none", () => {
    const small = JSON.parse(readFileSync(new URL("../../../src_js/bench/small.json", import.meta.url), "utf8"));
    const dear = syntheticManifest(small, { format: "f32" });
    assert.equal(shown(256, 256, 20, dear).preview, undefined);
    const { preview, programs } = shown(512, 512, 20, dear);
    assert.ok(preview && preview.every > 1 && programs.preview);
    assert.equal(Math.max(preview.width, preview.height), 64, "the smallest");
    const share = (2.5 * programs.preview.flops) / programs.step.flops;
    assert.ok(share <= 0.05 * preview.every && share > 0.05 * (preview.every - 1));
    const due = Array.from({ length: 20 }, (_, i) => i + 1).filter((done) => previewDue(preview, done, 20));
    assert.deepEqual(due, Array.from({ length: preview.count }, (_, i) => (i + 1) * preview.every));
    assert.equal(shown(512, 512, preview.every, dear).preview, undefined, "none is due before the last step");
    assert.equal(shown(512, 512, 1).preview, undefined, "nor of a picture of one step");
    assert.ok(!previewDue(shown(512, 512).preview, 4, 4) && !previewDue(undefined, 1, 4));
  });

  test("nothing costs other than it did", () => {
    const actual = Object.fromEntries([512, 1024].flatMap((side) => [
      ...["f16", "f32"].map((precision) => [`${side} ${precision}`, summary(planOf(side, { precision: /** @type {"f16"|"f32"} */ (precision) }))]),
      [`${side} f16 with previews`, summary(shown(side, side))],
    ]));
    if (process.env["UPDATE_PLAN"]) writeFileSync(expectedFile, `${JSON.stringify(actual, null, 2)}\n`);
    assert.deepEqual(actual, JSON.parse(readFileSync(expectedFile, "utf8")),
      "the predicted plan changed: if that is meant, write it anew with UPDATE_PLAN=1 and look at the difference");
  });
});
