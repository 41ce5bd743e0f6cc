/**
 * Chooses the kernels for this GPU by measuring: each candidate of each kind of work is compiled, compared with the reference, timed
 * on the shapes that count, and the fastest right one wins. Seconds in all on a GPU.
 */

import { KleinbildError, throwIfCancelled } from "../../errors.js";
import { errorLimit } from "./probe.js";
import { MOST_ERROR, applyReport } from "./report.js";
import { TuningRig } from "./rig.js";

/**
 * @typedef {import("../candidates.js").Candidate} Candidate
 * @typedef {import("../engine.js").Engine} Engine
 * @typedef {import("./report.js").CandidateReport} CandidateReport
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
 */

/**
 * @typedef {object} TuningProgress
 * @property {string} kind being worked on
 * @property {string} name of the candidate
 * @property {number} done candidates
 * @property {number} total candidates
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

/** A candidate this many times slower than the best of its family on some shape is not looked at further. */
const HOPELESS = 2;
/** Why a candidate is dropped that ran when the GPU went away. */
export const LOST_WHILE_IT_RAN = "the GPU was lost while it ran";
/** Failures of the engine, not of a candidate. */
const FATAL = new Set(["cancelled", "device-lost"]);

/**
 * @param {Pick<Engine, "tuning"|"info">} engine gets the choices
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
    const total = jobs.reduce((sum, { candidates }) => sum + candidates.length, 0);
    let done = 0;
    for (const job of jobs) {
      const contest = new Contest(await trustworthy(job, rig, faults), engine.info.precision, rig);
      for (const candidate of job.candidates) {
        throwIfCancelled(signal);
        options.onProgress?.({ kind: job.kind, name: candidate.name, done: done++, total });
        if (suspected(job.kind, candidate.name)) contest.refuse(candidate, LOST_WHILE_IT_RAN);
        else if (job.timed.length > 0 || !contest.won) {
          await options.onTrial?.(job.kind, candidate.name);
          await contest.enter(candidate);
        }
      }
      kinds.push(contest.report());
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

/** @param {unknown} error @returns {boolean} whether it is the engine's end, or the user's wish, and not a candidate's fault */
export function isFatal(error) {
  return error instanceof KleinbildError && FATAL.has(error.code);
}

/**
 * @typedef {object} Entry
 * @property {Candidate} candidate
 * @property {number} error
 * @property {number} flops timed
 * @property {number} seconds they took; 0 when not timed
 * @property {boolean} whole whether all shapes were timed well
 * @property {string} dropped
 */

/** The candidates of one job against each other. */
class Contest {
  /** @type {Entry[]} */
  #entries = [];
  /** @type {Map<string, number>} fewest seconds by family and workload */
  #best = new Map();

  /** @param {Job} job @param {import("../kernel_source.js").FloatType} precision @param {Pick<TuningRig, "check"|"time">} rig */
  constructor(job, precision, rig) {
    this.job = job;
    this.precision = precision;
    this.rig = rig;
  }

  /** Whether any candidate was right. */
  get won() {
    return this.#entries.some(({ dropped }) => dropped === "");
  }

  /** @param {Candidate} candidate @param {string} dropped why it is not tried */
  refuse(candidate, dropped) {
    this.#entries.push({ candidate, error: MOST_ERROR, flops: 0, seconds: 0, whole: false, dropped });
  }

  /** Checks and times a candidate. @param {Candidate} candidate */
  async enter(candidate) {
    const entry = { candidate, error: MOST_ERROR, flops: 0, seconds: 0, whole: false, dropped: "" };
    this.#entries.push(entry);
    try {
      entry.error = Math.min(MOST_ERROR, await this.rig.check(this.job, candidate));
      const limit = errorLimit(this.job.kind, candidate.types?.["F"] ?? this.precision);
      if (entry.error > limit) {
        entry.dropped = `computes wrong: error ${entry.error.toExponential(1)}, at most ${limit} is right`;
      } else await this.#time(entry);
    } catch (error) {
      if (isFatal(error)) throw error;
      entry.dropped = `does not run: ${error instanceof Error ? error.message : String(error)}`;
      entry.seconds = 0;
      entry.error = MOST_ERROR;
    }
  }

  /** @param {Entry} entry */
  async #time(entry) {
    const { candidate } = entry;
    for (const [i, workload] of this.job.timed.entries()) {
      const field = `${candidate.family} ${i}`;
      const best = this.#best.get(field) ?? Infinity;
      const timed = await this.#timeOne(candidate, workload, HOPELESS * best);
      if (!timed) return;
      const { seconds, whole, flops } = timed;
      entry.seconds += seconds * workload.share;
      entry.flops += flops * workload.share;
      if (!whole) return;
      this.#best.set(field, Math.min(best, seconds));
    }
    entry.whole = true;
  }

  /**
   * @param {Candidate} candidate @param {Workload} workload @param {number} limit seconds
   * @returns {Promise<Awaited<ReturnType<TuningRig["time"]>> | undefined>} undefined when the GPU has no room for a shape of this size
   */
  async #timeOne(candidate, workload, limit) {
    try {
      return await this.rig.time(this.job, candidate, workload, limit);
    } catch (error) {
      if (error instanceof KleinbildError && error.code === "out-of-memory") return undefined;
      throw error;
    }
  }

  /** @returns {KindReport} */
  report() {
    const speed = (/** @type {Entry} */ { flops, seconds }) => (seconds > 0 ? flops / seconds : 0);
    const right = this.#entries.filter(({ dropped }) => dropped === "");
    const ranked = [...right].sort((a, b) => Number(b.whole) - Number(a.whole) || speed(b) - speed(a));
    const wrong = this.#entries.filter(({ dropped }) => dropped !== "");
    const [leastWrong] = [...wrong].sort((a, b) => a.error - b.error);
    const chosen = ranked[0] ?? leastWrong;
    if (!chosen) throw new RangeError(`${this.job.kind}: no candidates`);
    return {
      kind: this.job.kind,
      chosen: chosen.candidate.name,
      problem: ranked[0] ? "" : `no kernel for ${this.job.kind} computes right on this GPU`,
      candidates: [...ranked, ...wrong].map((entry) => ({
        name: entry.candidate.name, family: entry.candidate.family, tflops: speed(entry) / 1e12,
        error: entry.error, dropped: entry.dropped,
      })),
    };
  }
}
