/**
 * What a picture of some size will take, before anything runs: dispatches, arithmetic, bytes moved and memory of each program. The very
 * functions that record the real programs record these, on an engine without a GPU, so a plan cannot tell other than the truth.
 */

import { DryEngine } from "../engine/dry_engine.js";
import { variantKey } from "../engine/kernel_source.js";
import { Tensor, elementBytes } from "../engine/tensor.js";
import { StageWeights, place } from "../engine/weights.js";
import { weightShards, weightTensors } from "../manifest.js";
import { tableRows } from "./modulation_table.js";
import { sigmas } from "./scheduler.js";
import { choosePreview } from "./preview_size.js";
import {
  modulationProgram, pictureSize, preludeProgram, previewProgram, sharedShapes, stepProgram, textEncoderProgram, vaeDecoderProgram,
} from "./stages.js";

/**
 * @typedef {import("../engine/kernel_source.js").Variant} Variant
 * @typedef {import("../engine/program.js").Program} Program
 * @typedef {import("../manifest.js").Manifest} Manifest
 * @typedef {import("../manifest.js").StageName} StageName
 * @typedef {import("./residency.js").GpuStage} GpuStage
 */

/** @typedef {"text_encoder"|"modulation"|"prelude"|"step"|"preview"|"vae_decoder"} ProgramName */

/**
 * @typedef {object} ProgramPlan
 * @property {GpuStage} stage whose weights it takes
 * @property {number} dispatches
 * @property {number} flops
 * @property {number} weightBytes moved: those that the dispatches bind; what two of them bind counts twice
 * @property {number} tensorBytes moved, counted likewise: as many rows and columns as are bound
 * @property {number} activationBytes memory of its own tensors and of its dispatches' parameters
 * @property {number} sharedBytes memory of what passes between programs and exists while it runs
 * @property {number} largestBytes its largest tensor: one buffer, and one binding
 * @property {Record<string, {dispatches: number, flops: number}>} kernels by kernel file
 */

/**
 * @typedef {object} PicturePlan
 * @property {Record<Exclude<ProgramName, "modulation"|"preview">, ProgramPlan> & {modulation?: ProgramPlan, preview?: ProgramPlan}} programs
 *   one step of all; modulation: unless the table has it; preview: with previews
 * @property {number[] | undefined} modulationRows of the table, one a step; undefined: the program modulation computes them
 * @property {import("./preview_size.js").PreviewSize | undefined} preview undefined: there are none. With previews the VAE decoder's
 *   weights lie beside the transformer's
 * @property {number} flops of the whole picture, its previews included
 * @property {Record<GpuStage, number>} weightBytes of each stage that the picture uses, 0 of another
 * @property {Record<GpuStage, number>} workBytes of each stage: memory beside its weights while it runs
 * @property {number} largestBytes of any tensor
 * @property {number} mapBytes larger maps of the decoder lie in bands; Infinity: all are whole
 * @property {Variant[]} variants kernels to compile, each once
 */

/** What exists beside each program's own tensors. */
const SHARED = /** @type {const} */ ({
  text_encoder: ["promptEmbeds"],
  modulation: ["promptEmbeds", "modulation"],
  prelude: ["promptEmbeds", "latents", "context", "modulation"],
  step: ["promptEmbeds", "latents", "context", "modulation"],   // built before the prelude has run
  preview: ["before"],                                   // beside what the step has
  vae_decoder: ["latents"],
});

/**
 * @param {Manifest} manifest
 * @param {StageName} name
 * @returns {number} GPU memory of a stage's weights
 */
export function stageBytes(manifest, name) {
  return weightShards(manifest, name).reduce((sum, i) => sum + (manifest.shards[i]?.bytes ?? 0), 0);
}

/**
 * @param {ConstructorParameters<typeof DryEngine>[0]} engine whose facts and kernels count
 * @param {Manifest} manifest
 * @param {{width: number, height: number, steps: number, length?: number, mapBytes?: number, preview?: boolean}} picture width and
 *   height in pixels, whole tokens; length: tokens of the prompt, as many as it can have unless given; mapBytes: larger maps of the decoder
 *   lie in bands; preview: with previews, if any is quick enough
 * @returns {PicturePlan}
 */
export function planPicture(engine, manifest, picture) {
  const { config } = manifest;
  const dry = new DryEngine(engine);
  const size = pictureSize(config, picture);
  const shapes = sharedShapes(config, size);
  const shared = {
    promptEmbeds: dry.tensor(...shapes.promptEmbeds, "f32"), context: dry.tensor(...shapes.context, "f32"),
    modulation: dry.tensor(...shapes.modulation, "f32"), latents: dry.tensor(...shapes.latents, "f32"),
    before: dry.tensor(...shapes.before, "f32"),
  };
  const sharedBytes = (/** @type {ProgramName} */ name) => SHARED[name].reduce((sum, key) => sum + shared[key].storage.bytes, 0);
  const { length = config.prompt.text_seq_len, mapBytes = Infinity } = picture;
  const modulationRows = tableRows(manifest, sigmas(size.rows * size.columns, picture.steps).subarray(0, picture.steps));
  const [transformer, decoder] = [shapesOf(manifest, "transformer"), shapesOf(manifest, "vae_decoder")];
  /** @type {Map<string, Variant>} */
  const variants = new Map();
  /** @param {ProgramName} name @param {GpuStage} stage @param {(program: Program) => void} record @returns {ProgramPlan} */
  const plan = (name, stage, record) => {
    const program = dry.program(name);
    record(program);
    for (const { variant } of program.dispatches) variants.set(variantKey(variant), variant);
    return { stage, ...describe(program), sharedBytes: sharedBytes(name) };
  };
  const step = plan("step", "transformer", (program) => stepProgram(program, config, transformer, shared));
  /** @param {import("./preview_size.js").PreviewSize["small"]} small @returns {(program: Program) => void} */
  const recordPreview = (small) => (program) => previewProgram(program, config, decoder, { ...shared, ...size, small });
  const preview = picture.preview ? choosePreview(config, size, step.flops, (small) => {
    const program = dry.program("preview");
    recordPreview(small)(program);
    return program.flops;
  }) : undefined;
  const programs = {
    text_encoder: plan("text_encoder", "text_encoder", (program) => (
      textEncoderProgram(program, config, shapesOf(manifest, "text_encoder"), { ...shared, length }))),
    ...(!modulationRows && {
      modulation: plan("modulation", "modulation", (program) => modulationProgram(program, config, shapesOf(manifest, "modulation"), shared)),
    }),
    prelude: plan("prelude", "transformer", (program) => preludeProgram(program, transformer, shared)),
    step,
    ...(preview && { preview: plan("preview", "vae_decoder", recordPreview(preview.small)) }),
    vae_decoder: plan("vae_decoder", "vae_decoder", (program) => vaeDecoderProgram(program, config, decoder, { ...shared, ...size, mapBytes })),
  };
  const sums = whole(manifest, programs, picture.steps, preview?.count ?? 0);
  return { programs, modulationRows, preview, mapBytes, ...sums, variants: [...variants.values()] };
}

/** @param {Manifest} manifest @param {PicturePlan["programs"]} programs @param {number} steps @param {number} previews how many */
function whole(manifest, programs, steps, previews) {
  const { text_encoder: encoder, modulation, prelude, step, preview, vae_decoder: decoder } = programs;
  const work = (/** @type {ProgramPlan[]} */ ...plans) => Math.max(...plans.map((p) => p.activationBytes + p.sharedBytes));
  return {
    flops: encoder.flops + (modulation?.flops ?? 0) + prelude.flops + steps * step.flops + previews * (preview?.flops ?? 0)
      + decoder.flops,
    weightBytes: {
      text_encoder: stageBytes(manifest, "text_encoder"), modulation: modulation ? stageBytes(manifest, "modulation") : 0,
      transformer: stageBytes(manifest, "transformer"), vae_decoder: stageBytes(manifest, "vae_decoder"),
    },
    workBytes: {
      text_encoder: work(encoder), modulation: modulation ? work(modulation) : 0,
      transformer: prelude.activationBytes + work(step) + (preview ? work(preview) : 0), vae_decoder: work(decoder),
    },
    largestBytes: Math.max(...Object.values(programs).map(({ largestBytes }) => largestBytes)),
  };
}

/** @param {Program} program recorded */
function describe(program) {
  const { bytes, storages, parameterBytes } = program.plan();
  /** @type {ProgramPlan["kernels"]} */
  const kernels = {};
  let [weightBytes, tensorBytes] = [0, 0];
  for (const { variant: { kernel }, bindings, flops } of program.dispatches) {
    const sum = (kernels[kernel] ??= { dispatches: 0, flops: 0 });
    sum.dispatches += 1;
    sum.flops += flops;
    for (const bound of Object.values(bindings)) {
      if (bound instanceof Tensor) tensorBytes += bound.rows * bound.columns * elementBytes(bound.dtype);
      else weightBytes += bound?.size ?? 0;
    }
  }
  return {
    dispatches: program.dispatches.length, flops: program.flops, weightBytes, tensorBytes, activationBytes: bytes + parameterBytes,
    largestBytes: Math.max(0, ...storages.map((storage) => storage.bytes)), kernels,
  };
}

/** @param {Manifest} manifest @param {GpuStage} stage @returns {StageWeights} where weights would lie, in buffers that do not exist */
function shapesOf(manifest, stage) {
  const buffer = /** @type {GPUBuffer} */ ({});
  const shards = new Map(manifest.shards.map((_, i) => [i, buffer]));
  const entries = weightTensors(manifest, stage);
  const nowhere = /** @type {import("../engine/gpu_memory.js").GpuMemory} */ ({});
  return new StageWeights(nowhere, [], new Map(entries.map((entry) => [entry.name, place(entry, shards)])));
}
