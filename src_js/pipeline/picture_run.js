/**
 * One picture's work, in the order in which it is done: text encoder, transformer steps, VAE decoder. It owns the picture's programs, the
 * arrays that outlive a stage, and its progress; what serves many pictures is the generator's.
 */

import { KleinbildError } from "../errors.js";
import { stageShards } from "../manifest.js";
import { embedTokens, embeddingShards } from "./embedding.js";
import { packLatents } from "./latents.js";
import { readTable } from "./modulation_table.js";
import { torchRandn } from "./noise.js";
import { promptIdentity } from "./prompt_cache.js";
import { axesRope, jointPositions, textRope } from "./rope.js";
import { sigmas as sigmaSchedule } from "./scheduler.js";
import { modulationProgram, pictureSize, preludeProgram, sharedShapes, stepProgram, textEncoderProgram, vaeDecoderProgram } from "./stages.js";
import { timestepEmbedding } from "./timestep.js";

/**
 * @typedef {import("../engine/program.js").Program} Program
 * @typedef {import("../engine/tensor.js").Tensor} Tensor
 * @typedef {import("../engine/weights.js").StageWeights} StageWeights
 * @typedef {import("../manifest.js").Shard} Shard
 * @typedef {import("./generator.js").FetchShards} FetchShards
 * @typedef {import("./generator.js").Generator} Generator
 * @typedef {import("./generator.js").Observer} Observer
 * @typedef {import("./generator.js").Picture} Picture
 * @typedef {import("./generator.js").Progress} Progress
 * @typedef {import("./generator.js").Settings} Settings
 * @typedef {import("./generator.js").TraceArray} TraceArray
 * @typedef {import("./plan.js").PicturePlan} PicturePlan
 * @typedef {import("./residency.js").GpuStage} GpuStage
 */

/** @typedef {{inputIds: Int32Array, length: number, kept: import("./prompt_cache.js").Lookup | undefined}} Prompt length: tokens of inputIds */

export class PictureRun {
  /** @type {Program[]} */
  #programs = [];
  /** @type {Tensor[]} what passes from stage to stage */
  #tensors = [];
  /** @type {Record<string, number>} */
  #seconds = {};
  #fraction = 0;
  #step = 0;
  /** @type {GpuStage | undefined} whose weights were asked for last: loading ahead is not what the picture waits for */
  #awaited;
  /** Whether the picture waits for shards from the server. */
  #fetching = false;
  /** @type {Promise<void> | undefined} the prompt's result on its way into the cache, while the picture goes on */
  #keeping;

  /** @param {Generator} generator @param {Settings} settings @param {Observer} observer @param {PicturePlan} plan */
  constructor(generator, settings, observer, plan) {
    this.generator = generator;
    this.engine = generator.engine;
    this.config = generator.manifest.config;
    this.settings = settings;
    this.observer = observer;
    this.plan = plan;
    this.size = pictureSize(this.config, settings);
    this.shapes = sharedShapes(this.config, this.size);
  }

  /** @returns {Promise<Picture>} */
  async picture() {
    const prompt = await this.#readPrompt();
    await this.#fetchMissing(prompt);
    const promptEmbeds = await this.#timed("text_encoder", () => this.#encodePrompt(prompt));
    const latents = await this.#timed("transformer", () => this.#denoise(promptEmbeds));
    const rgba = await this.#timed("vae_decoder", () => this.#decode(latents));
    await this.#keeping;
    return { width: this.settings.width, height: this.settings.height, rgba, seconds: this.#seconds };
  }

  /** Gives every buffer back. */
  close() {
    for (const program of this.#programs.splice(0)) program.destroy();
    this.engine.release(...this.#tensors.splice(0));
  }

  /** @returns {Promise<Prompt>} */
  async #readPrompt() {
    const S = this.config.prompt.text_seq_len;
    const { inputIds, attentionMask, length } = this.generator.tokenizer.encodePrompt(this.settings.prompt);
    this.#trace("input_ids", "int32", [S], inputIds);
    this.#trace("attention_mask", "int32", [S], attentionMask);
    return { inputIds, length, kept: await this.#findPrompt(inputIds, length) };
  }

  /** Before anything is computed: what this picture needs and others do not. @param {Prompt} prompt */
  async #fetchMissing({ inputIds, kept }) {
    const { fetchShards, manifest } = this.generator;
    if (!fetchShards) return;
    if (!kept?.values) {
      this.#weights("text_encoder");                     // arrive on the GPU meanwhile
      await this.#fetch(fetchShards, embeddingShards(manifest, inputIds), "the rows of the model's word table that this prompt needs");
    }
    if (!this.plan.modulationRows) {
      await this.#fetch(fetchShards, stageShards(manifest, "modulation"), "the part of the model that this size and number of steps need");
    }
  }

  /** @param {FetchShards} fetchShards @param {readonly Shard[]} shards @param {string} what they are, in words */
  async #fetch(fetchShards, shards, what) {
    this.#fetching = true;
    try {
      await fetchShards(shards, {
        signal: this.observer.signal,
        onProgress: ({ files, totalFiles, ...bytes }) => this.#report("download", { step: files, steps: totalFiles, ...bytes }),
      });
    } catch (error) {
      if (!(error instanceof KleinbildError) || error.code !== "download-failed") throw error;
      throw new KleinbildError("incomplete", `Not on this device yet: ${what}. ${error.message}`, { cause: error });
    } finally {
      this.#fetching = false;
    }
  }

  /** @param {Prompt} prompt @returns {Promise<Tensor>} prompt embeddings, f32 [text_seq_len, joint_attention_dim] */
  async #encodePrompt({ inputIds, length, kept }) {
    const { text_encoder: config, prompt } = this.config;
    const { manifest, readShard } = this.generator;
    const promptEmbeds = this.#tensor(this.shapes.promptEmbeds);
    const { flops } = this.plan.programs.text_encoder;
    if (kept?.values) {
      this.engine.upload(promptEmbeds, kept.values);
      this.#fraction += flops / this.plan.flops;
      return promptEmbeds;
    }
    const weights = this.#weights("text_encoder");
    const program = this.#program("text encoder");
    const { x, table } = textEncoderProgram(program, this.config, weights, { length, promptEmbeds });
    await this.#build(program, weights);
    this.engine.upload(x, await embedTokens(manifest, readShard, inputIds));
    this.engine.upload(table, textRope(prompt.text_seq_len, config.head_dim, config.rope_theta));
    if (!this.plan.modulationRows) this.#loadAhead("modulation", "text_encoder");
    this.#loadAhead("transformer", "text_encoder");
    await this.#run([{ program }], "text_encoder", flops);
    this.#close(program);
    await this.#traceTensor("prompt_embeds", promptEmbeds);
    // A read that fails is the device's failure, which the next stage meets.
    this.#keeping = kept && this.engine.read(promptEmbeds).then(kept.keep).catch(() => undefined);
    return promptEmbeds;
  }

  /**
   * @param {Int32Array} inputIds @param {number} length tokens of them
   * @returns {Promise<import("./prompt_cache.js").Lookup | undefined>} undefined without a cache, or when the result itself is asked for
   */
  async #findPrompt(inputIds, length) {
    const { engine, manifest, prompts, platform } = this.generator;
    if (!prompts || this.observer.onTrace) return undefined;
    const [rows, columns] = this.shapes.promptEmbeds;
    return prompts.find(promptIdentity(manifest, engine, platform, inputIds, length), rows * columns, this.observer.keepPrompt ?? true);
  }

  /** @param {Tensor} promptEmbeds @returns {Promise<Tensor>} latents, f32 [rows * columns, in_channels] */
  async #denoise(promptEmbeds) {
    const { transformer: config, prompt } = this.config;
    const { steps, seed } = this.settings;
    const { engine } = this;
    const { rows, columns } = this.size;
    const tokens = rows * columns;
    const sigmas = sigmaSchedule(tokens, steps);
    this.#trace("sigmas", "float32", [steps + 1], sigmas);
    const modulations = await this.#modulate(sigmas);
    const noise = this.settings.latents ?? torchRandn(seed, config.in_channels * tokens);
    const latents = this.#tensor(this.shapes.latents);
    engine.upload(latents, packLatents(noise, config.in_channels, rows, columns));
    const weights = this.#weights("transformer");

    const prelude = this.#program("transformer prelude");
    const context = this.#tensor(this.shapes.context);
    preludeProgram(prelude, weights, { promptEmbeds, context });
    await this.#build(prelude, weights);
    await this.#run([{ program: prelude }], "transformer", this.plan.programs.prelude.flops);
    this.#close(prelude);
    this.#release(promptEmbeds);

    const step = this.#program("transformer step");
    const { modulation, stepSize, table } = stepProgram(step, this.config, weights, { latents, context });
    await this.#build(step, weights);
    this.#loadAhead("vae_decoder", "transformer");
    engine.upload(table, axesRope(jointPositions(prompt.text_seq_len, rows, columns), config.axes_dims_rope, config.rope_theta));
    const parts = Array.from({ length: steps }, (_, i) => ({
      program: step,
      prepare: () => {
        engine.copy(modulations.rowRange(i, 1), modulation);
        engine.upload(stepSize, Float32Array.of((sigmas[i + 1] ?? 0) - (sigmas[i] ?? 0)));
      },
    }));
    // a boundary that is traced is a pause, others are none
    const runs = this.observer.onTrace ? parts.map((part) => [part]) : [parts];
    for (const run of runs) {
      const before = this.#step;
      await this.#run(run, "transformer", run.length * this.plan.programs.step.flops, (done) => {
        this.#step = before + Math.floor(done / step.flops);
      });
      await this.#traceTensor(`latents_${before}`, latents);
    }
    this.#close(step);
    this.#release(context, modulations);
    return latents;
  }

  /** @param {Float32Array} sigmas @returns {Promise<Tensor>} every step's modulation, f32 [steps, modulationColumns] */
  async #modulate(sigmas) {
    const { manifest, readShard } = this.generator;
    const { timestep_channels: channels } = this.config.transformer;
    const modulation = this.#tensor(this.shapes.modulation);
    const { modulationRows, programs } = this.plan;
    if (modulationRows) {
      this.engine.upload(modulation, await readTable(manifest, readShard, modulationRows));
      return modulation;
    }
    const weights = this.#weights("modulation");
    const program = this.#program("modulation");
    const { timesteps } = modulationProgram(program, this.config, weights, { modulation });
    await this.#build(program, weights);
    const embeddings = new Float32Array(modulation.rows * channels);
    for (let i = 0; i < modulation.rows; i++) embeddings.set(timestepEmbedding(sigmas[i] ?? 0, channels), i * channels);
    this.engine.upload(timesteps, embeddings);
    this.#loadAhead("transformer", "modulation");
    await this.#run([{ program }], "transformer", programs.modulation?.flops ?? 0);
    this.#close(program);
    return modulation;
  }

  /** @param {Tensor} latents @returns {Promise<Uint8ClampedArray<ArrayBuffer>>} RGBA pixels */
  async #decode(latents) {
    const { width, height } = this.settings;
    const { out_channels: channels } = this.config.vae_decoder;
    const weights = this.#weights("vae_decoder");
    const program = this.#program("VAE decoder");
    const { decoded, rgba } = vaeDecoderProgram(program, this.config, weights, { latents, ...this.size, mapBytes: this.plan.mapBytes });
    await this.#build(program, weights);
    await this.#run([{ program }], "vae_decoder", this.plan.programs.vae_decoder.flops);
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

  /** @param {[number, number]} shape rows and columns @returns {Tensor} f32, given back with this run at the latest */
  #tensor(shape) {
    const tensor = this.engine.tensor(...shape, "f32");
    this.#tensors.push(tensor);
    return tensor;
  }

  /** @param {...Tensor} tensors that `#tensor` gave */
  #release(...tensors) {
    this.#tensors = this.#tensors.filter((tensor) => !tensors.includes(tensor));
    this.engine.release(...tensors);
  }

  /** @param {Program} program */
  #close(program) {
    this.#programs.splice(this.#programs.indexOf(program), 1);
    program.destroy();
  }

  /** @param {GpuStage} stage @returns {StageWeights} loaded, or being loaded */
  #weights(stage) {
    this.#awaited = stage;
    return this.generator.residency.stage(stage, this.plan.workBytes[stage], this.#loading(stage));
  }

  /** Loads a stage's weights while another one computes, where there is room for both. @param {GpuStage} stage @param {GpuStage} running */
  #loadAhead(stage, running) {
    this.generator.residency.ahead(stage, this.plan.workBytes[running], this.#loading(stage));
  }

  /** @param {GpuStage} stage @returns {import("../engine/weights.js").LoadOptions} */
  #loading(stage) {
    const { signal } = this.observer;
    return {
      signal,
      onProgress: (loading) => {
        if (this.#awaited === stage && !this.#fetching) this.#report("loading", loading);
      },
    };
  }

  /** Compiles while the weights arrive. @param {Program} program recorded @param {StageWeights} weights that it binds */
  async #build(program, weights) {
    await Promise.all([program.build(), weights.loaded]);
  }

  /**
   * @param {import("../engine/executor.js").Part[]} parts
   * @param {Progress["stage"]} stage
   * @param {number} flops the parts' share of the whole
   * @param {(flops: number) => void} [onDone] gets the FLOPs finished so far
   */
  async #run(parts, stage, flops, onDone) {
    const start = this.#fraction;
    const share = flops / this.plan.flops;
    const total = parts.reduce((sum, { program }) => sum + program.flops, 0);
    this.#report(stage);
    await this.engine.runAll(parts, {
      signal: this.observer.signal,
      onProgress: (done) => {
        this.#fraction = start + share * Math.min(1, done / total);
        onDone?.(done);
        this.#report(stage);
      },
    });
    this.#fraction = start + share;
  }

  /** @param {Progress["stage"]} stage @param {Partial<Progress>} [more] */
  #report(stage, more) {
    const { steps } = this.settings;
    this.observer.onProgress?.({ stage, step: this.#step, steps, fraction: Math.min(1, this.#fraction), ...more });
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
