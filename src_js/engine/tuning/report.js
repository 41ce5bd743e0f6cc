/**
 * What tuning found: plain data, kept between visits, shown in the page, and put into force by `applyReport`.
 */

import { maxDispatchFlops } from "../executor.js";

/**
 * @typedef {object} CandidateReport
 * @property {string} name
 * @property {import("../candidates.js").Family} family
 * @property {number} tflops measured, 0 when not timed
 * @property {number} error relative to the reference, 0 when not compared; MOST_ERROR stands for anything larger and for NaN
 * @property {string} dropped why it must not be used, "" when it may
 */

/**
 * @typedef {object} KindReport
 * @property {string} kind
 * @property {string} chosen a candidate's name
 * @property {string} problem "" unless no candidate was right: then the chosen one is the least wrong
 * @property {CandidateReport[]} candidates the fastest first, those not timed last
 * @property {ShapeReport[]} shapes those that have a choice of their own; empty where one serves all
 */

/**
 * @typedef {object} ShapeReport
 * @property {string} kind with its shape (kinds.js)
 * @property {string} chosen a candidate's name
 * @property {CandidateReport[]} candidates that were timed on it, the fastest first
 */

/**
 * @typedef {object} TuningReport
 * @property {KindReport[]} kinds
 * @property {string[]} faults of the shader compiler, in words
 * @property {number} seconds that tuning took
 */

export const MOST_ERROR = 1e9;

/**
 * Puts a report into force on an engine.
 * @param {Pick<import("../engine.js").Engine, "tuning"|"info"> & {maxDispatchFlops?: number}} engine gets the report's rankings and
 *   failures in place of its own, and dispatches as large as the slowest of the chosen kernels does in good time
 * @param {TuningReport} report
 */
export function applyReport(engine, report) {
  applyRankings(engine.tuning, report);
  const rates = choices(report).flatMap(({ chosen, candidates }) => (
    candidates.filter(({ name, tflops }) => name === chosen && tflops > 0).map(({ tflops }) => tflops * 1e12)));
  engine.maxDispatchFlops = maxDispatchFlops(engine.info, rates.length > 0 ? Math.min(...rates) : 0);
}

/** @param {Pick<TuningReport, "kinds">} report @returns {ShapeReport[]} every choice in it, each kind's before those of its shapes */
export function choices({ kinds }) {
  return kinds.flatMap(({ kind, chosen, candidates, shapes }) => [{ kind, chosen, candidates }, ...shapes]);
}

/** @param {import("./tuning.js").Tuning} tuning @param {TuningReport} report */
export function applyRankings(tuning, report) {
  tuning.clear();
  for (const { kind, chosen, candidates } of choices(report)) {
    tuning.rank(kind, [chosen, ...candidates.filter(({ name, tflops }) => tflops > 0 && name !== chosen).map(({ name }) => name)]);
  }
  for (const { kind, problem, candidates } of report.kinds) {
    for (const { name, dropped } of candidates) if (dropped !== "" && problem === "") tuning.drop(kind, name);
  }
}
