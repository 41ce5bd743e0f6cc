/**
 * The VAE decoder (diffusers, AutoencoderKLFlux2.decode): packed latents to a picture. Feature maps are NHWC.
 */

import { attention } from "../engine/ops/attention.js";
import { toRgba, unpackLatents } from "../engine/ops/elementwise.js";
import { conv2d } from "../engine/ops/conv2d.js";
import { linear } from "../engine/ops/linear.js";
import { groupNorm } from "../engine/ops/norms.js";

/**
 * @typedef {import("../engine/program.js").Program} Program
 * @typedef {import("../engine/tensor.js").Tensor} Tensor
 * @typedef {import("../engine/kernel_source.js").FloatType} FloatType
 * @typedef {import("../engine/ops/conv2d.js").FeatureMap} FeatureMap
 * @typedef {import("../engine/weights.js").StageWeights} StageWeights
 * @typedef {import("../manifest.js").VaeDecoderConfig} VaeDecoderConfig
 */

/**
 * @param {Program} program
 * @param {VaeDecoderConfig} config
 * @param {StageWeights} weights
 * @param {object} io
 * @param {Tensor} io.latents f32 [height * width, packed channels]
 * @param {number} io.height in tokens
 * @param {number} io.width in tokens
 * @param {Tensor} io.decoded f32 [pixels, 3]: result, before clamping
 * @param {Tensor} io.rgba [pixels, 1] four bytes each: result
 */
export function recordVaeDecoder(program, config, weights, { latents, height, width, decoded, rgba }) {
  const decoder = new Decoder(program, config, weights);
  const patch = config.patch_size;
  const z = decoder.map(height * patch, width * patch, config.latent_channels);
  unpackLatents(program, latents, { scale: weights.vector("bn.scale"), mean: weights.vector("bn.mean") }, z, patch);
  let x = decoder.conv(z, "post_quant_conv");
  x = decoder.next(x, decoder.conv(x, "decoder.conv_in"), z);
  x = decoder.resnet(x, "decoder.mid_block.resnets.0");
  decoder.attend(x, "decoder.mid_block.attentions.0");
  x = decoder.resnet(x, "decoder.mid_block.resnets.1");
  const blocks = config.block_out_channels.length;
  for (let i = 0; i < blocks; i++) {
    for (let j = 0; j <= config.layers_per_block; j++) x = decoder.resnet(x, `decoder.up_blocks.${i}.resnets.${j}`);
    if (i < blocks - 1) x = decoder.next(x, decoder.conv(x, `decoder.up_blocks.${i}.upsamplers.0.conv`, { upsample: true }));
  }
  const normed = decoder.norm(x, "decoder.conv_norm_out", true);
  decoder.conv(normed, "decoder.conv_out", { out: { width: x.width, height: x.height, tensor: decoded } });
  toRgba(program, decoded, rgba);
  program.release(x.tensor, normed.tensor);
}

/** Records the decoder's parts; each returns a fresh map, and `next` gives an old one back. */
class Decoder {
  /** @param {Program} program @param {VaeDecoderConfig} config @param {StageWeights} weights */
  constructor(program, config, weights) {
    this.program = program;
    this.config = config;
    this.weights = weights;
  }

  /** @param {number} height @param {number} width @param {number} channels @returns {FeatureMap} */
  map(height, width, channels) {
    return { height, width, tensor: this.program.tensor(height * width, channels) };
  }

  /** @param {FeatureMap} old @param {FeatureMap} result @param {...FeatureMap} others @returns {FeatureMap} `result` */
  next(old, result, ...others) {
    this.program.release(old.tensor, ...others.map((map) => map.tensor));
    return result;
  }

  /**
   * @param {FeatureMap} x @param {string} name
   * @param {{upsample?: boolean, residual?: Tensor, out?: FeatureMap}} [options]
   * @returns {FeatureMap}
   */
  conv(x, name, { upsample = false, residual, out } = {}) {
    const weight = this.weights.get(`${name}.weight`);
    const scale = upsample ? 2 : 1;
    const result = out ?? this.map(x.height * scale, x.width * scale, weight.shape[0] ?? 0);
    conv2d(this.program, x, weight, this.weights.vector(`${name}.bias`), result, { upsample, ...(residual ? { residual } : {}) });
    return result;
  }

  /** @param {FeatureMap} x @param {string} name @param {boolean} silu @returns {FeatureMap} */
  norm(x, name, silu) {
    const result = this.map(x.height, x.width, x.tensor.columns);
    const affine = { weight: this.weights.vector(`${name}.weight`), bias: this.weights.vector(`${name}.bias`) };
    groupNorm(this.program, x, affine, result.tensor, { groups: this.config.norm_num_groups, eps: this.config.norm_eps, silu });
    return result;
  }

  /** x or its 1x1 shortcut, + conv2(silu(norm2(conv1(silu(norm1 x))))). Gives x back. @param {FeatureMap} x @param {string} name */
  resnet(x, name) {
    let h = this.norm(x, `${name}.norm1`, true);
    h = this.next(h, this.conv(h, `${name}.conv1`));
    h = this.next(h, this.norm(h, `${name}.norm2`, true));
    const base = this.weights.has(`${name}.conv_shortcut.weight`) ? this.next(x, this.conv(x, `${name}.conv_shortcut`)) : x;
    return this.next(h, this.conv(h, `${name}.conv2`, { residual: base.tensor }), base);
  }

  /** x += attention over all its pixels, one head as wide as the channels. @param {FeatureMap} x @param {string} name */
  attend(x, name) {
    const { program } = this;
    const channels = x.tensor.columns;
    const normed = this.norm(x, `${name}.group_norm`, false).tensor;
    const qkv = program.tensor(x.tensor.rows, 3 * channels);
    const [q, k, v] = /** @type {[Tensor, Tensor, Tensor]} */ (["q", "k", "v"].map((which, i) => {
      const view = qkv.columnRange(i * channels, channels);
      linear(program, normed, this.weights.get(`${name}.to_${which}.weight`), view, { bias: this.weights.vector(`${name}.to_${which}.bias`) });
      return view;
    }));
    attention(program, q, k, v, normed, { headDim: channels });
    const bias = this.weights.vector(`${name}.to_out.0.bias`);
    linear(program, normed, this.weights.get(`${name}.to_out.0.weight`), x.tensor, { bias, accumulate: true });
    program.release(normed, qkv);
  }
}
