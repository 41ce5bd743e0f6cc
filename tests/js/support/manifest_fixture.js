/**
 * A small valid manifest: every kind and format of tensor once, files plain and gzip, sizes as the packager would write them.
 */

const digest = (/** @type {string} */ digit) => digit.repeat(64);

/** @param {string} digit @param {string} suffix @param {number} bytes @param {number} [packed] bytes of it as gzip */
function file(digit, suffix, bytes, packed) {
  const path = `w/${digest(digit)}.${suffix}`;
  return packed === undefined
    ? { path, sha256: digest(digit), bytes, encoding: "", transfer_bytes: bytes }
    : { path: `${path}.gz`, sha256: digest(digit), bytes, encoding: "gzip", transfer_bytes: packed };
}

/** @returns {any} a fresh copy, to be spoilt by a test */
export function smallManifest() {
  const part = (/** @type {number} */ shard, /** @type {number} */ rows, /** @type {number} */ length, offset = 0, start = 0) => (
    { shard, row_start: start, row_count: rows, offset, length });
  return {
    schema: 4,
    id: "tiny-q4-00000000",
    name: "Tiny",
    revision: digest("0"),
    notice: {},
    examples: ["a red circle"],
    sizes: [[128, 256]],
    weights: "q4",
    config: {
      text_encoder: {
        vocab_size: 300, hidden_size: 32, intermediate_size: 64, num_layers: 3, num_attention_heads: 4,
        num_key_value_heads: 2, head_dim: 16, rms_norm_eps: 1e-6, rope_theta: 1e6, tapped_layers: [1, 2, 3],
      },
      transformer: {
        in_channels: 128, out_channels: 128, hidden_size: 64, num_layers: 1, num_single_layers: 2,
        num_attention_heads: 4, attention_head_dim: 16, joint_attention_dim: 96, mlp_hidden_size: 192,
        timestep_channels: 32, axes_dims_rope: [4, 4, 4, 4], rope_theta: 2000, eps: 1e-6,
      },
      vae_decoder: {
        latent_channels: 32, out_channels: 3, block_out_channels: [8, 16], layers_per_block: 1, norm_num_groups: 4,
        norm_eps: 1e-6, patch_size: 2, batch_norm_eps: 1e-4,
      },
      scheduler: { num_train_timesteps: 1000 },
      prompt: { text_seq_len: 512, template_prefix: "<|im_start|>", template_suffix: "", context_clip: 0 },
      default_width: 256,
      default_height: 256,
      default_steps: 4,
    },
    tokenizer: file("a", "json", 4000, 1500),
    table_sigmas: [1, 0.5],
    stages: [
      { name: "text_encoder", load: "start", shards: [0] },
      { name: "embedding", load: "needed", shards: [1, 2] },
      { name: "transformer", load: "start", shards: [5, 3] },
      { name: "modulation", load: "needed", shards: [6] },
      { name: "vae_decoder", load: "start", shards: [4] },
    ],
    tensors: [
      // q4, 10 x 40, blocks of 16: 16 columns with padding, 48 k in 3 blocks; codes 16*24 -> 512, scales 3*16*2 -> 256, zero points 3*8.
      { name: "model.layers.0.self_attn.q_proj.weight", stage: "text_encoder", kind: "linear", shape: [10, 40],
        format: "q4", block_size: 16, zero_points: true, parts: [part(0, 10, 792)] },
      { name: "model.norm.weight", stage: "text_encoder", kind: "vector", shape: [32], format: "f32", block_size: 0,
        zero_points: false, parts: [part(0, 32, 128, 1024)] },
      { name: "model.embed_tokens.weight", stage: "embedding", kind: "embedding", shape: [300, 3], format: "f16",
        block_size: 0, zero_points: false, parts: [part(1, 200, 1200), part(2, 100, 600, 0, 200)] },
      // f16, K = 9 rows of 4 columns, padded to 8.
      { name: "x_embedder.weight", stage: "transformer", kind: "linear", shape: [4, 9], format: "f16", block_size: 0,
        zero_points: false, parts: [part(3, 4, 144)] },
      // 3x3 convolution of 2 channels: K = 18, padded to 24.
      { name: "decoder.conv_in.weight", stage: "vae_decoder", kind: "conv", shape: [5, 2, 3, 3], format: "f32",
        block_size: 0, zero_points: false, parts: [part(4, 5, 480)] },
      // a row of 17 vectors of 64 for each sigma
      { name: "modulation_table", stage: "transformer", kind: "table", shape: [2, 1088], format: "f32", block_size: 0,
        zero_points: false, parts: [part(5, 2, 8704)] },
      { name: "time_guidance_embed.timestep_embedder.linear_1.weight", stage: "modulation", kind: "linear", shape: [64, 32],
        format: "f16", block_size: 0, zero_points: false, parts: [part(6, 64, 4096)] },
    ],
    shards: [
      file("1", "bin", 1280), file("2", "bin", 1280), file("3", "bin", 768), file("4", "bin", 256, 200), file("5", "bin", 512),
      file("6", "bin", 8704), file("7", "bin", 4096, 3900),
    ],
  };
}
