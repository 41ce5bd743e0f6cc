/**
 * Lets our engine choose its kernels for this GPU, as the page does at its first start; here for every weight format that is measured.
 */

import { choices } from "../../../src_js/engine/tuning/report.js";
import { tuneKernels } from "../../../src_js/engine/tuning/tuner.js";
import { openTuningJobs } from "../../../src_js/pipeline/tuning/jobs.js";
import { syntheticManifest } from "../../../src_js/synthetic_manifest.js";

/**
 * @typedef {import("../../../src_js/engine/tuning/tuner.js").Job} Job
 * @typedef {{config: import("../../../src_js/manifest.js").ModelConfig, formats: import("./own_programs.js").Format[]}} Model
 */

/** The kinds of work that are measured. */
const MEASURED = /^(linear|attention)\./;

/**
 * @param {import("../../../src_js/engine/engine.js").Engine} engine gets the choices; a software adapter keeps the plainest kernels
 * @param {Model} model
 * @returns {Promise<string[]>} the choices in words: "linear.q4.b32: name"
 */
export async function tune(engine, { config, formats }) {
  if (engine.info.fallback) return [];
  /** @type {Map<string, Job>} */
  const jobs = new Map();
  /** @type {(() => void)[]} */
  const opened = [];
  try {
    for (const format of formats) {
      const opening = await openTuningJobs(engine, syntheticManifest(config, { format: "q4", ...format }));
      opened.push(opening.close);
      for (const job of opening.jobs) if (MEASURED.test(job.kind) && !jobs.has(job.kind)) jobs.set(job.kind, job);
    }
    const report = await tuneKernels(engine, [...jobs.values()]);
    return choices(report).map(({ kind, chosen }) => `${kind}: ${chosen}`);
  } finally {
    for (const close of opened) close();
  }
}
