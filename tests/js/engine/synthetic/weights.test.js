/**
 * Weights made on the GPU: they lie where the manifest says, have the spread that is promised and are the same for the same seed.
 */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { linear } from "../../../../src_js/engine/ops/linear.js";
import { fillStage } from "../../../../src_js/engine/synthetic/weights.js";
import { syntheticManifest } from "../../../../src_js/synthetic_manifest.js";
import { openEngine } from "../../support/gpu.js";
import { execute, put } from "../../support/tensors.js";

/** @typedef {import("../../../../src_js/engine/engine.js").Engine} Engine */
/** @typedef {import("../../../../src_js/engine/weights.js").Weight} Weight */
/** @typedef {Required<import("../../../../src_js/engine/program.js").Range>} Range */

/** @type {import("../../../../src_js/manifest.js").ModelConfig} K values that are no multiple of a block or of a padded row */
const CONFIG = {
  text_encoder: {
    vocab_size: 50, hidden_size: 292, intermediate_size: 420, num_layers: 1, num_attention_heads: 4, num_key_value_heads: 2, head_dim: 16,
    rms_norm_eps: 1e-6, rope_theta: 1e6, tapped_layers: [1],
  },
  transformer: {
    in_channels: 36, out_channels: 36, hidden_size: 64, num_layers: 1, num_single_layers: 1, num_attention_heads: 2, attention_head_dim: 32,
    joint_attention_dim: 292, mlp_hidden_size: 100, timestep_channels: 20, axes_dims_rope: [8, 8, 8, 8], rope_theta: 2000, eps: 1e-6,
  },
  vae_decoder: {
    latent_channels: 9, out_channels: 3, block_out_channels: [28, 44], layers_per_block: 1, norm_num_groups: 4, norm_eps: 1e-6,
    patch_size: 2, batch_norm_eps: 1e-4,
  },
  scheduler: { num_train_timesteps: 1000 },
  prompt: { text_seq_len: 32, template_prefix: "", template_suffix: "", context_clip: 0 },
  default_width: 64, default_height: 64, default_steps: 1,
};
const GATE = "model.layers.0.mlp.gate_proj.weight";

/** @type {Engine} */
let engine;
before(async () => void (engine = await openEngine("f32")));
after(() => engine.destroy());

/** @param {Range} range @returns {Promise<Uint8Array>} */
const bytes = async ({ buffer, offset, size }) => new Uint8Array(await engine.readBytes(buffer, offset, size));

/** @param {Weight} weight a linear [N, K] @returns {Promise<number[]>} its values, whatever its layout: the rows of a unit matrix times it */
async function valuesOf(weight) {
  const [rows = 0, columns = 0] = weight.shape;
  const unit = Float32Array.from({ length: columns * columns }, (_, i) => Number(i % (columns + 1) === 0));
  return execute(engine, (program) => {
    const out = put(program, null, columns, rows);
    linear(program, put(program, unit, columns, columns), weight, out);
    return out;
  }, (values) => Array.from(values));
}

/** @param {readonly number[]} values @param {{mean: number, deviation: number}} expected near enough for as many random values */
function assertSpread(values, { mean, deviation }) {
  const found = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - found) ** 2, 0) / values.length;
  const tolerance = 6 / Math.sqrt(values.length);                     // of a mean, in deviations
  assert.ok(Math.abs(found - mean) < tolerance * deviation, `mean ${found}, expected ${mean}`);
  assert.ok(Math.abs(Math.sqrt(variance) / deviation - 1) < tolerance + 0.05, `deviation ${Math.sqrt(variance)}, expected ${deviation}`);
}

for (const [format, blockSize, zeroPoints] of /** @type {["q4"|"f16"|"f32", number, boolean][]} */ ([
  ["q4", 16, true], ["q4", 32, false], ["q4", 128, true], ["f16", 0, false], ["f32", 0, false],
])) {
  test(`a linear in ${format}${blockSize ? `, blocks of ${blockSize}` : ""}${zeroPoints ? " with zero points" : ""}`, async () => {
    const weights = await fillStage(engine, syntheticManifest(CONFIG, { format, blockSize, zeroPoints }), "text_encoder", 3);
    const weight = weights.get(GATE);
    assert.deepEqual([weight.format, weight.blockSize, weight.shape], [format, blockSize, [420, 292]]);
    assert.equal(weight.parts[0]?.zeroPoints !== undefined, zeroPoints);
    assertSpread(await valuesOf(weight), { mean: 0, deviation: 1 / Math.sqrt(292) });
    weights.destroy();
  });
}

test("linears outside the blocks, and all of the decoder's, stay dense", async () => {
  for (const [stage, name] of /** @type {const} */ ([
    ["transformer", "context_embedder.weight"], ["vae_decoder", "decoder.mid_block.attentions.0.to_q.weight"],
  ])) {
    const weights = await fillStage(engine, syntheticManifest(CONFIG, { format: "q4" }), stage);
    const weight = weights.get(name);
    assert.equal(weight.format, "f16");
    assertSpread(await valuesOf(weight), { mean: 0, deviation: 1 / Math.sqrt(weight.shape[1] ?? 0) });
    weights.destroy();
  }
});

test("a norm's weights are near 1, biases near 0", async () => {
  const weights = await fillStage(engine, syntheticManifest(CONFIG, {}), "vae_decoder");
  const read = async (/** @type {string} */ name) => {
    const range = weights.vector(name);
    return [...new Float32Array((await bytes(range)).buffer)].slice(0, weights.get(name).shape[0]);
  };
  const deviation = 0.1 / Math.sqrt(3);
  assertSpread(await read("decoder.mid_block.resnets.0.norm1.weight"), { mean: 1, deviation });
  assertSpread(await read("decoder.mid_block.resnets.0.norm1.bias"), { mean: 0, deviation });
  assertSpread(await read("bn.mean"), { mean: 0, deviation });
  weights.destroy();
});

test("the same seed gives the same bytes, another one others, and no two tensors are alike", async () => {
  /** @param {number} seed @param {string} name */
  const codes = async (seed, name) => {
    const weights = await fillStage(engine, syntheticManifest(CONFIG, {}), "text_encoder", seed);
    const part = weights.get(name).parts[0];
    assert.ok(part);
    const found = Buffer.from(await bytes(part.values));
    weights.destroy();
    return found;
  };
  const first = await codes(5, GATE);
  assert.deepEqual(await codes(5, GATE), first);
  assert.notDeepEqual(await codes(6, GATE), first);
  assert.notDeepEqual(await codes(5, GATE.replace("gate", "up")), first);
});
