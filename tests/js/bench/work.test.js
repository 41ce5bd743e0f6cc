/**
 * How much work the benchmark says it measures: counted again, product by product, from the models' tensors.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { heaviest, kernelCases } from "../../../src_js/bench/kernels.js";
import { stageCases } from "../../../src_js/bench/stages.js";
import { decodeFlops, modulationFlops, preludeFlops, stepFlops, textEncoderFlops } from "../../../src_js/bench/work.js";
import { DryEngine } from "../../../src_js/engine/dry_engine.js";
import { StageWeights, place } from "../../../src_js/engine/weights.js";
import { sharedShapes, pictureSize } from "../../../src_js/pipeline/stages.js";
import { syntheticManifest } from "../../../src_js/synthetic_manifest.js";
import { modelTensors } from "../../../src_js/model_tensors.js";

/** @typedef {import("../../../src_js/manifest.js").ModelConfig} ModelConfig */

/** @type {(name: string) => ModelConfig} */
const read = (name) => JSON.parse(readFileSync(new URL(`../../../src_js/bench/${name}.json`, import.meta.url), "utf8"));
const KLEIN = read("klein4b");
const SMALL = read("small");

/** @param {number[]} shape */
const elements = (shape) => shape.reduce((a, b) => a * b, 1);

test("the text encoder: every linear on its rows, and every pair that the mask lets meet", () => {
  for (const [config, rows, valid] of /** @type {[ModelConfig, number, number][]} */ ([[KLEIN, 512, 32], [KLEIN, 512, 512], [SMALL, 23, 1]])) {
    const { text_encoder: c } = config;
    let products = 0;
    for (const { name, kind, shape } of modelTensors(config).text_encoder) {
      if (kind === "linear") products += elements(shape) * (/\.[kv]_proj/.test(name) ? valid : rows);
    }
    for (let row = 0; row < rows; row++) products += Math.min(row + 1, valid) * 2 * c.num_attention_heads * c.head_dim * c.num_layers;
    assert.equal(textEncoderFlops(c, rows, valid), 2 * products);
  }
});

test("modulation and prelude: the linears that depend on the step alone, and on the prompt alone", () => {
  for (const [config, steps] of /** @type {[ModelConfig, number][]} */ ([[KLEIN, 4], [SMALL, 3]])) {
    const { modulation, transformer } = modelTensors(config);
    assert.equal(modulationFlops(config, steps), 2 * steps * modulation.reduce((sum, { shape }) => sum + elements(shape), 0));
    const context = transformer.find(({ name }) => name === "context_embedder.weight")?.shape ?? [];
    assert.equal(preludeFlops(config), 2 * elements(context) * config.prompt.text_seq_len);
  }
});

test("a step and a decode: every linear and convolution on its rows or pixels, and attention", () => {
  for (const [config, side] of /** @type {[ModelConfig, number][]} */ ([[KLEIN, 256], [KLEIN, 1024], [SMALL, 96]])) {
    const { transformer: c, prompt, vae_decoder: vae } = config;
    const blocks = vae.block_out_channels.length;
    const latent = (side / 2 ** (blocks - 1)) ** 2;
    const tokens = latent / vae.patch_size ** 2;
    const rows = prompt.text_seq_len + tokens;
    let step = (c.num_layers + c.num_single_layers) * 2 * rows * rows * c.hidden_size;
    for (const { name, kind, shape } of modelTensors(config).transformer) {
      if (kind !== "linear" || name === "context_embedder.weight") continue;
      const text = /\.(add_|to_add_|ff_context)/.test(name) ? prompt.text_seq_len : tokens;
      step += elements(shape) * (name.startsWith("single_") ? rows : text);
    }
    let decode = 2 * latent ** 2 * (vae.block_out_channels.at(-1) ?? 0);
    for (const { name, kind, shape } of modelTensors(config).vae_decoder) {
      const [, block = "", upsampler] = /up_blocks\.(\d)\.(upsamplers)?/.exec(name) ?? [];
      const doublings = name.startsWith("decoder.conv_out") ? blocks - 1 : Number(block) + (upsampler ? 1 : 0);
      if (kind === "linear" || kind === "conv") decode += elements(shape) * latent * 4 ** doublings;
    }
    assert.equal(stepFlops(config, side), 2 * step);
    assert.equal(decodeFlops(config, side), 2 * decode);
  }
});

test("kernels are those of the issue's table, each once, with the weights that they name", () => {
  const cases = kernelCases(KLEIN, [256, 512, 1024]);
  assert.equal(new Set(cases.map(({ name }) => name)).size, cases.length);
  const flops = Object.fromEntries(cases.map((one) => [one.name, one.flops]));
  for (const rows of [768, 1536, 4608]) {
    assert.equal(flops[`to_qkv_mlp_proj ${rows} x 3072 to 27648`], 2 * rows * 3072 * 27648);
    assert.equal(flops[`to_out ${rows} x 12288 to 3072`], 2 * rows * 3072 * 12288);
    assert.equal(flops[`attention 24 x 128, ${rows} rows`], 4 * rows * rows * 24 * 128);
  }
  assert.equal(flops["attention 1 x 512, 16384 pixels"], 4 * 16384 ** 2 * 512);
  assert.equal(flops["causal attention 32/8 x 128, 512 rows"], 2 * 512 ** 2 * 32 * 128);
  assert.equal(flops["convolution 3 x 3, 128 to 128, 1024 x 1024"], 2 * 1024 ** 2 * 128 * 128 * 9);
  const quick = heaviest(cases);
  assert.deepEqual(quick.map(({ stage, kind }) => `${stage} ${kind}`).sort(), [
    "text_encoder attention", "text_encoder linear", "transformer attention", "transformer linear", "vae_decoder attention", "vae_decoder convolution",
  ]);
});

test("stages: a short and a full prompt, modulation, the prelude, and a step and a decode of each size", () => {
  const names = stageCases(KLEIN, [256, 512], 4).map(({ name }) => name);
  assert.deepEqual(names, [
    "text encoder, 32 tokens of 512 rows", "text encoder, 512 tokens of 512 rows", "modulation of 4 steps", "prelude",
    "denoise step 256 x 256", "denoise step 512 x 512", "VAE decode 256 x 256", "VAE decode 512 x 512",
  ]);
});

/** @type {import("../../../src_js/engine/device.js").DeviceInfo} a GPU with nothing beyond the defaults but f16 */
const INFO = {
  vendor: "", architecture: "", description: "", precision: "f16", f16: true, fallback: false, features: [], subgroupSizes: [0, 0], matrixShapes: [],
  limits: {},
};
const SIZES = [256, 512, 768, 1024];

/** Where the true model's weights would lie. @param {string} stage */
function weightsOf(stage) {
  const manifest = syntheticManifest(KLEIN);
  const buffers = new Map(manifest.shards.map((_, i) => [i, /** @type {GPUBuffer} */ ({})]));
  const entries = manifest.tensors.filter((entry) => entry.stage === stage);
  const memory = /** @type {import("../../../src_js/engine/gpu_memory.js").GpuMemory} */ ({});
  return new StageWeights(memory, [], new Map(entries.map((entry) => [entry.name, place(entry, buffers)])));
}

const WEIGHTS = new Map(["text_encoder", "modulation", "transformer", "vae_decoder"].map((stage) => [stage, weightsOf(stage)]));

test("every kernel can be recorded at the true shapes, and is no more work than told", () => {
  for (const { name, stage, flops, bytes, record } of kernelCases(KLEIN, SIZES)) {
    const program = new DryEngine({ info: INFO }).program(name);
    const inputs = record(program, /** @type {StageWeights} */ (WEIGHTS.get(stage)));
    assert.ok(program.dispatches.length > 0 && inputs.length > 0, name);
    const least = /from half/.test(name) ? 4 / 9 : 1;           // of a doubled map's 3 x 3 inputs only 2 x 2 differ
    if (flops !== undefined) assert.ok(program.flops > 0.99 * least * flops && program.flops < 1.01 * flops, `${name}: ${program.flops}, told ${flops}`);
    else assert.ok((bytes?.(program) ?? 0) > 0, name);
  }
});

test("every stage can be recorded at the true shapes, and is about as much work as its programs say", () => {
  for (const { name, stage, side, flops, record } of stageCases(KLEIN, SIZES, 4)) {
    const engine = new DryEngine({ info: INFO });
    const program = engine.program(name);
    const shapes = sharedShapes(KLEIN, pictureSize(KLEIN, { width: side, height: side, steps: 4 }));
    const shared = Object.fromEntries(Object.entries(shapes).map(([key, [rows, columns]]) => [key, engine.tensor(rows, columns, "f32")]));
    record(program, KLEIN, /** @type {StageWeights} */ (WEIGHTS.get(stage)), /** @type {import("../../../src_js/bench/stages.js").Shared} */ (shared));
    const ratio = program.flops / flops;
    assert.ok(ratio > 0.8 && ratio < 1.1, `${name}: ${program.flops}, told ${flops}`);
  }
});
