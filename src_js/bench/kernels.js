/**
 * The operators at the shapes that a model's pictures give them, each alone: what is measured, how much work it is, and how it is
 * recorded.
 */

import { attention, qkNormRope } from "../engine/ops/attention.js";
import { conv2d } from "../engine/ops/conv2d.js";
import { copy, swiglu, toRgba, unpackLatents } from "../engine/ops/elementwise.js";
import { linear } from "../engine/ops/linear.js";
import { groupNorm, layerNorm, rmsNorm } from "../engine/ops/norms.js";
import { elementBytes } from "../engine/tensor.js";
import { tokenPixels } from "../pipeline/stages.js";

/**
 * @typedef {import("../engine/program.js").Program} Program
 * @typedef {import("../engine/tensor.js").Tensor} Tensor
 * @typedef {import("../engine/weights.js").StageWeights} StageWeights
 * @typedef {import("../manifest.js").ModelConfig} ModelConfig
 * @typedef {import("../pipeline/residency.js").GpuStage} GpuStage
 */

/**
 * @typedef {object} KernelCase
 * @property {string} name
 * @property {"linear"|"attention"|"convolution"|"memory"} kind memory: what no arithmetic bounds
 * @property {GpuStage} stage whose weights it needs
 * @property {number} [flops] where arithmetic is what counts
 * @property {(program: Program) => number} [bytes] read and written, where memory is
 * @property {(program: Program, weights: StageWeights) => Tensor[]} record returns the inputs
 */

/**
 * @param {ModelConfig} config
 * @param {readonly number[]} sizes sides of pictures in pixels, ascending
 * @returns {KernelCase[]} stage by stage
 */
export function kernelCases(config, sizes) {
  const largest = /** @type {number} */ (sizes.at(-1));
  return [
    ...textCases(config),
    ...sizes.flatMap((side) => transformerCases(config, side)),
    ...sizes.map((side) => vaeAttention(config, side)),
    ...vaeCases(config, largest),
  ];
}

/**
 * @param {readonly KernelCase[]} cases
 * @returns {KernelCase[]} of each stage and kind the one with the most arithmetic; none that memory bounds
 */
export function heaviest(cases) {
  /** @type {Map<string, KernelCase>} */
  const found = new Map();
  for (const one of cases) {
    const key = `${one.stage} ${one.kind}`;
    if ((one.flops ?? 0) > (found.get(key)?.flops ?? 0)) found.set(key, one);
  }
  return cases.filter((one) => [...found.values()].includes(one));
}

/** @param {GpuStage} stage @param {string} weight name without .weight @param {number} rows @param {[number, number]} shape N, K @returns {KernelCase} */
function linearCase(stage, weight, rows, [columns, inner]) {
  return {
    name: `${weight.split(".").at(-1) === "0" ? weight.split(".").at(-2) : weight.split(".").at(-1)} ${rows} x ${inner} to ${columns}`,
    kind: "linear", stage, flops: 2 * rows * columns * inner,
    record(program, weights) {
      const a = program.tensor(rows, inner);
      linear(program, a, weights.get(`${weight}.weight`), program.tensor(rows, columns));
      return [a];
    },
  };
}

/**
 * @param {GpuStage} stage @param {string} name
 * @param {{rows: number, heads: number, kvHeads: number, headDim: number, causal: boolean}} shape
 * @returns {KernelCase}
 */
function attentionCase(stage, name, { rows, heads, kvHeads, headDim, causal }) {
  return {
    name, kind: "attention", stage, flops: (4 * rows * rows * heads * headDim) / (causal ? 2 : 1),
    record(program) {
      const q = program.tensor(rows, heads * headDim);
      const k = program.tensor(rows, kvHeads * headDim);
      const v = program.tensor(rows, kvHeads * headDim);
      attention(program, q, k, v, program.tensor(rows, heads * headDim), { headDim, causal });
      return [q, k, v];
    },
  };
}

/** @param {ModelConfig} config @returns {KernelCase[]} */
function textCases({ text_encoder: c, prompt }) {
  const rows = prompt.text_seq_len;
  const layer = "model.layers.0";
  const query = c.num_attention_heads * c.head_dim;
  const key = c.num_key_value_heads * c.head_dim;
  const stage = "text_encoder";
  return [
    linearCase(stage, `${layer}.self_attn.q_proj`, rows, [query, c.hidden_size]),
    linearCase(stage, `${layer}.self_attn.k_proj`, rows, [key, c.hidden_size]),
    linearCase(stage, `${layer}.self_attn.o_proj`, rows, [c.hidden_size, query]),
    linearCase(stage, `${layer}.mlp.gate_proj`, rows, [c.intermediate_size, c.hidden_size]),
    linearCase(stage, `${layer}.mlp.down_proj`, rows, [c.hidden_size, c.intermediate_size]),
    attentionCase(stage, `causal attention ${c.num_attention_heads}/${c.num_key_value_heads} x ${c.head_dim}, ${rows} rows`, {
      rows, heads: c.num_attention_heads, kvHeads: c.num_key_value_heads, headDim: c.head_dim, causal: true,
    }),
    {
      name: `RMS norm ${rows} x ${c.hidden_size}`, kind: "memory", stage, bytes: (program) => rows * c.hidden_size * (4 + elementBytes(program.float)),
      record(program, weights) {
        const x = program.tensor(rows, c.hidden_size, "f32");
        rmsNorm(program, x, weights.vector(`${layer}.input_layernorm.weight`), program.tensor(rows, c.hidden_size), c.rms_norm_eps);
        return [x];
      },
    },
  ];
}

/** @param {ModelConfig} config @param {number} side pixels @returns {KernelCase[]} */
function transformerCases(config, side) {
  const { transformer: c, prompt } = config;
  const { hidden_size: d, mlp_hidden_size: mlp, attention_head_dim: headDim, num_attention_heads: heads } = c;
  const rows = prompt.text_seq_len + (side / tokenPixels(config)) ** 2;
  const double = "transformer_blocks.0";
  const single = "single_transformer_blocks.0.attn";
  const stage = "transformer";
  return [
    linearCase(stage, `${double}.attn.to_q`, rows, [d, d]),
    linearCase(stage, `${double}.ff.linear_in`, rows, [2 * mlp, d]),
    linearCase(stage, `${double}.ff.linear_out`, rows, [d, mlp]),
    linearCase(stage, `${single}.to_qkv_mlp_proj`, rows, [3 * d + 2 * mlp, d]),
    linearCase(stage, `${single}.to_out`, rows, [d, d + mlp]),
    attentionCase(stage, `attention ${heads} x ${headDim}, ${rows} rows`, { rows, heads, kvHeads: heads, headDim, causal: false }),
    {
      name: `layer norm ${rows} x ${d}`, kind: "memory", stage, bytes: (program) => rows * d * (4 + elementBytes(program.float)),
      record(program) {
        const x = program.tensor(rows, d, "f32");
        const modulation = program.tensor(1, 2 * d, "f32");
        const vectors = { shift: modulation.columnRange(0, d), scale: modulation.columnRange(d, d) };
        layerNorm(program, x, vectors, program.tensor(rows, d), c.eps);
        return [x, modulation];
      },
    },
    {
      name: `QK norm and RoPE ${rows} x ${d}`, kind: "memory", stage, bytes: (program) => rows * d * 2 * elementBytes(program.float),
      record(program, weights) {
        const x = program.tensor(rows, d);
        const table = program.tensor(rows, headDim, "f32");
        qkNormRope(program, [{ x, weight: weights.vector(`${single}.norm_q.weight`) }], table, { headDim, eps: c.eps, layout: "interleaved" });
        return [x, table];
      },
    },
    {
      name: `SwiGLU ${rows} x ${mlp}`, kind: "memory", stage, bytes: (program) => rows * mlp * 3 * elementBytes(program.float),
      record(program) {
        const gateUp = program.tensor(rows, 2 * mlp);
        swiglu(program, gateUp.columnRange(0, mlp), gateUp.columnRange(mlp, mlp), program.tensor(rows, mlp));
        return [gateUp];
      },
    },
    {
      name: `copy ${rows} x ${d}`, kind: "memory", stage, bytes: () => rows * d * 8,
      record(program) {
        const x = program.tensor(rows, d, "f32");
        copy(program, x, program.tensor(rows, d, "f32"));
        return [x];
      },
    },
  ];
}

/** @param {ModelConfig} config @param {number} side pixels @returns {KernelCase} */
function vaeAttention(config, side) {
  const { block_out_channels: blocks } = config.vae_decoder;
  const channels = blocks.at(-1) ?? 0;
  const rows = (side / 2 ** (blocks.length - 1)) ** 2;
  return attentionCase("vae_decoder", `attention 1 x ${channels}, ${rows} pixels`, { rows, heads: 1, kvHeads: 1, headDim: channels, causal: false });
}

/** @param {ModelConfig} config @param {number} side pixels @returns {KernelCase[]} the decoder's convolutions, norms and ends */
function vaeCases(config, side) {
  const { vae_decoder: c } = config;
  const widths = [...c.block_out_channels].reverse();
  const latent = side / 2 ** (widths.length - 1);
  const stage = "vae_decoder";
  const pixels = side * side;
  return [
    convCase("decoder.conv_in", latent, c.latent_channels, widths[0] ?? 0, {}),
    ...widths.flatMap((width, i) => {
      const map = latent * 2 ** i;
      const before = widths[i - 1] ?? width;
      const block = `decoder.up_blocks.${i}`;
      return [
        ...(before === width ? [] : [
          convCase(`${block}.resnets.0.conv1`, map, before, width, {}), convCase(`${block}.resnets.0.conv_shortcut`, map, before, width, { kernel: 1 }),
        ]),
        convCase(`${block}.resnets.0.conv2`, map, width, width, {}),
        groupNormCase(config, `${block}.resnets.0.norm2`, map, width),
        ...(i < widths.length - 1 ? [convCase(`${block}.upsamplers.0.conv`, map, width, width, { upsample: true })] : []),
      ];
    }),
    convCase("decoder.conv_out", side, widths.at(-1) ?? 0, c.out_channels, { float: "f32" }),
    {
      name: `unpack latents ${side} x ${side}`, kind: "memory", stage, bytes: (program) => latent * latent * c.latent_channels * (4 + elementBytes(program.float)),
      record(program, weights) {
        const tokens = program.tensor((latent / c.patch_size) ** 2, c.latent_channels * c.patch_size ** 2, "f32");
        const out = { width: latent, height: latent, tensor: program.tensor(latent * latent, c.latent_channels) };
        unpackLatents(program, tokens, { scale: weights.vector("bn.scale"), mean: weights.vector("bn.mean") }, out, c.patch_size);
        return [tokens];
      },
    },
    {
      name: `to RGBA ${side} x ${side}`, kind: "memory", stage, bytes: () => pixels * (c.out_channels + 1) * 4,
      record(program) {
        const x = program.tensor(pixels, c.out_channels, "f32");
        toRgba(program, x, program.tensor(pixels, 1, "f32"));
        return [x];
      },
    },
  ];
}

/**
 * @param {string} weight @param {number} map side of the input @param {number} channels in @param {number} width channels out
 * @param {{kernel?: number, upsample?: boolean, float?: "f32"}} options float: of the result, the engine's unless given
 * @returns {KernelCase}
 */
function convCase(weight, map, channels, width, { kernel = 3, upsample = false, float }) {
  const side = upsample ? 2 * map : map;
  return {
    name: `convolution ${kernel} x ${kernel}, ${channels} to ${width}, ${side} x ${side}${upsample ? " from half" : ""}`,
    kind: "convolution", stage: "vae_decoder", flops: 2 * side * side * width * channels * kernel ** 2,
    record(program, weights) {
      const input = { width: map, height: map, tensor: program.tensor(map * map, channels) };
      const out = { width: side, height: side, tensor: program.tensor(side * side, width, float) };
      conv2d(program, input, weights.get(`${weight}.weight`), weights.vector(`${weight}.bias`), out, { upsample });
      return [input.tensor];
    },
  };
}

/** @param {ModelConfig} config @param {string} name @param {number} map side @param {number} channels @returns {KernelCase} */
function groupNormCase({ vae_decoder: c }, name, map, channels) {
  return {
    name: `group norm ${map} x ${map} x ${channels}`, kind: "memory", stage: "vae_decoder",
    bytes: (program) => map * map * channels * 3 * elementBytes(program.float),          // read twice: statistics, then values
    record(program, weights) {
      const x = { width: map, height: map, tensor: program.tensor(map * map, channels) };
      const affine = { weight: weights.vector(`${name}.weight`), bias: weights.vector(`${name}.bias`) };
      const out = program.tensor(map * map, channels);
      groupNorm(program, x, affine, out, { groups: c.norm_num_groups, eps: c.norm_eps, silu: true });
      return [x.tensor];
    },
  };
}
