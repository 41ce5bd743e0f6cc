/**
 * Whether this browser can run the model at all, asked before anybody downloads it. The worker's engine makes
 * its own, final request; this one is only for an early, plain answer.
 */

import { KleinbildError } from "../errors.js";

/**
 * @param {GPU | undefined} gpu navigator.gpu
 * @returns {Promise<KleinbildError | null>} why not, or null
 */
export async function gpuProblem(gpu) {
  if (!gpu) return new KleinbildError("no-webgpu", "navigator.gpu is missing.");
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" }).catch(() => null);
  return adapter ? null : new KleinbildError("no-adapter", "navigator.gpu.requestAdapter() gave no adapter.");
}
