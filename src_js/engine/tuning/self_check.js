/**
 * Whether the kernels compute what they should on this GPU: every candidate of every kind of work, chosen or not, and every operator
 * that has one kernel only, each against its reference. The tuner asks the same of candidates before it times them; this tells all of
 * it, times nothing and changes no choice.
 */

import { throwIfCancelled } from "../../errors.js";
import { isFatal } from "./contest.js";
import { errorLimit } from "./probe.js";
import { MOST_ERROR } from "./report.js";
import { TuningRig } from "./rig.js";
import { trustworthy } from "./tuner.js";

/**
 * @typedef {object} SingleKernel an operator that has one kernel
 * @property {string} kind
 * @property {import("./tuner.js").Workload} workload with `expected`
 * @property {(values: Float32Array<ArrayBuffer>) => ArrayLike<number>} [decode] what was read, as `expected` counts it
 */

/**
 * @typedef {object} Check of one kernel
 * @property {string} kind of work
 * @property {string} name of the candidate, "" where there is one kernel
 * @property {boolean} chosen whether it serves that kind of work now
 * @property {number} error relative to the reference; MOST_ERROR stands for anything larger, and for a kernel that did not run
 * @property {number} limit the largest error that is right
 * @property {string} problem why it did not run, "" when it did
 */

/**
 * @typedef {object} SelfCheck
 * @property {Check[]} checks
 * @property {string[]} faults of the shader compiler and of the kernels that others are compared with, in words
 * @property {number} seconds
 */

/**
 * @param {import("../engine.js").Engine} engine
 * @param {{jobs: readonly import("./tuner.js").Job[], singles: readonly SingleKernel[]}} work
 * @param {object} [options]
 * @param {AbortSignal} [options.signal]
 * @param {(done: number, total: number) => void} [options.onProgress] kernels
 * @param {(kind: string, name: string) => string} [options.skip] why a candidate must not be run again, "" to run it
 * @param {Pick<TuningRig, "faults"|"checkReference"|"check"|"checkSingle"|"close">} [options.rig]
 * @param {() => number} [options.clock] milliseconds
 * @returns {Promise<SelfCheck>}
 * @throws {import("../../errors.js").KleinbildError} cancelled, device-lost
 */
export async function selfCheck(engine, { jobs, singles }, options = {}) {
  const { signal, onProgress, skip = () => "", rig = new TuningRig(engine), clock = () => performance.now() } = options;
  const begin = clock();
  const total = singles.length + jobs.reduce((sum, { candidates }) => sum + candidates.length, 0);
  /** @type {Check[]} */
  const checks = [];
  /** @param {Pick<Check, "kind"|"name"|"chosen"|"limit">} facts @param {() => Promise<number>} measure */
  const add = async (facts, measure) => {
    throwIfCancelled(signal);
    onProgress?.(checks.length, total);
    checks.push({ ...facts, ...await outcome(measure) });
  };
  try {
    const faults = await rig.faults();
    for (const { kind, workload, decode } of singles) {
      const limit = errorLimit(kind, engine.info.precision);
      await add({ kind, name: "", chosen: true, limit }, () => rig.checkSingle(workload, decode));
    }
    for (const untimed of jobs.map((job) => ({ ...job, timed: [] }))) {
      const job = await trustworthy(untimed, rig, faults);
      const { name: chosen } = engine.tuning.pick(job.kind, job.candidates);
      for (const candidate of job.candidates) {
        const { name, types } = candidate;
        const limit = errorLimit(job.kind, types?.["F"] ?? engine.info.precision);
        await add({ kind: job.kind, name, chosen: name === chosen, limit }, async () => {
          const reason = skip(job.kind, name);
          if (reason !== "") throw new Error(reason);
          return rig.check(job, candidate);
        });
      }
    }
    return { checks, faults, seconds: (clock() - begin) / 1000 };
  } finally {
    rig.close();
  }
}

/** @param {() => Promise<number>} measure @returns {Promise<Pick<Check, "error"|"problem">>} */
async function outcome(measure) {
  try {
    return { error: Math.min(MOST_ERROR, await measure()), problem: "" };
  } catch (error) {
    if (isFatal(error)) throw error;
    return { error: MOST_ERROR, problem: error instanceof Error ? error.message : String(error) };
  }
}
