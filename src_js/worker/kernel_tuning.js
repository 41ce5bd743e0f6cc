/**
 * Kernels chosen for the GPU of this device: at the first start by measuring, later from what was kept of that.
 */

import { KleinbildError } from "../errors.js";
import { tuneKernels } from "../engine/tuning/tuner.js";
import { applyReport } from "../engine/tuning/report.js";
import { openTuningJobs } from "../pipeline/tuning/jobs.js";

/**
 * @typedef {import("../engine/engine.js").Engine} Engine
 * @typedef {import("../engine/tuning/report.js").TuningReport} TuningReport
 * @typedef {import("../manifest.js").Manifest} Manifest
 * @typedef {import("./tuning_cache.js").TuningCache} TuningCache
 */

/** Failures that end the start. Any other leaves the kernels that every GPU runs. */
const FATAL = new Set(["cancelled", "device-lost"]);
/** Once may be a page that was closed; a candidate that ran so often when everything ended is not tried again. */
const TIMES_ENOUGH = 2;

/**
 * @typedef {object} TuningParts for tests
 * @property {typeof openTuningJobs} openJobs
 * @property {typeof tuneKernels} tune
 */

/**
 * @param {Engine} engine gets the choices
 * @param {Manifest} manifest
 * @param {TuningCache} cache
 * @param {object} options
 * @param {unknown} options.platform what measurements depend on beside GPU and model: the page's build, the browser's version
 * @param {boolean} [options.again] measure although there is a kept report
 * @param {AbortSignal} options.signal
 * @param {(done: number, total: number) => void} options.onProgress candidates; not called when nothing is measured
 * @param {TuningParts} [parts]
 * @returns {Promise<TuningReport>}
 * @throws {KleinbildError} cancelled, device-lost
 */
export async function chooseKernels(engine, manifest, cache, options, parts = { openJobs: openTuningJobs, tune: tuneKernels }) {
  const { platform, again = false, signal, onProgress } = options;
  const identity = tuningIdentity(manifest, engine.info, platform);
  const kept = again ? undefined : await cache.report(identity);
  if (kept) {
    applyReport(engine, kept);
    return kept;
  }
  const trials = new Trials(cache, identity, await cache.suspects(identity));
  let close = () => {};
  try {
    const work = await parts.openJobs(engine, manifest);
    close = work.close;
    const report = await parts.tune(engine, work.jobs, {
      signal, suspects: trials.condemned,
      onProgress: ({ done, total }) => onProgress(done, total),
      onTrial: (kind, name) => trials.begin(kind, name),
    });
    await cache.keepReport(identity, report);
    await cache.keepSuspects(identity, []);
    return report;
  } catch (error) {
    const fatal = error instanceof KleinbildError && FATAL.has(error.code);
    await trials.end(fatal && error.code === "device-lost");
    if (fatal) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    return { kinds: [], faults: [`The kernels could not be measured: ${reason}`], seconds: 0 };
  } finally {
    close();
  }
}

/**
 * @param {Manifest} manifest @param {import("../engine/device.js").DeviceInfo} gpu @param {unknown} platform as for chooseKernels
 * @returns {unknown} everything that a measurement depends on
 */
export function tuningIdentity(manifest, gpu, platform) {
  return { platform, model: { id: manifest.id, revision: manifest.revision }, gpu };
}

/** Keeps on the device which candidate is running, so that one that takes the GPU or the browser down is known afterwards. */
class Trials {
  /** @type {import("./tuning_cache.js").Suspect | undefined} */
  #running;

  /** @param {TuningCache} cache @param {unknown} identity @param {readonly import("./tuning_cache.js").Suspect[]} before */
  constructor(cache, identity, before) {
    this.cache = cache;
    this.identity = identity;
    this.before = before;
  }

  /** Those not to be tried again. */
  get condemned() {
    return this.before.filter(({ times }) => times >= TIMES_ENOUGH);
  }

  /** @param {string} kind @param {string} name of the candidate that runs from now on */
  async begin(kind, name) {
    const times = this.before.find((one) => one.kind === kind && one.name === name)?.times ?? 0;
    this.#running = { kind, name, times: times + 1 };
    await this.#keep(this.#running);
  }

  /** @param {boolean} lost whether the GPU was, so that the running candidate is to blame */
  async end(lost) {
    await this.#keep(lost && this.#running ? { ...this.#running, times: TIMES_ENOUGH } : undefined);
  }

  /** @param {import("./tuning_cache.js").Suspect | undefined} running */
  #keep(running) {
    const others = this.before.filter(({ kind, name }) => kind !== running?.kind || name !== running.name);
    return this.cache.keepSuspects(this.identity, running ? [...others, running] : others);
  }
}

/** @typedef {{getHighEntropyValues?: (hints: string[]) => Promise<unknown>}} UserAgentData Chromium's; TypeScript's library lacks it */

/**
 * @param {Pick<Navigator, "userAgent"> & {userAgentData?: UserAgentData}} navigator
 * @returns {Promise<unknown>} browser and system in full versions where the browser tells them, and so, nearly, the GPU's driver
 */
export async function browserVersion({ userAgent, userAgentData }) {
  try {
    return (await userAgentData?.getHighEntropyValues?.(["fullVersionList", "platformVersion"])) ?? userAgent;
  } catch {
    return userAgent;                                      // a browser may refuse
  }
}
