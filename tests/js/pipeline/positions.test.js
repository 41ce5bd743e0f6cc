/** Rotary tables, timestep embedding and cost: small numbers against float64 formulas and the published counts. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { stageFlops } from "../../../src_js/pipeline/cost.js";
import { axesRope, jointPositions, textRope } from "../../../src_js/pipeline/rope.js";
import { timestepEmbedding } from "../../../src_js/pipeline/timestep.js";

const close = (/** @type {number | undefined} */ actual, /** @type {number} */ expected, /** @type {number} */ bar) =>
  assert.ok(Math.abs((actual ?? NaN) - expected) <= bar, `${actual} for ${expected}`);

test("text positions turn by theta^(-2i / headDim)", () => {
  const table = textRope(512, 16, 1e6);
  for (const [p, i] of /** @type {const} */ ([[0, 0], [1, 7], [511, 0], [511, 3], [300, 5]])) {
    const angle = p * 1e6 ** (-2 * i / 16);
    close(table[p * 16 + 2 * i], Math.cos(angle), 4e-5);        // float32 angles, as the reference has them
    close(table[p * 16 + 2 * i + 1], Math.sin(angle), 4e-5);
  }
});

test("joint positions: text counts on the last axis, the picture on rows and columns", () => {
  const ids = jointPositions(3, 2, 4);
  assert.deepEqual([...ids.subarray(0, 12)], [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2]);
  assert.deepEqual([...ids.subarray(12 + 5 * 4, 12 + 6 * 4)], [0, 1, 1, 0]);
  const table = axesRope(ids, [2, 4, 4, 2], 2000);
  assert.equal(table.length, 11 * 12);
  // token 5 of the picture: row 1, column 1; the row's angles come after the first axis's one
  const row = table.subarray((3 + 5) * 12);
  close(row[2], Math.cos(1), 1e-7);
  close(row[4], Math.cos(2000 ** -0.5), 1e-7);
  close(row[7], Math.sin(1), 1e-7);
  assert.deepEqual([row[0], row[1]], [1, 0]);
});

test("timestep embedding: cosines, then sines, of 1000 sigma", () => {
  const embedding = timestepEmbedding(Math.fround(0.75), 8);
  for (let i = 0; i < 4; i++) {
    const angle = 750 * 10000 ** (-i / 4);
    close(embedding[i], Math.cos(angle), 1e-4);
    close(embedding[4 + i], Math.sin(angle), 1e-4);
  }
});

test("cost agrees with the counts of the real model", () => {
  const config = /** @type {import("../../../src_js/manifest.js").ModelConfig} */ (/** @type {unknown} */ ({
    text_encoder: { hidden_size: 2560, intermediate_size: 9728, num_layers: 27, num_attention_heads: 32, num_key_value_heads: 8, head_dim: 128 },
    transformer: { hidden_size: 3072, mlp_hidden_size: 9216, num_layers: 5, num_single_layers: 20 },
    vae_decoder: { latent_channels: 32, block_out_channels: [128, 256, 512, 512], layers_per_block: 2, patch_size: 2, out_channels: 3 },
    prompt: { text_seq_len: 512 },
  }));
  // GMAC of the specification at 512x512: text encoder 1395 + causal attention, step 5074, decoder 1258
  const flops = stageFlops(config, { width: 512, height: 512, steps: 4 });
  close(flops.transformer / 2e9, 5074, 30);
  close(flops.vae_decoder / 2e9, 1258, 30);
  close(flops.text_encoder / 2e9, 1395 + 29, 30);
});
