/**
 * The programs of a picture, each with the tensors it takes and gives: what the generator runs, what plan.js predicts from, and what
 * the benchmark measures are recorded here, once.
 */

import { recordTextEncoder } from "./text_encoder.js";
import { modulationColumns, recordModulation, recordPrelude, recordStep } from "./transformer.js";
import { recordPreview, recordVaeDecoder } from "./vae_decoder.js";

/**
 * @typedef {import("../engine/program.js").Program} Program
 * @typedef {import("../engine/tensor.js").Tensor} Tensor
 * @typedef {import("../engine/weights.js").StageWeights} StageWeights
 * @typedef {import("../manifest.js").ModelConfig} ModelConfig
 */

/**
 * @typedef {object} PictureSize
 * @property {number} rows of tokens
 * @property {number} columns of tokens
 * @property {number} steps
 */

/** @param {ModelConfig} config @returns {number} pixels of a token's side: the decoder's upsampling times the patch */
export function tokenPixels(config) {
  return config.vae_decoder.patch_size * latentPixels(config);
}

/** @param {ModelConfig} config @returns {number} pixels of a latent pixel's side: the decoder's upsampling */
export function latentPixels({ vae_decoder: { block_out_channels: blocks } }) {
  return 2 ** (blocks.length - 1);
}

/**
 * @param {ModelConfig} config
 * @param {{width: number, height: number, steps: number}} picture width and height in pixels
 * @returns {PictureSize}
 */
export function pictureSize(config, { width, height, steps }) {
  const side = tokenPixels(config);
  return { rows: height / side, columns: width / side, steps };
}

/**
 * What passes from program to program, f32.
 * @param {ModelConfig} config @param {PictureSize} size
 */
export function sharedShapes({ text_encoder: encoder, transformer, prompt }, { rows, columns, steps }) {
  const shape = (/** @type {number} */ height, /** @type {number} */ width) => /** @type {[number, number]} */ ([height, width]);
  return {
    /** Residual streams that were tapped: from the text encoder to the prelude. */
    promptEmbeds: shape(prompt.text_seq_len, encoder.tapped_layers.length * encoder.hidden_size),
    /** The prompt in the transformer's width: from the prelude to the steps. */
    context: shape(prompt.text_seq_len, transformer.hidden_size),
    /** A row a step: from the table, or the modulation's program, to the steps. */
    modulation: shape(steps, modulationColumns(transformer)),
    /** The picture in the making: through the steps to the decoder. */
    latents: shape(rows * columns, transformer.in_channels),
    /** The same before the step in hand: for a preview after it. */
    before: shape(rows * columns, transformer.in_channels),
  };
}

/**
 * @param {Program} program @param {ModelConfig} config @param {StageWeights} weights
 * @param {{length: number, promptEmbeds: Tensor}} io length: the prompt's tokens; promptEmbeds: result
 * @returns {{x: Tensor, table: Tensor}} to be uploaded: token embeddings, overwritten by a run; textRope
 */
export function textEncoderProgram(program, { text_encoder: config, prompt }, weights, { length, promptEmbeds }) {
  const x = program.tensor(prompt.text_seq_len, config.hidden_size, "f32");
  const table = program.tensor(prompt.text_seq_len, config.head_dim, "f32");
  recordTextEncoder(program, config, weights, { x, length, table, promptEmbeds, contextClip: prompt.context_clip });
  return { x, table };
}

/**
 * @param {Program} program @param {ModelConfig} config @param {StageWeights} weights of the stage modulation
 * @param {{modulation: Tensor}} io result
 * @returns {{timesteps: Tensor}} to be uploaded: timestepEmbedding of each step
 */
export function modulationProgram(program, { transformer: config }, weights, { modulation }) {
  const timesteps = program.tensor(modulation.rows, config.timestep_channels, "f32");
  recordModulation(program, config, weights, { timesteps, modulation });
  return { timesteps };
}

/**
 * @param {Program} program @param {StageWeights} weights
 * @param {{promptEmbeds: Tensor, context: Tensor}} io context: result
 */
export function preludeProgram(program, weights, { promptEmbeds, context }) {
  recordPrelude(program, weights, { promptEmbeds, context });
}

/**
 * @param {Program} program @param {ModelConfig} config @param {StageWeights} weights
 * @param {{latents: Tensor, context: Tensor}} io latents: changed in place
 * @returns {{modulation: Tensor, stepSize: Tensor, table: Tensor}} to be uploaded: this step's row of the shared table; sigma of the
 *   next step minus this one's; axesRope
 */
export function stepProgram(program, { transformer: config }, weights, { latents, context }) {
  const modulation = program.tensor(1, modulationColumns(config), "f32");
  const stepSize = program.tensor(1, 1, "f32");
  const table = program.tensor(context.rows + latents.rows, config.attention_head_dim, "f32");
  recordStep(program, config, weights, { latents, context, modulation, stepSize, table });
  return { modulation, stepSize, table };
}

/**
 * @param {Program} program @param {ModelConfig} config @param {StageWeights} weights
 * @param {{latents: Tensor, rows: number, columns: number, mapBytes?: number}} io mapBytes: larger maps lie in bands
 * @returns {{decoded: Tensor, rgba: Tensor}} results: f32 [pixels, channels]; [pixels, 1], four bytes each
 */
export function vaeDecoderProgram(program, config, weights, { latents, rows, columns, mapBytes = Infinity }) {
  const pixels = latents.rows * tokenPixels(config) ** 2;
  const decoded = program.tensor(pixels, config.vae_decoder.out_channels, "f32");
  const rgba = program.tensor(pixels, 1, "f32");
  recordVaeDecoder(program, config.vae_decoder, weights, { latents, height: rows, width: columns, decoded, rgba, mapBytes });
  return { decoded, rgba };
}

/**
 * @param {Program} program @param {ModelConfig} config @param {StageWeights} weights of the VAE decoder
 * @param {{latents: Tensor, before: Tensor, rows: number, columns: number, small: {height: number, width: number}}} io latents after and
 *   before a step; small: the map that is decoded, in latent pixels
 * @returns {{ahead: Tensor, rgba: Tensor}} to be uploaded: how far the estimate lies beyond `latents`, in steps like this one; result:
 *   [pixels, 1], four bytes each
 */
export function previewProgram(program, config, weights, { latents, before, rows, columns, small }) {
  const pixels = small.height * small.width * latentPixels(config) ** 2;
  const ahead = program.tensor(1, 1, "f32");
  const decoded = program.tensor(pixels, config.vae_decoder.out_channels, "f32");
  const rgba = program.tensor(pixels, 1, "f32");
  recordPreview(program, config.vae_decoder, weights, { latents, before, ahead, height: rows, width: columns, small, decoded, rgba });
  program.release(decoded);
  return { ahead, rgba };
}
