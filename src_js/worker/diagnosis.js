/**
 * What the page's diagnosis asks the worker for: the GPU as the engine would open it, with what was measured about its kernels and
 * kept, and the self-check. Neither needs a model on the device, only its manifest.
 */

import { inspectDevice } from "../engine/device.js";
import { createEngine } from "../engine/engine.js";
import { applyReport } from "../engine/tuning/report.js";
import { selfCheck } from "../engine/tuning/self_check.js";
import { LOST_WHILE_IT_RAN } from "../engine/tuning/tuner.js";
import { openTuningJobs } from "../pipeline/tuning/jobs.js";
import { singleKernels } from "../pipeline/tuning/single_kernels.js";
import { browserVersion, tuningIdentity } from "./kernel_tuning.js";
import { BUILD, readKernel } from "./model.js";
import { TuningCache } from "./tuning_cache.js";

/**
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./model.js").Runtime} Runtime
 * @typedef {import("../protocol.js").Precision} Precision
 * @typedef {import("../engine/tuning/report.js").TuningReport} TuningReport
 */

/**
 * @param {Model} model
 * @param {Pick<Runtime, "engine"> | undefined} runtime the model on the GPU, if it is there
 * @param {{ precision: Precision }} asked
 * @returns {Promise<import("../protocol.js").GpuFacts>}
 * @throws {import("../errors.js").KleinbildError} no-webgpu, no-adapter, bad-input
 */
export async function diagnose({ manifest }, runtime, { precision }) {
  const device = runtime?.engine.info ?? await inspectDevice(navigator.gpu, precision);
  const kernels = await keptReport(manifest, device);
  const { id, name, revision } = manifest;
  return { device, kernels: kernels ?? null, model: { id, name, revision } };
}

/**
 * @param {Model} model
 * @param {Pick<Runtime, "engine"> | undefined} runtime whose engine is used; without one, an engine of its own
 * @param {object} options
 * @param {Precision} options.precision
 * @param {AbortSignal} options.signal
 * @param {(progress: import("../protocol.js").Progress) => void} options.onProgress
 * @returns {Promise<import("../protocol.js").SelfCheckReport>}
 * @throws {import("../errors.js").KleinbildError} no-webgpu, no-adapter, device-lost, cancelled, out-of-memory
 */
export async function checkKernels({ manifest }, runtime, { precision, signal, onProgress }) {
  const engine = runtime?.engine ?? await createEngine({ gpu: navigator.gpu, precision, readKernel });
  try {
    const kept = await keptReport(manifest, engine.info);
    if (kept && !runtime) applyReport(engine, kept);
    const { jobs, close } = await openTuningJobs(engine, manifest, { brief: false });
    try {
      return await selfCheck(engine, { jobs, singles: singleKernels(manifest.config) }, {
        signal,
        skip: (kind, name) => (tookTheGpuDown(kept, kind, name) ? LOST_WHILE_IT_RAN : ""),
        onProgress: (step, steps) => onProgress({ stage: "checking", step, steps, fraction: step / steps }),
      });
    } finally {
      close();
    }
  } finally {
    if (engine !== runtime?.engine) engine.destroy();
  }
}

/** @param {import("../manifest.js").Manifest} manifest @param {import("../engine/device.js").DeviceInfo} gpu */
async function keptReport(manifest, gpu) {
  const platform = { build: BUILD, browser: await browserVersion(navigator) };
  return (await TuningCache.open()).report(tuningIdentity(manifest, gpu, platform));
}

/** @param {TuningReport | undefined} report @param {string} kind @param {string} name */
function tookTheGpuDown(report, kind, name) {
  const { candidates = [] } = report?.kinds.find((one) => one.kind === kind) ?? {};
  return candidates.some((candidate) => candidate.name === name && candidate.dropped === LOST_WHILE_IT_RAN);
}
