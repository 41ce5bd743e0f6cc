/**
 * The worker of one engine: opens it on the first job, then prepares, times and checks each job.
 */

import { hideFeatures } from "./hide_features.js";
import { measure } from "./measure.js";

/**
 * A job ready to run.
 * @typedef {object} Prepared
 * @property {(repeats: number) => Promise<void>} run runs the job so many times and waits for the GPU
 * @property {() => Promise<ArrayBuffer>} sample the first bytes of the result
 * @property {import("./random_values.js").FloatType} type of the result
 * @property {() => Promise<void>} release
 */
/** @typedef {{note: string, prepare: (spec: any) => Promise<Prepared>}} Engine */

/** @type {Promise<Engine> | undefined} */
let opening;

/** @param {"ort"|"own"} name @param {string[]} hidden @param {import("./own_tuning.js").Model} model @returns {Promise<Engine>} */
async function open(name, hidden, model) {
  hideFeatures(hidden);
  return name === "ort" ? (await import("./ort_side.js")).openOrt() : (await import("./own_side.js")).openOwn(model);
}

onmessage = async ({ data: { engine: name, hidden, model, spec } }) => {
  try {
    opening ??= open(name, hidden, model);
    const engine = await opening;
    const prepared = await engine.prepare(spec);
    const ms = await measure(prepared);
    await prepared.release();
    postMessage({ ms, note: engine.note });
  } catch (error) {
    postMessage({ error: error instanceof Error ? error.message || error.name : String(error) });
  }
};
