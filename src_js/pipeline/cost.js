/**
 * How much arithmetic each stage takes, in FLOPs, so that progress is told in shares of the whole picture's work.
 * Matrix products and attention only; the rest is a few per cent.
 */

/** @typedef {import("../manifest.js").ModelConfig} ModelConfig */

/**
 * @param {ModelConfig} config
 * @param {{width: number, height: number, steps: number}} picture size in pixels
 * @returns {{text_encoder: number, transformer: number, vae_decoder: number}} `transformer` is one step
 */
export function stageFlops(config, { width, height }) {
  const text = config.prompt.text_seq_len;
  const pixelsPerToken = config.vae_decoder.patch_size * 2 ** (config.vae_decoder.block_out_channels.length - 1);
  const tokens = (width / pixelsPerToken) * (height / pixelsPerToken);
  return {
    text_encoder: textEncoderFlops(config.text_encoder, text),
    transformer: transformerFlops(config.transformer, text, tokens),
    vae_decoder: vaeDecoderFlops(config.vae_decoder, tokens * config.vae_decoder.patch_size ** 2),
  };
}

/** @param {import("../manifest.js").TextEncoderConfig} c @param {number} rows */
function textEncoderFlops(c, rows) {
  const heads = c.num_attention_heads * c.head_dim;
  const keyValues = c.num_key_value_heads * c.head_dim;
  const linear = c.hidden_size * (2 * heads + 2 * keyValues + 3 * c.intermediate_size);
  return 2 * c.num_layers * rows * (linear + rows * heads);
}

/** @param {import("../manifest.js").TransformerConfig} c @param {number} text @param {number} picture tokens */
function transformerFlops(c, text, picture) {
  const rows = text + picture;
  const linear = c.hidden_size * (4 * c.hidden_size + 3 * c.mlp_hidden_size);
  return 2 * (c.num_layers + c.num_single_layers) * rows * (linear + 2 * rows * c.hidden_size);
}

/** @param {import("../manifest.js").VaeDecoderConfig} c @param {number} pixels of the latent map */
function vaeDecoderFlops(c, pixels) {
  const widths = [...c.block_out_channels].reverse();
  const widest = widths[0] ?? 0;
  let products = pixels * (9 * c.latent_channels * widest + 4 * 9 * widest ** 2 + 4 * widest ** 2 + 2 * pixels * widest);
  let map = pixels;
  let before = widest;
  for (const [i, channels] of widths.entries()) {
    products += map * 9 * (before * channels + (2 * c.layers_per_block + 1) * channels ** 2);
    if (i < widths.length - 1) {
      map *= 4;
      products += map * 9 * channels ** 2;
    }
    before = channels;
  }
  return 2 * (products + map * 9 * before * c.out_channels);
}
