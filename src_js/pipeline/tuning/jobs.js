/**
 * A model's kernels as jobs for the tuner: operators of its own shapes, small ones to compare and true ones to time.
 *
 * Which kinds of work there are, and which candidates each has, the operators tell themselves when they are recorded.
 */

import { splitKind } from "../../engine/tuning/kinds.js";
import { constantWeight, randomWeight } from "../../engine/synthetic/sample_weights.js";
import { attentionShapes, convShapes, linearShapes } from "./shapes.js";
import {
  attentionProbes, attentionWorkload, convProbe, convWorkload, fixedConv, fixedLinear, linearProbe, linearWorkload, smallWeight,
} from "./workloads.js";

/**
 * @typedef {import("../../engine/engine.js").Engine} Engine
 * @typedef {import("../../engine/synthetic/sample_weights.js").SampleWeight} SampleWeight
 * @typedef {import("../../engine/tuning/tuner.js").Job} Job
 * @typedef {import("../../engine/tuning/tuner.js").ShapeJob} ShapeJob
 * @typedef {import("../../engine/tuning/tuner.js").Workload} Workload
 * @typedef {import("../../manifest.js").Manifest} Manifest
 * @typedef {import("../../manifest.js").Tensor} TensorEntry
 * @typedef {import("../../engine/weights.js").Weight} Weight
 * @typedef {import("./shapes.js").LinearShape} LinearShape
 * @typedef {{probes: Workload[], timed: Workload[]}} Subject one use of an operator: small probes that prove its kernels, true shapes
 */

/** More work than this does not make a measurement better: rows are cut. Tens of milliseconds on the slowest GPU in mind. */
const MOST_FLOPS = 1e11;
/** A linear's shape that only the best candidates are timed on may be more. */
const MOST_SHAPE_FLOPS = 3e11;
/** Rows are cut at multiples of this: whole tiles. */
const ROW_GRAIN = 128;
/** Of each stage and way of storing so many linears are compared, the most important ones. */
const LINEARS_PROBED = 2;

/**
 * @param {Engine} engine
 * @param {Manifest} manifest
 * @param {Parameters<typeof openSubjects>[2]} [options]
 * @returns {Promise<{jobs: Job[], close: () => void}>} close gives the made-up weights back
 */
export async function openTuningJobs(engine, manifest, options) {
  const { subjects, close } = await openSubjects(engine, manifest, options);
  return { jobs: jobsOf(engine, subjects), close };
}

/**
 * @param {Engine} engine
 * @param {Manifest} manifest
 * @param {{brief?: boolean}} [options] brief: one small probe only, as software adapters get unless told otherwise
 * @returns {Promise<{subjects: Subject[], close: () => void}>}
 */
export async function openSubjects(engine, manifest, { brief = engine.info.fallback } = {}) {
  const samples = new Samples(engine, manifest);
  const linears = linearShapes(manifest);
  try {
    if (brief) {
      const probes = linears.slice(0, 1).flatMap(({ entries }) => entries.slice(0, 1)).map((entry) => samples.fixed(entry, fixedLinear));
      return { subjects: [{ probes, timed: [] }], close: () => samples.close() };
    }
    /** @type {Subject[]} */
    const subjects = [];
    /** @type {Map<string, Set<Weight>>} by stage and way of storing */
    const probed = new Map();
    for (const { entry, rows, share } of linearWork(linears)) {
      const weight = await samples.random(entry);
      const like = `${entry.stage} ${entry.format} ${entry.block_size} ${entry.zero_points}`;
      const weights = probed.get(like) ?? new Set();
      probed.set(like, weights);
      const compared = weights.size < LINEARS_PROBED && !weights.has(weight);
      if (compared) weights.add(weight);
      subjects.push({
        probes: compared ? [samples.fixed(entry, fixedLinear), linearProbe(weight)] : [],
        timed: [linearWorkload(weight, rows, share)],
      });
    }
    for (const shape of attentionShapes(manifest)) {
      const { queries, keys, heads, headDim, causal } = shape;
      const cut = causal ? queries : cutRows(queries, 4 * keys * heads * headDim, ROW_GRAIN);
      subjects.push({ probes: attentionProbes(shape), timed: [attentionWorkload({ ...shape, queries: cut })] });
    }
    for (const { entry, ...map } of convShapes(manifest)) {
      const weight = await samples.random(entry);
      const height = cutRows(map.height, 2 * map.width * product(entry.shape) * (map.upsample ? 4 : 1), 1);
      const fixed = samples.fixed(entry, (constant) => fixedConv(constant, map.upsample), `upsample ${map.upsample}`);
      subjects.push({ probes: [fixed, convProbe(weight, map.upsample)], timed: [convWorkload(weight, { ...map, height })] });
    }
    return { subjects, close: () => samples.close() };
  } catch (error) {
    samples.close();
    throw error;
  }
}

/**
 * What is timed of linears: first what leads, cut to little work since every candidate does it; then each shape, on the weight of most
 * arithmetic that needs no cut. A shape that always needs one is left to the nearest of those that are timed.
 * @param {readonly LinearShape[]} shapes
 * @returns {{entry: TensorEntry, rows: number, share: number}[]}
 */
function linearWork(shapes) {
  const flops = (/** @type {TensorEntry} */ entry, /** @type {number} */ rows) => 2 * product(entry.shape) * rows;
  const fit = (/** @type {LinearShape} */ { entries, rows }, /** @type {number} */ most) => (
    entries.find((entry) => flops(entry, rows) <= most));
  const leading = shapes.filter(({ leads }) => leads);
  const whole = shapes.filter((shape) => fit(shape, MOST_SHAPE_FLOPS));
  return [...leading.map((shape) => ({ ...shape, most: MOST_FLOPS })), ...whole.map((shape) => ({ ...shape, most: MOST_SHAPE_FLOPS }))]
    .flatMap(({ most, ...shape }) => {
      const entry = fit(shape, most) ?? shape.entries.at(-1);
      return entry ? [{ entry, rows: cutRows(shape.rows, flops(entry, 1), ROW_GRAIN, most), share: shape.share }] : [];
    });
}

/** Made-up weights, and what is worked out with constant ones: once for each way of storing. */
class Samples {
  /** @type {SampleWeight[]} */
  #held = [];
  /** @type {Map<TensorEntry, Weight>} */
  #random = new Map();
  /** @type {Map<string, Workload>} */
  #fixed = new Map();

  /** @param {Engine} engine @param {Manifest} manifest */
  constructor(engine, manifest) {
    this.engine = engine;
    this.manifest = manifest;
  }

  /** @param {TensorEntry} entry @returns {Promise<Weight>} the same for the same entry */
  async random(entry) {
    const known = this.#random.get(entry);
    if (known) return known;
    const sample = await randomWeight(this.engine, this.manifest, entry);
    this.#held.push(sample);
    this.#random.set(entry, sample.weight);
    return sample.weight;
  }

  /**
   * @param {TensorEntry} entry
   * @param {(constant: ReturnType<typeof constantWeight>) => Workload} make
   * @param {string} [form] tells workloads apart that `make` makes of one entry
   * @returns {Workload} the same for entries that are stored alike
   */
  fixed(entry, make, form = "") {
    const small = smallWeight(entry);
    const key = JSON.stringify([small.kind, small.format, small.block_size, small.zero_points, small.shape, form]);
    let workload = this.#fixed.get(key);
    if (!workload) {
      const constant = constantWeight(this.engine, small);
      this.#held.push(constant);
      this.#fixed.set(key, workload = make(constant));
    }
    return workload;
  }

  /** Gives the weights back. */
  close() {
    this.#random.clear();
    for (const sample of this.#held.splice(0)) sample.destroy();
  }
}

/**
 * Sorts subjects into jobs by the kind of work that their true shapes ask for, or their probes when there are none. Of kinds that a
 * shape belongs to (kinds.js), one job tries all candidates on the first subject's shape, and the best of them on all shapes.
 * @param {Engine} engine
 * @param {readonly Subject[]} subjects
 * @returns {Job[]} one a kind; none for an operator that has one kernel and asks for nothing
 */
export function jobsOf(engine, subjects) {
  /** @type {Map<string, Job & {shapes: ShapeJob[]}>} */
  const jobs = new Map();
  for (const { probes, timed } of subjects) {
    for (const workload of timed.length > 0 ? timed : probes) {
      const program = engine.program(workload.shape);    // only recorded, never built
      const [asked] = engine.tuning.observe(() => void workload.record(program));
      if (!asked) continue;
      const [kind, candidates] = asked;
      const { base, shape } = splitKind(kind);
      const job = jobs.get(base) ?? { kind: base, candidates: [], probes: [], timed: [], shapes: [] };
      job.candidates = [...job.candidates, ...candidates.filter(({ name }) => !job.candidates.some((known) => known.name === name))];
      job.probes = [...new Set([...job.probes, ...probes])];
      if (timed.length > 0) {
        if (!shape || job.timed.length === 0) job.timed.push(workload);
        if (shape && !job.shapes.some((known) => known.kind === kind)) job.shapes.push({ kind, workload });
      }
      jobs.set(base, job);
    }
  }
  return [...jobs.values()];
}

/** @param {number[]} shape */
function product(shape) {
  return shape.reduce((a, b) => a * b, 1);
}

/**
 * @param {number} rows @param {number} flopsPerRow @param {number} grain @param {number} [most] FLOPs
 * @returns {number} rows, or fewer that are work enough
 */
function cutRows(rows, flopsPerRow, grain, most = MOST_FLOPS) {
  return Math.min(rows, Math.max(grain, Math.floor(most / flopsPerRow / grain) * grain));
}
