/**
 * The VAE decoder (diffusers, AutoencoderKLFlux2.decode): packed latents to a picture. Feature maps are NHWC.
 *
 * Maps of the upsampling blocks that would be too large lie in bands of rows (feature_maps.js). A convolution then takes each band with
 * a row of its neighbours on either side, normalised with the statistics of the whole map: the same picture, from a little more work.
 */

import { attention } from "../engine/ops/attention.js";
import { toRgba, unpackLatents } from "../engine/ops/elementwise.js";
import { conv2d } from "../engine/ops/conv2d.js";
import { linear } from "../engine/ops/linear.js";
import { elementBytes } from "../engine/tensor.js";
import { groupNorm, groupStatistics, normaliseGroups } from "../engine/ops/norms.js";
import { previewLatents } from "../engine/ops/preview_latents.js";
import { BandedMap, newMap } from "./feature_maps.js";

/**
 * @typedef {import("../engine/program.js").Program} Program
 * @typedef {import("../engine/program.js").Range} Range
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
 * @param {number} [io.mapBytes] larger maps of the upsampling blocks lie in bands of at most so many bytes, or of one row
 */
export function recordVaeDecoder(program, config, weights, { latents, height, width, ...results }) {
  const { latent_channels: channels, patch_size: patch } = config;
  const z = newMap(program, { height: height * patch, width: width * patch, channels }, Infinity);
  unpackLatents(program, latents, packedNorm(weights), z.map, patch);
  recordDecoder(program, config, weights, z, results);
}

/**
 * What a step leads to, decoded small: the estimate of the clean latents, averaged.
 * @param {Program} program
 * @param {VaeDecoderConfig} config
 * @param {StageWeights} weights
 * @param {object} io
 * @param {Tensor} io.latents f32 [height * width, packed channels]: after the step
 * @param {Tensor} io.before likewise: before it
 * @param {Tensor} io.ahead f32 [1, 1]: how far the estimate lies beyond the latents, in steps like this one
 * @param {number} io.height in tokens
 * @param {number} io.width in tokens
 * @param {{height: number, width: number}} io.small of the averaged map, in latent pixels
 * @param {Tensor} io.decoded f32 [pixels, 3]: result, before clamping
 * @param {Tensor} io.rgba [pixels, 1] four bytes each: result
 */
export function recordPreview(program, config, weights, { latents, before, ahead, height, width, small, ...results }) {
  const z = newMap(program, { ...small, channels: config.latent_channels }, Infinity);
  previewLatents(program, { x: latents, before, ahead, height, width }, packedNorm(weights), z.map, config.patch_size);
  recordDecoder(program, config, weights, z, results);
}

/** @param {StageWeights} weights @returns {{scale: Range, mean: Range}} the batch norm's inverse, one value a packed channel */
function packedNorm(weights) {
  return { scale: weights.vector("bn.scale"), mean: weights.vector("bn.mean") };
}

/**
 * @param {Program} program @param {VaeDecoderConfig} config @param {StageWeights} weights
 * @param {BandedMap} z latents as the decoder takes them, a whole map; given back
 * @param {{decoded: Tensor, rgba: Tensor, mapBytes?: number}} results as of recordVaeDecoder
 */
function recordDecoder(program, config, weights, z, { decoded, rgba, mapBytes = Infinity }) {
  const decoder = new Decoder(program, config, weights);
  const quantised = decoder.conv(z, "post_quant_conv");
  z.release(program);
  let x = decoder.next(quantised, decoder.conv(quantised, "decoder.conv_in"));
  x = decoder.resnet(x, "decoder.mid_block.resnets.0");
  decoder.attend(x, "decoder.mid_block.attentions.0");
  x = decoder.resnet(x, "decoder.mid_block.resnets.1");
  decoder.mapBytes = mapBytes;
  const blocks = config.block_out_channels.length;
  for (let i = 0; i < blocks; i++) {
    for (let j = 0; j <= config.layers_per_block; j++) x = decoder.resnet(x, `decoder.up_blocks.${i}.resnets.${j}`);
    if (i < blocks - 1) x = decoder.next(x, decoder.conv(x, `decoder.up_blocks.${i}.upsamplers.0.conv`, { upsample: true }));
  }
  decoder.normedConv(x, "decoder.conv_norm_out", "decoder.conv_out", { out: new BandedMap(x.width, [decoded]), spent: true });
  toRgba(program, decoded, rgba);
  x.release(program);
}

/**
 * @typedef {object} ConvOptions
 * @property {boolean} [upsample]
 * @property {BandedMap} [residual] added; with bands it may be `out`
 * @property {BandedMap} [out] a fresh map unless given
 */

/** Records the decoder's parts; each returns a fresh map unless told otherwise, and `next` gives an old one back. */
class Decoder {
  /** @param {Program} program @param {VaeDecoderConfig} config @param {StageWeights} weights */
  constructor(program, config, weights) {
    this.program = program;
    this.config = config;
    this.weights = weights;
    /** Larger maps lie in bands. */
    this.mapBytes = Infinity;
  }

  /** @param {{height: number, width: number, channels: number}} size @returns {BandedMap} */
  map(size) {
    return newMap(this.program, size, this.#mostRows(size));
  }

  /** @param {{width: number, channels: number}} size @returns {number} rows that a band may have */
  #mostRows({ width, channels }) {
    return Math.max(1, Math.floor(this.mapBytes / (width * channels * elementBytes(this.program.float))));
  }

  /** @param {BandedMap} old @param {BandedMap} result @returns {BandedMap} `result` */
  next(old, result) {
    old.release(this.program);
    return result;
  }

  /** @param {BandedMap} x @param {string} name @param {ConvOptions} [options] @returns {BandedMap} */
  conv(x, name, { upsample = false, residual, out = this.#result(x, name, upsample) } = {}) {
    if (x.whole && out.whole) this.#convMap(x.map, name, out.map, { upsample, residual: residual?.map.tensor });
    else this.#convBands(x, name, out, { upsample, residual });
    return out;
  }

  /**
   * conv(silu(norm x))
   * @param {BandedMap} x @param {string} norm @param {string} name
   * @param {ConvOptions & {spent?: boolean}} [options] spent: x is needed no more, a whole one may be overwritten
   * @returns {BandedMap}
   */
  normedConv(x, norm, name, { spent = false, residual, out = this.#result(x, name, false) } = {}) {
    const { program, config: { norm_num_groups: groups, norm_eps: eps } } = this;
    if (x.whole && out.whole) {
      const normed = spent ? x : this.map(x);
      groupNorm(program, x.map, this.#affine(norm), normed.map.tensor, { groups, eps, silu: true });
      this.#convMap(normed.map, name, out.map, { residual: residual?.map.tensor });
      if (!spent) normed.release(program);
      return out;
    }
    const statistics = groupStatistics(program, x.maps, { groups, eps });
    const prepare = (/** @type {FeatureMap} */ rows) => (
      normaliseGroups(program, rows, statistics, this.#affine(norm), rows.tensor, { silu: true }));
    this.#convBands(x, name, out, { residual, prepare });
    program.release(statistics);
    return out;
  }

  /**
   * @param {FeatureMap} x @param {string} name @param {FeatureMap} out
   * @param {{upsample?: boolean, residual?: Tensor | undefined}} options
   */
  #convMap(x, name, out, { upsample = false, residual }) {
    const { weights } = this;
    const options = { upsample, ...(residual ? { residual } : {}) };
    conv2d(this.program, x, weights.get(`${name}.weight`), weights.vector(`${name}.bias`), out, options);
  }

  /**
   * Row by row what #convMap does at once: the rows that a band needs are gathered, `prepare`d and convolved in memory of their own. At
   * their cut edges the convolution meets zeros in place of the map, so what it makes of the outermost rows is left out.
   * @param {BandedMap} x @param {string} name @param {BandedMap} out
   * @param {{upsample?: boolean, residual?: BandedMap | undefined, prepare?: (rows: FeatureMap) => void}} options
   */
  #convBands(x, name, out, { upsample = false, residual, prepare }) {
    const { program } = this;
    const scale = upsample ? 2 : 1;
    const reach = (this.weights.get(`${name}.weight`).shape[2] ?? 1) >> 1;
    const rows = Math.min(this.#mostRows(x), Math.max(1, Math.floor(this.#mostRows(out) / scale)));
    for (let begin = 0; begin < x.height; begin += rows) {
      const end = Math.min(x.height, begin + rows);
      const [first, last] = [Math.max(0, begin - reach), Math.min(x.height, end + reach)];
      const input = x.gather(program, first, last);
      prepare?.(input);
      const added = residual?.gather(program, first * scale, last * scale);
      const height = (last - first) * scale;
      const result = { width: out.width, height, tensor: program.tensor(height * out.width, out.channels, out.dtype) };
      this.#convMap(input, name, result, { upsample, residual: added?.tensor });
      out.scatter(program, begin * scale, end * scale, result, (begin - first) * scale);
      program.release(input.tensor, result.tensor, ...(added ? [added.tensor] : []));
    }
  }

  /** @param {BandedMap} x @param {string} name of a convolution @param {boolean} upsample @returns {BandedMap} where its result goes */
  #result(x, name, upsample) {
    const scale = upsample ? 2 : 1;
    return this.map({ height: x.height * scale, width: x.width * scale, channels: this.weights.get(`${name}.weight`).shape[0] ?? 0 });
  }

  /** @param {string} name */
  #affine(name) {
    return { weight: this.weights.vector(`${name}.weight`), bias: this.weights.vector(`${name}.bias`) };
  }

  /**
   * x or its 1x1 shortcut, + conv2(silu(norm2(conv1(silu(norm1 x))))). Gives x back.
   *
   * A whole x with a shortcut is the largest map of its block: once the shortcut is there, norm1 may overwrite it. In bands nothing is
   * normalised as a whole, so the shortcut waits until conv1 is done, and the result goes where the sum's other term was.
   * @param {BandedMap} x @param {string} name
   */
  resnet(x, name) {
    const shortcut = this.weights.has(`${name}.conv_shortcut.weight`);
    const make = () => (shortcut ? this.conv(x, `${name}.conv_shortcut`) : x);
    let base = x.whole ? make() : undefined;
    const h = this.normedConv(x, `${name}.norm1`, `${name}.conv1`, { spent: shortcut && base !== undefined });
    base ??= make();
    if (shortcut) x.release(this.program);
    const inPlace = base.whole ? {} : { out: base };
    const result = this.normedConv(h, `${name}.norm2`, `${name}.conv2`, { residual: base, spent: true, ...inPlace });
    if (result !== base) base.release(this.program);
    return this.next(h, result);
  }

  /** x += attention over all its pixels, one head as wide as the channels. @param {BandedMap} x a whole one @param {string} name */
  attend({ map: x }, name) {
    const { program, config: { norm_num_groups: groups, norm_eps: eps } } = this;
    const channels = x.tensor.columns;
    const normed = program.tensor(x.tensor.rows, channels);
    groupNorm(program, x, this.#affine(`${name}.group_norm`), normed, { groups, eps });
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
