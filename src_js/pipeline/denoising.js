/**
 * The denoising loop: prelude, steps, and what is taken out of them on the way: previews, and the latents after each step, from which the
 * picture can go on when the GPU is lost. Both are read back while the next step runs; no step waits for them.
 */

import { packLatents } from "./latents.js";
import { readTable } from "./modulation_table.js";
import { torchRandn } from "./noise.js";
import { previewDue, previewsDue } from "./preview_size.js";
import { Previews } from "./previews.js";
import { axesRope, jointPositions } from "./rope.js";
import { sigmas as sigmaSchedule } from "./scheduler.js";
import { modulationProgram, preludeProgram, stepProgram } from "./stages.js";
import { timestepEmbedding } from "./timestep.js";

/**
 * @typedef {import("../engine/executor.js").Part} Part
 * @typedef {import("../engine/tensor.js").Tensor} Tensor
 * @typedef {import("./picture_work.js").PictureWork} PictureWork
 */

/**
 * What denoising starts from and the processor works out: tens of milliseconds for a large picture.
 * @typedef {object} Start
 * @property {Float32Array} sigmas [steps + 1]
 * @property {Float32Array} latents f32 [rows * columns, in_channels]: the noise, or where an earlier try ended
 * @property {Float32Array<ArrayBuffer>} table axesRope of the joint sequence
 */

/** @param {PictureWork} work @returns {Start} */
export function startOf({ config, observer, settings: { latents, seed, steps }, size: { rows, columns } }) {
  const { axes_dims_rope: axes, in_channels: channels, rope_theta: theta } = config.transformer;
  const noise = () => packLatents(latents ?? torchRandn(seed, channels * rows * columns), channels, rows, columns);
  return {
    sigmas: sigmaSchedule(rows * columns, steps),
    latents: observer.from?.latents ?? noise(),
    table: axesRope(jointPositions(config.prompt.text_seq_len, rows, columns), axes, theta),
  };
}

/**
 * @param {PictureWork} work
 * @param {Tensor} promptEmbeds f32 [text_seq_len, joint_attention_dim]; given back
 * @param {Start} start
 * @returns {Promise<Tensor>} latents, f32 [rows * columns, in_channels]
 */
export async function denoise(work, promptEmbeds, start) {
  const { config, engine, plan, observer, settings: { steps } } = work;
  const { sigmas } = start;
  work.trace("sigmas", "float32", [steps + 1], sigmas);
  const modulations = await modulate(work, sigmas);
  const latents = work.tensor(work.shapes.latents);
  engine.upload(latents, start.latents);
  const [weights, decoderWeights] = plan.preview ? work.weightsOfBoth("transformer", "vae_decoder") : [work.weights("transformer")];

  const { part: prelude, context } = await openPrelude(work, weights, promptEmbeds);
  const step = work.program("transformer step");
  const { modulation, stepSize, table } = stepProgram(step, config, weights, { latents, context });
  await work.build(step, weights);
  engine.upload(table, start.table);
  const previews = decoderWeights && (await Previews.open(work, decoderWeights, latents));
  if (!previews) work.loadAhead("vae_decoder", "transformer");

  const first = observer.from?.step ?? 0;
  work.step = first;
  work.skip(first * plan.programs.step.flops + previewsDue(plan.preview, first) * (plan.programs.preview?.flops ?? 0));
  /** @type {{parts: Part[], done: number}[]} a step each, with its preview; done: steps that are finished behind its first part */
  const runs = Array.from({ length: steps - first }, (_, index) => {
    const i = first + index;
    const [sigma = 0, next = 0] = sigmas.subarray(i, i + 2);
    const preview = previewDue(plan.preview, i + 1, steps) ? previews : undefined;
    const part = {
      program: step,
      prepare: () => {
        preview?.keep();
        engine.copy(modulations.rowRange(i, 1), modulation);
        engine.upload(stepSize, Float32Array.of(next - sigma));
      },
      finish: () => keepStep(work, i + 1, latents),
    };
    return { parts: preview ? [part, preview.part(i + 1, sigma, next)] : [part], done: i + 1 };
  });
  runs.unshift({ parts: [prelude], done: first });
  // a boundary that is traced is a pause, others are none
  const groups = observer.onTrace ? [runs.slice(0, 2), ...runs.slice(2).map((run) => [run])] : [runs];
  for (const group of groups) {
    await runSteps(work, group);
    await work.traceTensor(`latents_${work.step - 1}`, latents);
  }
  previews?.close();
  work.end(step);
  work.release(context, modulations);
  return latents;
}

/** @param {PictureWork} work @param {{parts: Part[], done: number}[]} runs */
async function runSteps(work, runs) {
  let flops = 0;
  const ends = runs.map(({ parts, done }) => {
    const end = flops + (parts[0]?.program.flops ?? 0);
    for (const { program } of parts) flops += program.flops;
    return { end, done };
  });
  const parts = runs.flatMap((run) => run.parts);
  await work.run(parts, "transformer", flops, (finished) => {
    // sums of fractions of a program's FLOPs may miss it by a rounding
    for (const { end, done } of ends) if (finished >= end - 0.5) work.step = Math.max(work.step, done);
  });
}

/** Takes the latents out behind a step. @param {PictureWork} work @param {number} step finished ones @param {Tensor} latents */
function keepStep(work, step, latents) {
  const { engine, observer: { onStep } } = work;
  if (onStep) work.aside(engine.read(latents).then((values) => onStep({ step, latents: values })));
}

/**
 * @param {PictureWork} work @param {import("../engine/weights.js").StageWeights} weights
 * @param {Tensor} promptEmbeds given back when the part was submitted
 * @returns {Promise<{part: Part, context: Tensor}>} to be run ahead of the steps; its result, f32 [text_seq_len, hidden_size]
 */
async function openPrelude(work, weights, promptEmbeds) {
  const program = work.program("transformer prelude");
  const context = work.tensor(work.shapes.context);
  preludeProgram(program, weights, { promptEmbeds, context });
  await work.build(program, weights);
  const finish = () => {
    work.end(program);
    work.release(promptEmbeds);
  };
  return { part: { program, finish }, context };
}

/** @param {PictureWork} work @param {Float32Array} sigmas @returns {Promise<Tensor>} every step's modulation, f32 [steps, modulationColumns] */
async function modulate(work, sigmas) {
  const { config, engine, generator: { manifest, readShard }, plan: { modulationRows, programs } } = work;
  const { timestep_channels: channels } = config.transformer;
  const modulation = work.tensor(work.shapes.modulation);
  if (modulationRows) {
    engine.upload(modulation, await readTable(manifest, readShard, modulationRows));
    return modulation;
  }
  const weights = work.weights("modulation");
  const program = work.program("modulation");
  const { timesteps } = modulationProgram(program, config, weights, { modulation });
  await work.build(program, weights);
  const embeddings = new Float32Array(modulation.rows * channels);
  for (let i = 0; i < modulation.rows; i++) embeddings.set(timestepEmbedding(sigmas[i] ?? 0, channels), i * channels);
  engine.upload(timesteps, embeddings);
  work.loadAhead("transformer", "modulation");
  await work.run([{ program }], "transformer", programs.modulation?.flops ?? 0);
  work.end(program);
  return modulation;
}
