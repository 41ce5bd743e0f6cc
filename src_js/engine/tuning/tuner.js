/**
 * Chooses the kernels for this GPU by measuring: each candidate of each kind of work is compiled, compared with the reference, timed
 * on the shapes that count, and the fastest right one wins. Where the shape decides, the best are timed on all of them. Seconds in all
 * on a GPU.
 */

import { throwIfCancelled } from "../../errors.js";
import { maxDispatchFlops } from "../executor.js";
import { Contest, hasFinals, isFatal } from "./contest.js";
import { errorLimit } from "./probe.js";
import { applyReport } from "./report.js";
import { TuningRig } from "./rig.js";

/**
 * @typedef {import("../candidates.js").Candidate} Candidate
 * @typedef {import("../engine.js").Engine} Engine
 * @typedef {import("./report.js").KindReport} KindReport
 * @typedef {import("./report.js").TuningReport} TuningReport
 */

/**
 * @typedef {object} Recorded
 * @property {import("../tensor.js").Tensor} out what the operator writes, contiguous
 * @property {() => void} fill puts the inputs' values in place; called when the program is built
 */

/**
 * @typedef {object} Workload one use of an operator, on made-up data
 * @property {string} shape in words: "512 x 3072 to 9216"
 * @property {number} share how much it counts: times that a picture does as much work of the kind
 * @property {(program: import("../program.js").Program) => Recorded} record records the operator; the same each time
 * @property {() => ArrayLike<number>} [expected] what `out` must hold, worked out in JavaScript
 */

/**
 * @typedef {object} Job one kind of work
 * @property {string} kind
 * @property {readonly Candidate[]} candidates that the device can run, the plainest first
 * @property {Workload[]} probes small ones: every candidate must do them right
 * @property {Workload[]} timed the shapes that count, the most important first; none: the first right candidate is chosen untimed
 * @property {ShapeJob[]} [shapes] those that get a choice of their own, from the candidates that were best on `timed`
 */

/** @typedef {Pick<Engine, "tuning"|"info"> & {maxDispatchFlops?: number}} Tuned an engine as far as this is concerned */
/** @typedef {{kind: string, workload: Workload}} ShapeJob one shape of a kind of work (kinds.js) */

/**
 * @typedef {object} TuningProgress
 * @property {string} kind being worked on
 * @property {string} name of the candidate
 * @property {number} done trials of candidates, some of them left out
 * @property {number} total
 */

/**
 * @typedef {object} TuningOptions
 * @property {AbortSignal | undefined} [signal]
 * @property {(progress: TuningProgress) => void} [onProgress]
 * @property {(kind: string, name: string) => Promise<void>} [onTrial] awaited before a candidate first runs: one that takes the
 *   device down leaves its name behind
 * @property {readonly {kind: string, name: string}[]} [suspects] candidates that did, not to be tried again
 * @property {Pick<TuningRig, "compile"|"faults"|"checkReference"|"check"|"time"|"close">} [rig]
 * @property {() => number} [clock] milliseconds
 */

/** Why a candidate is dropped that ran when the GPU went away. */
export const LOST_WHILE_IT_RAN = "the GPU was lost while it ran";

/**
 * @param {Tuned} engine gets the choices
 * @param {readonly Job[]} jobs
 * @param {TuningOptions} [options]
 * @returns {Promise<TuningReport>}
 * @throws {KleinbildError} cancelled, device-lost
 */
export async function tuneKernels(engine, jobs, options = {}) {
  const { signal, suspects = [], rig = new TuningRig(/** @type {Engine} */ (engine)), clock = () => performance.now() } = options;
  const begin = clock();
  const suspected = (/** @type {string} */ kind, /** @type {string} */ name) => (
    suspects.some((suspect) => suspect.kind === kind && suspect.name === name));
  try {
    for (const job of jobs.filter(({ timed }) => timed.length > 0)) {
      for (const candidate of job.candidates) if (!suspected(job.kind, candidate.name)) rig.compile(job, candidate);
    }
    const faults = await rig.faults();
    /** @type {KindReport[]} */
    const kinds = [];
    const trials = (/** @type {Job} */ job) => job.candidates.length * (hasFinals(job) ? 2 : 1);
    const total = jobs.reduce((sum, job) => sum + trials(job), 0);
    let before = 0;
    for (const job of jobs) {
      let done = before;
      const contest = new Contest(await trustworthy(job, rig, faults), engine, rig);
      for (const candidate of job.candidates) {
        throwIfCancelled(signal);
        options.onProgress?.({ kind: job.kind, name: candidate.name, done: done++, total });
        if (suspected(job.kind, candidate.name)) contest.refuse(candidate, LOST_WHILE_IT_RAN);
        else if (job.timed.length > 0 || !contest.won) {
          await options.onTrial?.(job.kind, candidate.name);
          await contest.enter(candidate);
        }
      }
      await asFast(engine, contest.rate, async () => {
        for (const candidate of contest.finalists()) {
          throwIfCancelled(signal);
          options.onProgress?.({ kind: job.kind, name: candidate.name, done: done++, total });
          await options.onTrial?.(job.kind, candidate.name);
          await contest.enterShapes(candidate);
        }
      });
      kinds.push(contest.report());
      before += trials(job);
    }
    const report = { kinds, faults, seconds: (clock() - begin) / 1000 };
    applyReport(engine, report);
    return report;
  } finally {
    rig.close();
  }
}

/**
 * Candidates are compared with a kernel that runs on the same GPU: is that one right?
 * @param {Job} job @param {Pick<TuningRig, "checkReference">} rig
 * @param {string[]} faults gets a sentence when it is not
 * @returns {Promise<Job>} `job`, or one whose probes need no such kernel
 */
export async function trustworthy(job, rig, faults) {
  const certain = job.probes.filter(({ expected }) => expected);
  if (certain.length === job.probes.length || certain.length === 0) return job;
  let reason;
  try {
    const error = await rig.checkReference(job);
    if (error <= errorLimit(job.kind, "f32")) return job;
    reason = `computes wrong: error ${error.toExponential(1)}`;
  } catch (error) {
    if (isFatal(error)) throw error;
    reason = `does not run: ${error instanceof Error ? error.message : String(error)}`;
  }
  faults.push(`The reference kernel for ${job.kind} ${reason}.`);
  return { ...job, probes: certain };
}

/**
 * Runs what times whole shapes: they must not be cut into smaller dispatches than they will be once the GPU's speed is known.
 * @param {Tuned} engine @param {number} flopsPerSecond @param {() => Promise<void>} work
 */
async function asFast(engine, flopsPerSecond, work) {
  const { maxDispatchFlops: before } = engine;
  try {
    engine.maxDispatchFlops = maxDispatchFlops(engine.info, flopsPerSecond);
    await work();
  } finally {
    if (before !== undefined) engine.maxDispatchFlops = before;
  }
}
