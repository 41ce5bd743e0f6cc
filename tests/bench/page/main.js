/**
 * The peer benchmark's page: runs the server's jobs one after another and reports each as soon as it is done.
 *
 * Each engine lives in a worker with a GPU device of its own, once as the browser offers it and once with subgroup matrices hidden,
 * so that plain arithmetic is compared with plain arithmetic. A job that fails, or takes too long, costs its worker and no more.
 */

import { Side } from "./side.js";

/**
 * @typedef {object} Job
 * @property {string} id
 * @property {"ort"|"own"} engine
 * @property {any} spec what <engine>_side.js reads
 */
/**
 * @typedef {object} Plan
 * @property {Job[]} jobs
 * @property {string[]} done jobs that an earlier page did: "<family> <id>"
 * @property {import("./own_tuning.js").Model} model what our engine tunes for
 * @property {number} job_seconds
 * @property {number} budget_seconds for all
 */

const MATRIX_FEATURE = "chromium-experimental-subgroup-matrix";

/** @param {object} message one event for the server's log of the run */
async function report(message) {
  await fetch("/report", { method: "POST", body: JSON.stringify(message) });
}

/** @returns {Promise<Record<string, string[]>>} features to hide, by the family of kernels that is left to measure then */
async function families() {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new Error("the browser found no GPU that WebGPU can use");
  const { vendor, architecture, description } = adapter.info;
  const features = [...adapter.features].sort();
  /** @type {Record<string, string[]>} */
  const found = features.includes(MATRIX_FEATURE) ? { plain: [MATRIX_FEATURE], matrix: [] } : { plain: [] };
  await report({ type: "adapter", adapter: { vendor, architecture, description, features }, families: Object.keys(found) });
  return found;
}

/** @param {Plan} plan */
async function run({ jobs, done, model, job_seconds: jobSeconds, budget_seconds: budgetSeconds }) {
  const end = performance.now() + budgetSeconds * 1000;
  for (const [family, hidden] of Object.entries(await families())) {
    const setup = { hidden, model };
    const sides = { ort: new Side("ort", setup, jobSeconds), own: new Side("own", setup, jobSeconds) };
    for (const { id, engine, spec } of jobs.filter((job) => !done.includes(`${family} ${job.id}`))) {
      await report({ type: "begin", job: id, family });
      const outcome = performance.now() > end
        ? { error: "not run: the time for all jobs was over" }
        : await sides[engine].run(spec);
      await report({ type: "result", job: id, family, ...outcome });
    }
    for (const side of Object.values(sides)) side.close();
  }
}

try {
  await run(await (await fetch("/plan")).json());
  await report({ type: "end", error: null });
} catch (error) {
  await report({ type: "end", error: String(error) });
}
