/**
 * The candidates of one job against each other: all on the shapes that stand for the job, then the best of them on every shape that
 * gets a choice of its own.
 */

import { KleinbildError } from "../../errors.js";
import { errorLimit } from "./probe.js";
import { MOST_ERROR } from "./report.js";

/**
 * @typedef {import("../candidates.js").Candidate} Candidate
 * @typedef {import("./report.js").CandidateReport} CandidateReport
 * @typedef {import("./report.js").KindReport} KindReport
 * @typedef {import("./report.js").ShapeReport} ShapeReport
 * @typedef {import("./rig.js").TuningRig} TuningRig
 * @typedef {import("./tuner.js").Job} Job
 * @typedef {import("./tuner.js").Workload} Workload
 */

/** A candidate this many times slower than the best of its family on some shape is not looked at further. */
const HOPELESS = 2;
/** One that may be the best on another shape is at most this many times slower on the first. */
const NEAR = 1.6;
/** At most so many are timed on all shapes. */
const MOST_FINALISTS = 6;
/** There, one so much slower than the best is not measured exactly. */
const BEATEN = 1.2;
/** Failures of the engine, not of a candidate. */
const FATAL = new Set(["cancelled", "device-lost"]);

/** @param {unknown} error @returns {boolean} whether it is the engine's end, or the user's wish, and not a candidate's fault */
export function isFatal(error) {
  return error instanceof KleinbildError && FATAL.has(error.code);
}

/** @param {Job} job @returns {boolean} whether shapes beside the ones on which all candidates are timed get a choice of their own */
export function hasFinals({ timed, shapes = [] }) {
  return shapes.some(({ workload }) => !timed.includes(workload));
}

/** @typedef {Awaited<ReturnType<TuningRig["time"]>>} Timed */

/**
 * @typedef {object} Entry
 * @property {Candidate} candidate
 * @property {number} error
 * @property {Map<Workload, Timed>} times
 * @property {string} dropped
 */

export class Contest {
  /** @type {Entry[]} */
  #entries = [];
  /** @type {Map<string, Map<Workload, number>>} fewest seconds by family */
  #best = new Map();

  /**
   * @param {Job} job
   * @param {Pick<import("../engine.js").Engine, "tuning"|"info">} engine
   * @param {Pick<TuningRig, "check"|"time">} rig
   */
  constructor(job, { tuning, info: { precision } }, rig) {
    this.job = job;
    this.tuning = tuning;
    this.precision = precision;
    this.rig = rig;
  }

  /** Whether any candidate was right. */
  get won() {
    return this.#entries.some(({ dropped }) => dropped === "");
  }

  /** FLOP/s of the fastest right candidate on what stands for the job, 0 when none was timed. */
  get rate() {
    return Math.max(0, ...this.#ranked().map((entry) => this.#speed(entry)));
  }

  /** @param {Candidate} candidate @param {string} dropped why it is not tried */
  refuse(candidate, dropped) {
    this.#entries.push({ candidate, error: MOST_ERROR, times: new Map(), dropped });
  }

  /** Checks and times a candidate on what stands for the job. @param {Candidate} candidate */
  async enter(candidate) {
    const entry = { candidate, error: MOST_ERROR, times: new Map(), dropped: "" };
    this.#entries.push(entry);
    await this.#attempt(entry, async () => {
      entry.error = Math.min(MOST_ERROR, await this.rig.check(this.job, candidate));
      const limit = errorLimit(this.job.kind, candidate.types?.["F"] ?? this.precision);
      if (entry.error > limit) {
        entry.dropped = `computes wrong: error ${entry.error.toExponential(1)}, at most ${limit} is right`;
      } else await this.#time(entry, this.job.timed, HOPELESS);
    });
  }

  /**
   * @returns {Candidate[]} those to be timed on all shapes, the fastest first: those near the fastest, and of each other family one,
   *   so that a restriction to it finds something; none when no further shape has a choice of its own
   */
  finalists() {
    if (!hasFinals(this.job)) return [];
    const ranked = this.#ranked().filter((entry) => this.#whole(entry));
    const allowed = ranked.filter(({ candidate }) => this.tuning.allows(candidate.family));
    const best = Math.max(...allowed.map((entry) => this.#speed(entry)));
    const near = allowed.filter((entry) => this.#speed(entry) * NEAR >= best).slice(0, MOST_FINALISTS);
    const families = new Set(near.map(({ candidate }) => candidate.family));
    const others = ranked.filter(({ candidate: { family } }) => !families.has(family) && families.add(family));
    return [...near, ...others].map(({ candidate }) => candidate);
  }

  /** Times one of the finalists on all shapes. @param {Candidate} candidate */
  async enterShapes(candidate) {
    const entry = this.#entries.find((one) => one.candidate === candidate);
    if (!entry) throw new RangeError(`${candidate.name} was not tried`);
    await this.#attempt(entry, async () => {
      for (const { workload } of this.job.shapes ?? []) await this.#time(entry, [workload], BEATEN);
    });
  }

  /** Drops a candidate that fails. @param {Entry} entry @param {() => Promise<void>} work */
  async #attempt(entry, work) {
    try {
      await work();
    } catch (error) {
      if (isFatal(error)) throw error;
      entry.dropped = `does not run: ${error instanceof Error ? error.message : String(error)}`;
      entry.times.clear();
      entry.error = MOST_ERROR;
    }
  }

  /** @param {Entry} entry @param {readonly Workload[]} workloads @param {number} slower than the best of its family: it is given up */
  async #time(entry, workloads, slower) {
    const { candidate, times } = entry;
    const best = this.#best.get(candidate.family) ?? new Map();
    this.#best.set(candidate.family, best);
    for (const workload of workloads) {
      if (times.has(workload)) continue;
      const least = best.get(workload) ?? Infinity;
      const timed = await this.#timeOne(candidate, workload, slower * least);
      if (!timed) return;
      times.set(workload, timed);
      if (!timed.whole) return;
      best.set(workload, Math.min(least, timed.seconds));
    }
  }

  /**
   * @param {Candidate} candidate @param {Workload} workload @param {number} limit seconds
   * @returns {Promise<Timed | undefined>} undefined when the GPU has no room for a shape of this size
   */
  async #timeOne(candidate, workload, limit) {
    try {
      return await this.rig.time(this.job, candidate, workload, limit);
    } catch (error) {
      if (error instanceof KleinbildError && error.code === "out-of-memory") return undefined;
      throw error;
    }
  }

  /** @param {Entry} entry @param {readonly Workload[]} [on] @returns {boolean} whether all were timed well */
  #whole({ times }, on = this.job.timed) {
    return on.every((workload) => times.get(workload)?.whole);
  }

  /** @param {Entry} entry @param {readonly Workload[]} [on] @returns {number} FLOP/s over those that were timed; 0: none */
  #speed({ times }, on = this.job.timed) {
    let flops = 0;
    let seconds = 0;
    for (const workload of on) {
      const timed = times.get(workload);
      flops += (timed?.flops ?? 0) * workload.share;
      seconds += (timed?.seconds ?? 0) * workload.share;
    }
    return seconds > 0 ? flops / seconds : 0;
  }

  /** @param {readonly Workload[]} [on] @returns {Entry[]} what is right, the fastest first */
  #ranked(on = this.job.timed) {
    const right = this.#entries.filter(({ dropped }) => dropped === "");
    return right.sort((a, b) => Number(this.#whole(b, on)) - Number(this.#whole(a, on)) || this.#speed(b, on) - this.#speed(a, on));
  }

  /** @param {Entry} entry @param {readonly Workload[]} [on] @returns {CandidateReport} */
  #row(entry, on) {
    const { candidate: { name, family }, error, dropped } = entry;
    return { name, family, tflops: this.#speed(entry, on) / 1e12, error, dropped };
  }

  /** @returns {KindReport} */
  report() {
    const { kind, shapes = [] } = this.job;
    const ranked = this.#ranked();
    const wrong = this.#entries.filter(({ dropped }) => dropped !== "");
    const [leastWrong] = [...wrong].sort((a, b) => a.error - b.error);
    const chosen = ranked[0] ?? leastWrong;
    if (!chosen) throw new RangeError(`${kind}: no candidates`);
    return {
      kind,
      chosen: chosen.candidate.name,
      problem: ranked[0] ? "" : `no kernel for ${kind} computes right on this GPU`,
      candidates: [...ranked, ...wrong].map((entry) => this.#row(entry)),
      shapes: ranked.length === 0 ? [] : shapes.flatMap(({ kind: shape, workload }) => this.#shapeReport(shape, [workload])),
    };
  }

  /** @param {string} kind @param {readonly Workload[]} on @returns {ShapeReport[]} one; none when nothing was timed on it */
  #shapeReport(kind, on) {
    const candidates = this.#ranked(on).filter((entry) => this.#speed(entry, on) > 0).map((entry) => this.#row(entry, on));
    return candidates.slice(0, 1).map(({ name: chosen }) => ({ kind, chosen, candidates }));
  }
}
