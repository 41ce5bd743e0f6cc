/**
 * Operators that have one kernel each, on made-up data and with what they must give: there is nothing to choose among them, so the
 * tuner leaves them out, but a driver can compute them wrong as well. workloads.js has the operators with candidates.
 */

import { qkNormRope } from "../../engine/ops/attention.js";
import { copy, swiglu, toRgba, unpackLatents } from "../../engine/ops/elementwise.js";
import { groupNorm, layerNorm, rmsNorm } from "../../engine/ops/norms.js";
import { previewLatents } from "../../engine/ops/preview_latents.js";
import { fillRandom, randomValues } from "../../engine/synthetic/inputs.js";
import {
  groupNormExpected, layerNormExpected, limitedExpected, previewExpected, qkNormRopeExpected, rgbaExpected, rmsNormExpected, swigluExpected,
  unpackedExpected,
} from "./single_expected.js";

/**
 * @typedef {import("../../engine/program.js").Program} Program
 * @typedef {import("../../engine/tensor.js").Tensor} Tensor
 * @typedef {import("../../engine/tuning/self_check.js").SingleKernel} SingleKernel
 * @typedef {import("../../manifest.js").ModelConfig} ModelConfig
 */

/** Rows of what is normed or copied: more than one, and no power of two. */
const ROWS = 5;
/** Of feature maps. */
const WIDTH = 13;
const HEIGHT = 11;
/** Of a preview of such a map. */
const SMALL = Object.freeze({ width: 5, height: 3 });
/** Of copies: the made-up values go beyond it. */
const LIMIT = 1;
/** Rows of SwiGLU are this wide at most: its kernel knows no other difference. */
const MOST_WIDTH = 1024;

/**
 * @param {ModelConfig} config whose widths count
 * @returns {SingleKernel[]} one for each operator, two where both ends of the model differ
 */
export function singleKernels(config) {
  const { text_encoder: encoder, transformer, vae_decoder: vae } = config;
  const norm = { groups: vae.norm_num_groups, eps: vae.norm_eps };
  const rope = { headDim: transformer.attention_head_dim, eps: transformer.eps, layout: /** @type {const} */ ("interleaved") };
  const encoderRope = { headDim: encoder.head_dim, eps: encoder.rms_norm_eps, layout: /** @type {const} */ ("half") };
  const channels = [...new Set([vae.block_out_channels.at(0), vae.block_out_channels.at(-1)])].filter((count) => count !== undefined);
  return [
    rms(encoder.hidden_size, encoder.rms_norm_eps),
    layer(transformer.hidden_size, transformer.eps),
    ...channels.map((count) => group(count, norm)),
    turned([2, 1], encoderRope), turned([2, 2], rope),
    gated(Math.min(MOST_WIDTH, transformer.mlp_hidden_size)),
    limited(transformer.hidden_size),
    unpacked(vae.latent_channels, vae.patch_size),
    previewed(vae.latent_channels, vae.patch_size),
    pixels(),
  ];
}

/** @param {number} columns @param {number} eps @returns {SingleKernel} */
function rms(columns, eps) {
  return single("rms_norm", `${ROWS} x ${columns}`, (program) => {
    const [x, weight] = [program.tensor(ROWS, columns, "f32"), program.tensor(1, columns, "f32")];
    const out = program.tensor(ROWS, columns);
    rmsNorm(program, x, weight, out, eps);
    return { out, inputs: [x, weight] };
  }, () => rmsNormExpected(randomValues(ROWS * columns), randomValues(columns, 1), eps));
}

/** @param {number} columns @param {number} eps @returns {SingleKernel} */
function layer(columns, eps) {
  return single("layer_norm", `${ROWS} x ${columns}`, (program) => {
    const [x, modulation] = [program.tensor(ROWS, columns, "f32"), program.tensor(2, columns, "f32")];
    const out = program.tensor(ROWS, columns);
    layerNorm(program, x, { shift: modulation.rowRange(0, 1), scale: modulation.rowRange(1, 1) }, out, eps);
    return { out, inputs: [x, modulation] };
  }, () => layerNormExpected(randomValues(ROWS * columns), randomValues(2 * columns, 1), eps));
}

/** @param {number} channels @param {{groups: number, eps: number}} options @returns {SingleKernel} */
function group(channels, options) {
  const count = WIDTH * HEIGHT * channels;
  return single("group_norm", `${WIDTH} x ${HEIGHT}, ${channels} channels`, (program) => {
    const map = { width: WIDTH, height: HEIGHT, tensor: program.tensor(WIDTH * HEIGHT, channels) };
    const [weight, bias] = [program.tensor(1, channels, "f32"), program.tensor(1, channels, "f32")];
    const out = program.tensor(WIDTH * HEIGHT, channels);
    groupNorm(program, map, { weight, bias }, out, { ...options, silu: true });
    return { out, inputs: [map.tensor, weight, bias] };
  }, () => groupNormExpected(randomValues(count), randomValues(channels, 1), randomValues(channels, 2), options));
}

/** @param {[number, number]} heads of q and of k, side by side @param {Parameters<typeof qkNormRopeExpected>[3]} options @returns {SingleKernel} */
function turned([queries, keys], options) {
  const { headDim, layout } = options;
  const columns = (queries + keys) * headDim;
  return single(`qk_norm_rope.${layout}`, `${ROWS} x ${queries + keys} heads of ${headDim}`, (program) => {
    const x = program.tensor(ROWS, columns);
    const [one, other, table] = [program.tensor(1, headDim, "f32"), program.tensor(1, headDim, "f32"), program.tensor(ROWS, headDim, "f32")];
    const q = { x: x.columnRange(0, queries * headDim), weight: one };
    qkNormRope(program, [q, { x: x.columnRange(queries * headDim, keys * headDim), weight: other }], table, options);
    return { out: x, inputs: [x, one, other, table] };
  }, () => {
    const weights = [...Array(queries).fill(randomValues(headDim, 1)), ...Array(keys).fill(randomValues(headDim, 2))];
    return qkNormRopeExpected(randomValues(ROWS * columns), weights, randomValues(ROWS * headDim, 3), options);
  });
}

/** @param {number} width @returns {SingleKernel} */
function gated(width) {
  return single("swiglu", `${ROWS} x ${width}`, (program) => {
    const [x, out] = [program.tensor(ROWS, 2 * width), program.tensor(ROWS, width)];
    swiglu(program, x.columnRange(0, width), x.columnRange(width, width), out);
    return { out, inputs: [x] };
  }, () => swigluExpected(randomValues(ROWS * 2 * width), width));
}

/** @param {number} columns @returns {SingleKernel} */
function limited(columns) {
  return single("copy", `${ROWS} x ${columns}`, (program) => {
    const [x, out] = [program.tensor(ROWS, columns, "f32"), program.tensor(ROWS, columns)];
    copy(program, x, out, LIMIT);
    return { out, inputs: [x] };
  }, () => limitedExpected(randomValues(ROWS * columns), LIMIT));
}

/** @param {number} channels @param {number} patch @returns {SingleKernel} */
function unpacked(channels, patch) {
  const packed = channels * patch ** 2;
  return single("unpack_latents", `${WIDTH} x ${HEIGHT}, ${packed} channels`, (program) => {
    const tokens = program.tensor(WIDTH * HEIGHT, packed, "f32");
    const [scale, mean] = [program.tensor(1, packed, "f32"), program.tensor(1, packed, "f32")];
    const out = { width: WIDTH * patch, height: HEIGHT * patch, tensor: program.tensor(WIDTH * HEIGHT * patch ** 2, channels) };
    unpackLatents(program, tokens, { scale, mean }, out, patch);
    return { out: out.tensor, inputs: [tokens, scale, mean] };
  }, () => {
    const size = { width: WIDTH, height: HEIGHT, channels, patch };
    return unpackedExpected(randomValues(WIDTH * HEIGHT * packed), randomValues(packed, 1), randomValues(packed, 2), size);
  });
}

/** @param {number} channels @param {number} patch @returns {SingleKernel} */
function previewed(channels, patch) {
  const packed = channels * patch ** 2;
  const count = WIDTH * HEIGHT * packed;
  return single("preview_latents", `${WIDTH} x ${HEIGHT}, ${packed} channels, to ${SMALL.width} x ${SMALL.height}`, (program) => {
    const [x, before] = [program.tensor(WIDTH * HEIGHT, packed, "f32"), program.tensor(WIDTH * HEIGHT, packed, "f32")];
    const ahead = program.tensor(1, 1, "f32");
    const [scale, mean] = [program.tensor(1, packed, "f32"), program.tensor(1, packed, "f32")];
    const out = program.tensor(SMALL.width * SMALL.height, channels);
    const latents = { x, before, ahead, width: WIDTH, height: HEIGHT };
    previewLatents(program, latents, { scale, mean }, { ...SMALL, tensor: out }, patch);
    return { out, inputs: [x, before, ahead, scale, mean] };
  }, () => {
    const norm = { ahead: randomValues(1, 2)[0] ?? 0, scale: randomValues(packed, 3), mean: randomValues(packed, 4) };
    const size = { width: WIDTH, height: HEIGHT, channels, patch };
    return previewExpected(randomValues(count), randomValues(count, 1), norm, size, SMALL);
  });
}

/** @returns {SingleKernel} */
function pixels() {
  const count = WIDTH * HEIGHT;
  const checked = single("to_rgba", `${count} pixels`, (program) => {
    const [x, out] = [program.tensor(count, 3, "f32"), program.tensor(count, 1, "f32")];
    toRgba(program, x, out);
    return { out, inputs: [x] };
  }, () => rgbaExpected(randomValues(3 * count)));
  return { ...checked, decode: ({ buffer }) => new Uint8Array(buffer) };
}

/**
 * @param {string} kind @param {string} shape in words
 * @param {(program: Program) => {out: Tensor, inputs: Tensor[]}} record inputs: filled with random values of seed 0, 1, ..., in order
 * @param {() => ArrayLike<number>} expected
 * @returns {SingleKernel}
 */
function single(kind, shape, record, expected) {
  return {
    kind,
    workload: {
      shape, share: 0, expected,
      record(program) {
        const { out, inputs } = record(program);
        return { out, fill: () => inputs.forEach((tensor, seed) => fillRandom(program.engine, tensor, seed)) };
      },
    },
  };
}
