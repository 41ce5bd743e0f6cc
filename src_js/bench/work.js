/**
 * How much arithmetic the stages are worth, in FLOPs of matrix products and attention: the work that the model asks for, whatever the
 * kernels save of it.
 */

import { modulationColumns } from "../pipeline/transformer.js";

/** @typedef {import("../manifest.js").ModelConfig} ModelConfig */

/**
 * @param {import("../manifest.js").TextEncoderConfig} c
 * @param {number} rows of the sequence, pads included
 * @param {number} valid tokens of the prompt: only they are keys
 * @returns {number}
 */
export function textEncoderFlops(c, rows, valid) {
  const query = c.num_attention_heads * c.head_dim;
  const key = c.num_key_value_heads * c.head_dim;
  const linear = c.hidden_size * (rows * (2 * query + 3 * c.intermediate_size) + valid * 2 * key);
  const pairs = (valid * (valid + 1)) / 2 + (rows - valid) * valid;      // a prompt row sees those before it and itself, a pad all
  return 2 * c.num_layers * (linear + 2 * pairs * query);
}

/** @param {ModelConfig} config @param {number} steps @returns {number} the modulation of all steps */
export function modulationFlops({ transformer: c }, steps) {
  return 2 * steps * c.hidden_size * (c.timestep_channels + c.hidden_size + modulationColumns(c));
}

/** @param {ModelConfig} config @returns {number} the prompt's context */
export function preludeFlops({ transformer: c, prompt }) {
  return 2 * prompt.text_seq_len * c.joint_attention_dim * c.hidden_size;
}

/** @param {ModelConfig} config @param {number} side pixels of a square picture @returns {number} one denoising step, all rows in all blocks */
export function stepFlops({ transformer: c, prompt, vae_decoder: { block_out_channels: blocks, patch_size: patch } }, side) {
  const picture = (side / (patch * 2 ** (blocks.length - 1))) ** 2;
  const rows = prompt.text_seq_len + picture;
  const linear = c.hidden_size * (4 * c.hidden_size + 3 * c.mlp_hidden_size);
  const block = rows * (linear + 2 * rows * c.hidden_size);
  return 2 * ((c.num_layers + c.num_single_layers) * block + picture * c.hidden_size * (c.in_channels + c.out_channels));
}

/** @param {ModelConfig} config @param {number} side pixels of a square picture @returns {number} */
export function decodeFlops({ vae_decoder: c }, side) {
  const widths = [...c.block_out_channels].reverse();
  const widest = widths[0] ?? 0;
  let map = (side / 2 ** (widths.length - 1)) ** 2;
  let before = widest;
  let products = map * (c.latent_channels ** 2 + 9 * c.latent_channels * widest + 4 * 9 * widest ** 2 + 4 * widest ** 2 + 2 * map * widest);
  for (const [i, width] of widths.entries()) {
    const shortcut = before === width ? 0 : before * width;
    products += map * (9 * (before * width + (2 * c.layers_per_block + 1) * width ** 2) + shortcut);
    if (i < widths.length - 1) {
      map *= 4;
      products += map * 9 * width ** 2;
    }
    before = width;
  }
  return 2 * (products + map * 9 * before * c.out_channels);
}
