/**
 * From a prompt to a picture: tokenizer, text encoder, transformer steps, VAE decoder, in the order the work is done.
 *
 * It knows FLUX.2 and records into programs; the engine it is given knows WebGPU. Every boundary can be traced, so that a test can
 * compare it with the reference pipeline.
 */

import { KleinbildError, throwIfCancelled } from "../errors.js";
import { stageFlops } from "./cost.js";
import { embedTokens } from "./embedding.js";
import { packLatents } from "./latents.js";
import { torchRandn } from "./noise.js";
import { Residency } from "./residency.js";
import { axesRope, jointPositions, textRope } from "./rope.js";
import { sigmas as sigmaSchedule } from "./scheduler.js";
import { recordTextEncoder } from "./text_encoder.js";
import { timestepEmbedding } from "./timestep.js";
import { Tokenizer } from "./tokenizer/tokenizer.js";
import { modulationColumns, recordPrelude, recordStep } from "./transformer.js";
import { recordVaeDecoder } from "./vae_decoder.js";

/**
 * @typedef {import("../engine/engine.js").Engine} Engine
 * @typedef {import("../engine/program.js").Program} Program
 * @typedef {import("../engine/tensor.js").Tensor} Tensor
 * @typedef {import("../manifest.js").Manifest} Manifest
 * @typedef {import("./residency.js").GpuStage} GpuStage
 */

/**
 * @typedef {object} Settings validated by the caller
 * @property {string} prompt
 * @property {number} width pixels, a multiple of 16
 * @property {number} height pixels, a multiple of 16
 * @property {bigint} seed
 * @property {number} steps
 * @property {Float32Array | null} latents [channels, height/16, width/16] in place of the seed's noise
 */

/**
 * @typedef {object} Progress
 * @property {"loading" | GpuStage} stage
 * @property {number} step finished denoising steps
 * @property {number} steps
 * @property {number} fraction of the picture's work, 0 to 1, never decreasing
 */

/** @typedef {{dtype: "int32"|"float32"|"uint8", shape: number[], data: Int32Array | Float32Array | Uint8Array | Uint8ClampedArray}} TraceArray */

/**
 * @typedef {object} Observer
 * @property {AbortSignal} [signal]
 * @property {(progress: Progress) => void} [onProgress]
 * @property {(name: string, array: TraceArray) => void} [onTrace]
 */

/** @typedef {{width: number, height: number, rgba: Uint8ClampedArray<ArrayBuffer>, seconds: Record<string, number>}} Picture */

export class Generator {
  /**
   * @param {object} parts
   * @param {Engine} parts.engine
   * @param {Manifest} parts.manifest
   * @param {import("./tokenizer/tokenizer.js").Vocabulary} parts.vocabulary
   * @param {import("../engine/weights.js").ReadShard} parts.readShard
   */
  constructor({ engine, manifest, vocabulary, readShard }) {
    this.engine = engine;
    this.manifest = manifest;
    this.readShard = readShard;
    this.tokenizer = new Tokenizer(vocabulary);
    this.residency = new Residency(engine, manifest, readShard);
  }

  /** @param {ConstructorParameters<typeof Generator>[0]} parts @returns {Promise<Generator>} */
  static async load(parts) {
    return new Generator(parts);
  }

  /** Pixels of a token's side: the decoder's upsampling times the patch. */
  get tokenPixels() {
    const { block_out_channels: blocks, patch_size: patch } = this.manifest.config.vae_decoder;
    return patch * 2 ** (blocks.length - 1);
  }

  /**
   * @param {Settings} settings
   * @param {Observer} [observer]
   * @returns {Promise<Picture>}
   * @throws {KleinbildError} bad-input, cancelled, out-of-memory, device-lost, bad-shard
   */
  async generate(settings, observer = {}) {
    const side = this.tokenPixels;
    if (settings.width % side !== 0 || settings.height % side !== 0) {
      throw new KleinbildError("bad-input", `This model draws in multiples of ${side} pixels, not ${settings.width}x${settings.height}.`);
    }
    throwIfCancelled(observer.signal);
    this.engine.check();
    const run = new Run(this, settings, observer);
    try {
      return await run.picture();
    } finally {
      run.close();
    }
  }
}

/** One picture's work: its programs, the arrays that outlive a stage, and its progress. */
class Run {
  /** @type {Program[]} */
  #programs = [];
  /** @type {Record<string, number>} */
  #seconds = {};
  #fraction = 0;
  #step = 0;

  /** @param {Generator} generator @param {Settings} settings @param {Observer} observer */
  constructor(generator, settings, observer) {
    this.generator = generator;
    this.engine = generator.engine;
    this.config = generator.manifest.config;
    this.settings = settings;
    this.observer = observer;
    this.rows = settings.height / generator.tokenPixels;
    this.columns = settings.width / generator.tokenPixels;
    const flops = stageFlops(this.config, settings);
    this.flops = flops;
    this.totalFlops = flops.text_encoder + settings.steps * flops.transformer + flops.vae_decoder;
    /** Holds what passes from stage to stage. */
    this.shared = this.#program("shared");
  }

  /** @returns {Promise<Picture>} */
  async picture() {
    const promptEmbeds = await this.#timed("text_encoder", () => this.#encodePrompt());
    const latents = await this.#timed("transformer", () => this.#denoise(promptEmbeds));
    const rgba = await this.#timed("vae_decoder", () => this.#decode(latents));
    return { width: this.settings.width, height: this.settings.height, rgba, seconds: this.#seconds };
  }

  /** Gives every buffer back. */
  close() {
    for (const program of this.#programs.splice(0)) program.destroy();
    this.engine.pool.trim();
  }

  /** @returns {Promise<Tensor>} prompt embeddings, f32 [text_seq_len, joint_attention_dim] */
  async #encodePrompt() {
    const { text_encoder: config, prompt } = this.config;
    const { manifest, readShard, tokenizer } = this.generator;
    const S = prompt.text_seq_len;
    const { inputIds, attentionMask, length } = tokenizer.encodePrompt(this.settings.prompt);
    this.#trace("input_ids", "int32", [S], inputIds);
    this.#trace("attention_mask", "int32", [S], attentionMask);
    const promptEmbeds = this.shared.tensor(S, config.tapped_layers.length * config.hidden_size, "f32");
    const weights = await this.#weights("text_encoder");
    const program = this.#program("text encoder");
    const x = program.tensor(S, config.hidden_size, "f32");
    const table = program.tensor(S, config.head_dim, "f32");
    this.engine.upload(x, await embedTokens(manifest, readShard, inputIds));
    this.engine.upload(table, textRope(S, config.head_dim, config.rope_theta));
    recordTextEncoder(program, config, weights, { x, length, table, promptEmbeds });
    await program.build();
    await this.#run(program, "text_encoder", this.flops.text_encoder);
    this.#close(program);
    await this.#traceTensor("prompt_embeds", promptEmbeds);
    return promptEmbeds;
  }

  /** @param {Tensor} promptEmbeds @returns {Promise<Tensor>} latents, f32 [rows * columns, in_channels] */
  async #denoise(promptEmbeds) {
    const { transformer: config, prompt } = this.config;
    const { steps, seed } = this.settings;
    const { engine, shared } = this;
    const text = prompt.text_seq_len;
    const tokens = this.rows * this.columns;
    const sigmas = sigmaSchedule(tokens, steps);
    this.#trace("sigmas", "float32", [steps + 1], sigmas);
    const noise = this.settings.latents ?? torchRandn(seed, config.in_channels * tokens);
    const latents = shared.tensor(tokens, config.in_channels, "f32");
    engine.upload(latents, packLatents(noise, config.in_channels, this.rows, this.columns));
    const weights = await this.#weights("transformer");

    const prelude = this.#program("transformer prelude");
    const context = shared.tensor(text, config.hidden_size, "f32");
    const timesteps = prelude.tensor(steps, config.timestep_channels, "f32");
    const table = shared.tensor(steps, modulationColumns(config), "f32");
    const embeddings = new Float32Array(steps * config.timestep_channels);
    for (let i = 0; i < steps; i++) {
      embeddings.set(timestepEmbedding(sigmas[i] ?? 0, config.timestep_channels), i * config.timestep_channels);
    }
    engine.upload(timesteps, embeddings);
    recordPrelude(prelude, config, weights, { promptEmbeds, context, timesteps, modulation: table });
    await prelude.build();
    await engine.run(prelude, { signal: this.observer.signal });
    this.#close(prelude);

    const step = this.#program("transformer step");
    const modulation = step.tensor(1, table.columns, "f32");
    const stepSize = step.tensor(1, 1, "f32");
    const rope = step.tensor(text + tokens, config.attention_head_dim, "f32");
    engine.upload(rope, axesRope(jointPositions(text, this.rows, this.columns), config.axes_dims_rope, config.rope_theta));
    recordStep(step, config, weights, { latents, context, modulation, stepSize, table: rope });
    await step.build();
    for (let i = 0; i < steps; i++) {
      engine.copy(table.rowRange(i, 1), modulation);
      engine.upload(stepSize, Float32Array.of((sigmas[i + 1] ?? 0) - (sigmas[i] ?? 0)));
      await this.#run(step, "transformer", this.flops.transformer);
      this.#step = i + 1;
      this.#report("transformer");
      await this.#traceTensor(`latents_${i}`, latents);
    }
    this.#close(step);
    shared.release(promptEmbeds, context, table);
    return latents;
  }

  /** @param {Tensor} latents @returns {Promise<Uint8ClampedArray<ArrayBuffer>>} RGBA pixels */
  async #decode(latents) {
    const { width, height } = this.settings;
    const { out_channels: channels } = this.config.vae_decoder;
    const weights = await this.#weights("vae_decoder");
    const program = this.#program("VAE decoder");
    const decoded = program.tensor(width * height, channels, "f32");
    const rgba = program.tensor(width * height, 1, "f32");
    recordVaeDecoder(program, this.config.vae_decoder, weights, {
      latents, height: this.rows, width: this.columns, decoded, rgba,
    });
    await program.build();
    await this.#run(program, "vae_decoder", this.flops.vae_decoder);
    const pixels = new Uint8ClampedArray(await this.engine.readBytes(rgba.buffer, 0, width * height * 4));
    if (this.observer.onTrace) {
      const maps = channelsFirst(await this.engine.read(decoded), channels);
      this.#trace("decoded", "float32", [channels, height, width], maps);
      this.#trace("image", "uint8", [height, width, 3], pixels.filter((_, i) => i % 4 !== 3));
    }
    this.#close(program);
    return pixels;
  }

  /** @param {string} label @returns {Program} destroyed with this run at the latest */
  #program(label) {
    const program = this.engine.program(label);
    this.#programs.push(program);
    return program;
  }

  /** @param {Program} program */
  #close(program) {
    this.#programs.splice(this.#programs.indexOf(program), 1);
    program.destroy();
  }

  /** @param {GpuStage} stage */
  #weights(stage) {
    return this.generator.residency.stage(stage, { signal: this.observer.signal, onProgress: () => this.#report("loading") });
  }

  /** @param {Program} program @param {GpuStage} stage @param {number} flops the program's share of the whole */
  async #run(program, stage, flops) {
    const start = this.#fraction;
    const share = flops / this.totalFlops;
    this.#report(stage);
    await this.engine.run(program, {
      signal: this.observer.signal,
      onProgress: (done) => {
        this.#fraction = start + share * Math.min(1, done / program.flops);
        this.#report(stage);
      },
    });
    this.#fraction = start + share;
  }

  /** @param {Progress["stage"]} stage */
  #report(stage) {
    this.observer.onProgress?.({ stage, step: this.#step, steps: this.settings.steps, fraction: Math.min(1, this.#fraction) });
  }

  /** @template T @param {string} name @param {() => Promise<T>} work @returns {Promise<T>} */
  async #timed(name, work) {
    const start = performance.now();
    const result = await work();
    this.#seconds[name] = (performance.now() - start) / 1000;
    return result;
  }

  /** @param {string} name @param {TraceArray["dtype"]} dtype @param {number[]} shape @param {TraceArray["data"]} data */
  #trace(name, dtype, shape, data) {
    this.observer.onTrace?.(name, { dtype, shape, data });
  }

  /** @param {string} name @param {Tensor} tensor */
  async #traceTensor(name, tensor) {
    if (this.observer.onTrace) this.#trace(name, "float32", [tensor.rows, tensor.columns], await this.engine.read(tensor));
  }
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
