/**
 * Every tensor of a model, by stage and in order of use, as its ModelConfig implies them: what kleinbild/canonical.py lists for the
 * packager, here for models that are made up in the page. Names, kinds and shapes are the manifest's. A test keeps both lists equal.
 */

/**
 * @typedef {import("./manifest.js").ModelConfig} ModelConfig
 * @typedef {import("./manifest.js").StageName} StageName
 * @typedef {{name: string, kind: import("./manifest.js").TensorKind, shape: number[]}} TensorSpec shape canonical: a linear is [N, K]
 */

const EMBEDDING = "model.embed_tokens.weight";

/**
 * @param {ModelConfig} config
 * @param {number} [tableRows] of the modulation table; 0: there is none
 * @returns {Record<StageName, TensorSpec[]>} stages in the manifest's order
 */
export function modelTensors(config, tableRows = 0) {
  return {
    text_encoder: textEncoder(config.text_encoder),
    embedding: [{ name: EMBEDDING, kind: "embedding", shape: [config.text_encoder.vocab_size, config.text_encoder.hidden_size] }],
    transformer: [...table(config.transformer, tableRows), ...transformer(config.transformer)],
    modulation: modulation(config.transformer),
    vae_decoder: vaeDecoder(config.vae_decoder),
  };
}

/** @param {string} name @param {number} rows @param {number} columns @returns {TensorSpec} */
const linear = (name, rows, columns) => ({ name: `${name}.weight`, kind: "linear", shape: [rows, columns] });

/** @param {string} name @param {number} size @returns {TensorSpec} */
const vector = (name, size) => ({ name, kind: "vector", shape: [size] });

/** @param {string} name @param {number} size @returns {TensorSpec[]} */
const affine = (name, size) => [vector(`${name}.weight`, size), vector(`${name}.bias`, size)];

/** @param {string} name @param {number} rows @param {number} channels @param {number} kernel @returns {TensorSpec[]} */
const conv = (name, rows, channels, kernel) => [
  { name: `${name}.weight`, kind: "conv", shape: [rows, channels, kernel, kernel] }, vector(`${name}.bias`, rows),
];

/** @param {number} count @param {(i: number) => TensorSpec[]} make @returns {TensorSpec[]} */
const repeat = (count, make) => Array.from({ length: count }, (_, i) => make(i)).flat();

/** @param {import("./manifest.js").TextEncoderConfig} c @returns {TensorSpec[]} */
function textEncoder(c) {
  const query = c.num_attention_heads * c.head_dim;
  const key = c.num_key_value_heads * c.head_dim;
  return repeat(c.num_layers, (i) => {
    const layer = `model.layers.${i}`;
    return [
      vector(`${layer}.input_layernorm.weight`, c.hidden_size),
      linear(`${layer}.self_attn.q_proj`, query, c.hidden_size),
      linear(`${layer}.self_attn.k_proj`, key, c.hidden_size),
      linear(`${layer}.self_attn.v_proj`, key, c.hidden_size),
      vector(`${layer}.self_attn.q_norm.weight`, c.head_dim),
      vector(`${layer}.self_attn.k_norm.weight`, c.head_dim),
      linear(`${layer}.self_attn.o_proj`, c.hidden_size, query),
      vector(`${layer}.post_attention_layernorm.weight`, c.hidden_size),
      linear(`${layer}.mlp.gate_proj`, c.intermediate_size, c.hidden_size),
      linear(`${layer}.mlp.up_proj`, c.intermediate_size, c.hidden_size),
      linear(`${layer}.mlp.down_proj`, c.hidden_size, c.intermediate_size),
    ];
  });
}

/** @param {import("./manifest.js").TransformerConfig} c @returns {TensorSpec[]} what depends on the timestep alone */
function modulation({ hidden_size: d, timestep_channels: channels }) {
  return [
    linear("time_guidance_embed.timestep_embedder.linear_1", d, channels),
    linear("time_guidance_embed.timestep_embedder.linear_2", d, d),
    linear("double_stream_modulation_img.linear", 6 * d, d),
    linear("double_stream_modulation_txt.linear", 6 * d, d),
    linear("single_stream_modulation.linear", 3 * d, d),
    linear("norm_out.linear", 2 * d, d),
  ];
}

/** @param {import("./manifest.js").TransformerConfig} c @param {number} rows @returns {TensorSpec[]} what the stage modulation gives, for some timesteps */
function table({ hidden_size: d }, rows) {
  return rows > 0 ? [{ name: "modulation_table", kind: "table", shape: [rows, 17 * d] }] : [];
}

/** @param {import("./manifest.js").TransformerConfig} c @returns {TensorSpec[]} */
function transformer(c) {
  const { hidden_size: d, mlp_hidden_size: mlp, attention_head_dim: head } = c;
  return [
    linear("context_embedder", d, c.joint_attention_dim),
    linear("x_embedder", d, c.in_channels),
    ...repeat(c.num_layers, (i) => {
      const block = `transformer_blocks.${i}`;
      return [
        ...["add_q_proj", "add_k_proj", "add_v_proj", "to_q", "to_k", "to_v"].map((name) => linear(`${block}.attn.${name}`, d, d)),
        ...["norm_added_q", "norm_added_k", "norm_q", "norm_k"].map((name) => vector(`${block}.attn.${name}.weight`, head)),
        linear(`${block}.attn.to_add_out`, d, d),
        linear(`${block}.attn.to_out.0`, d, d),
        linear(`${block}.ff.linear_in`, 2 * mlp, d),
        linear(`${block}.ff.linear_out`, d, mlp),
        linear(`${block}.ff_context.linear_in`, 2 * mlp, d),
        linear(`${block}.ff_context.linear_out`, d, mlp),
      ];
    }),
    ...repeat(c.num_single_layers, (i) => {
      const attention = `single_transformer_blocks.${i}.attn`;
      return [
        linear(`${attention}.to_qkv_mlp_proj`, 3 * d + 2 * mlp, d),
        vector(`${attention}.norm_q.weight`, head),
        vector(`${attention}.norm_k.weight`, head),
        linear(`${attention}.to_out`, d, d + mlp),
      ];
    }),
    linear("proj_out", c.out_channels, d),
  ];
}

/** @param {string} name @param {number} before channels in @param {number} width channels out @returns {TensorSpec[]} */
function resnet(name, before, width) {
  return [
    ...affine(`${name}.norm1`, before),
    ...conv(`${name}.conv1`, width, before, 3),
    ...affine(`${name}.norm2`, width),
    ...conv(`${name}.conv2`, width, width, 3),
    ...(before === width ? [] : conv(`${name}.conv_shortcut`, width, before, 1)),
  ];
}

/** @param {import("./manifest.js").VaeDecoderConfig} c @returns {TensorSpec[]} */
function vaeDecoder(c) {
  const packed = c.latent_channels * c.patch_size ** 2;
  const widths = [...c.block_out_channels].reverse();
  const widest = /** @type {number} */ (widths[0]);
  const narrowest = /** @type {number} */ (widths.at(-1));
  const mid = "decoder.mid_block";
  return [
    vector("bn.scale", packed),
    vector("bn.mean", packed),
    ...conv("post_quant_conv", c.latent_channels, c.latent_channels, 1),
    ...conv("decoder.conv_in", widest, c.latent_channels, 3),
    ...resnet(`${mid}.resnets.0`, widest, widest),
    ...affine(`${mid}.attentions.0.group_norm`, widest),
    ...["to_q", "to_k", "to_v", "to_out.0"].flatMap((part) => [
      linear(`${mid}.attentions.0.${part}`, widest, widest), vector(`${mid}.attentions.0.${part}.bias`, widest),
    ]),
    ...resnet(`${mid}.resnets.1`, widest, widest),
    ...widths.flatMap((width, i) => {
      const block = `decoder.up_blocks.${i}`;
      const before = widths[i - 1] ?? widest;
      return [
        ...repeat(c.layers_per_block + 1, (j) => resnet(`${block}.resnets.${j}`, j === 0 ? before : width, width)),
        ...(i < widths.length - 1 ? conv(`${block}.upsamplers.0.conv`, width, width, 3) : []),
      ];
    }),
    ...affine("decoder.conv_norm_out", narrowest),
    ...conv("decoder.conv_out", c.out_channels, narrowest, 3),
  ];
}
