/**
 * One picture's work, in the order in which it is done: text encoder, transformer steps (denoising.js), VAE decoder. What serves many
 * pictures is the generator's.
 */

import { KleinbildError } from "../errors.js";
import { stageShards } from "../manifest.js";
import { denoise, startOf } from "./denoising.js";
import { embedTokens, embeddingShards } from "./embedding.js";
import { PictureWork } from "./picture_work.js";
import { promptIdentity } from "./prompt_cache.js";
import { textRope } from "./rope.js";
import { textEncoderProgram, vaeDecoderProgram } from "./stages.js";

/**
 * @typedef {import("../engine/tensor.js").Tensor} Tensor
 * @typedef {import("../manifest.js").Shard} Shard
 * @typedef {import("./generator.js").FetchShards} FetchShards
 * @typedef {import("./generator.js").Picture} Picture
 */

/** @typedef {{inputIds: Int32Array, length: number, kept: import("./prompt_cache.js").Lookup | undefined}} Prompt length: tokens of inputIds */

/**
 * @param {ConstructorParameters<typeof PictureWork>} of
 * @returns {Promise<Picture>} made or not, every buffer of it is given back, and nobody hears of it afterwards
 */
export async function makePicture(...of) {
  const work = new PictureWork(...of);
  const { width, height, steps } = work.settings;
  try {
    const latents = work.observer.from?.step === steps ? finishedLatents(work) : await denoised(work);
    const rgba = await work.timed("vae_decoder", () => decode(work, latents));
    await work.settled();
    return { width, height, rgba, seconds: work.seconds };
  } finally {
    await work.close();
  }
}

/** @param {PictureWork} work @returns {Promise<Tensor>} latents, f32 [rows * columns, in_channels] */
async function denoised(work) {
  const prompt = await readPrompt(work);
  await fetchMissing(work, prompt);
  /** @type {import("./denoising.js").Start | undefined} */
  let start;
  const promptEmbeds = await work.timed("text_encoder", () => encodePrompt(work, prompt, () => (start = startOf(work))));
  return work.timed("transformer", () => denoise(work, promptEmbeds, start ?? startOf(work)));
}

/** Of a picture whose steps are all done. @param {PictureWork} work @returns {Tensor} as `denoised` */
function finishedLatents(work) {
  const { engine, plan, observer: { from }, settings: { steps } } = work;
  const latents = work.tensor(work.shapes.latents);
  engine.upload(latents, /** @type {import("./generator.js").FinishedStep} */ (from).latents);
  work.step = steps;
  work.skip(plan.flops - plan.programs.vae_decoder.flops);
  return latents;
}

/** @param {PictureWork} work @returns {Promise<Prompt>} */
async function readPrompt(work) {
  const S = work.config.prompt.text_seq_len;
  const { inputIds, attentionMask, length } = work.generator.tokenizer.encodePrompt(work.settings.prompt);
  work.trace("input_ids", "int32", [S], inputIds);
  work.trace("attention_mask", "int32", [S], attentionMask);
  return { inputIds, length, kept: await findPrompt(work, inputIds, length) };
}

/**
 * @param {PictureWork} work @param {Int32Array} inputIds @param {number} length tokens of them
 * @returns {Promise<import("./prompt_cache.js").Lookup | undefined>} undefined without a cache, or when the result itself is asked for
 */
async function findPrompt({ engine, generator: { manifest, prompts, platform }, observer, shapes }, inputIds, length) {
  if (!prompts || observer.onTrace) return undefined;
  const [rows, columns] = shapes.promptEmbeds;
  return prompts.find(promptIdentity(manifest, engine, platform, inputIds, length), rows * columns, observer.keepPrompt ?? true);
}

/** Before anything is computed: what this picture needs and others do not. @param {PictureWork} work @param {Prompt} prompt */
async function fetchMissing(work, { inputIds, kept }) {
  const { generator: { fetchShards, manifest }, plan } = work;
  if (!fetchShards) return;
  if (!kept?.values) {
    work.weights("text_encoder");                          // arrive on the GPU meanwhile
    await fetch(work, fetchShards, embeddingShards(manifest, inputIds), "the rows of the model's word table that this prompt needs");
  }
  if (!plan.modulationRows) {
    await fetch(work, fetchShards, stageShards(manifest, "modulation"), "the part of the model that this size and number of steps need");
  }
}

/** @param {PictureWork} work @param {FetchShards} fetchShards @param {readonly Shard[]} shards @param {string} what they are, in words */
async function fetch(work, fetchShards, shards, what) {
  work.fetching = true;
  try {
    await fetchShards(shards, {
      signal: work.observer.signal,
      onProgress: ({ files, totalFiles, ...bytes }) => work.report("download", { step: files, steps: totalFiles, ...bytes }),
    });
  } catch (error) {
    if (!(error instanceof KleinbildError) || error.code !== "download-failed") throw error;
    throw new KleinbildError("incomplete", `Not on this device yet: ${what}. ${error.message}`, { cause: error });
  } finally {
    work.fetching = false;
  }
}

/**
 * @param {PictureWork} work @param {Prompt} prompt
 * @param {() => void} meanwhile called while the GPU is at it, if it is
 * @returns {Promise<Tensor>} prompt embeddings, f32 [text_seq_len, joint_attention_dim]
 */
async function encodePrompt(work, { inputIds, length, kept }, meanwhile) {
  const { engine, config: { text_encoder: config, prompt }, generator: { manifest, readShard }, plan } = work;
  const promptEmbeds = work.tensor(work.shapes.promptEmbeds);
  const { flops } = plan.programs.text_encoder;
  if (kept?.values) {
    engine.upload(promptEmbeds, kept.values);
    work.skip(flops);
    return promptEmbeds;
  }
  const weights = work.weights("text_encoder");
  const program = work.program("text encoder");
  const { x, table } = textEncoderProgram(program, work.config, weights, { length, promptEmbeds });
  await work.build(program, weights);
  engine.upload(x, await embedTokens(manifest, readShard, inputIds));
  engine.upload(table, textRope(prompt.text_seq_len, config.head_dim, config.rope_theta));
  if (!plan.modulationRows) work.loadAhead("modulation", "text_encoder");
  work.loadAhead("transformer", "text_encoder");
  await work.run([{ program, finish: meanwhile }], "text_encoder", flops);
  work.end(program);
  await work.traceTensor("prompt_embeds", promptEmbeds);
  if (kept) work.aside(engine.read(promptEmbeds).then(kept.keep));
  return promptEmbeds;
}

/** @param {PictureWork} work @param {Tensor} latents @returns {Promise<Uint8ClampedArray<ArrayBuffer>>} RGBA pixels */
async function decode(work, latents) {
  const { engine, config, observer, plan, settings: { width, height }, size } = work;
  const weights = work.weights("vae_decoder");
  const program = work.program("VAE decoder");
  const { decoded, rgba } = vaeDecoderProgram(program, config, weights, { latents, ...size, mapBytes: plan.mapBytes });
  await work.build(program, weights);
  /** @type {{bytes?: Promise<ArrayBuffer>}} */
  const reading = {};
  const read = () => work.aside(reading.bytes = engine.readBytes(rgba.buffer, 0, width * height * 4));
  // asked for behind the last submit, so that the bytes are on their way when its end is told
  await work.run([{ program, finish: read }], "vae_decoder", plan.programs.vae_decoder.flops);
  const pixels = new Uint8ClampedArray(/** @type {ArrayBuffer} */ (await reading.bytes));
  if (observer.onTrace) {
    const { out_channels: channels } = config.vae_decoder;
    work.trace("decoded", "float32", [channels, height, width], channelsFirst(await engine.read(decoded), channels));
    work.trace("image", "uint8", [height, width, 3], pixels.filter((_, i) => i % 4 !== 3));
  }
  work.end(program);
  return pixels;
}

/** @param {Float32Array} pixels [n, channels] @param {number} channels @returns {Float32Array} [channels, n] */
function channelsFirst(pixels, channels) {
  const count = pixels.length / channels;
  const result = new Float32Array(pixels.length);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < channels; c++) result[c * count + i] = /** @type {number} */ (pixels[i * channels + c]);
  }
  return result;
}
