/**
 * Whether this browser can run the model at all, asked before anybody downloads it. The worker's engine makes
 * its own, final request; this one is only for an early, plain answer.
 */

import { KleinbildError } from "../errors.js";

/**
 * @param {GPU | undefined} gpu navigator.gpu
 * @returns {Promise<{ problem: KleinbildError | null, adapter: string }>} problem: why not; adapter: as the browser names it, "" without one
 */
export async function findGpu(gpu) {
  if (!gpu) return { problem: new KleinbildError("no-webgpu", "navigator.gpu is missing."), adapter: "" };
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" }).catch(() => null);
  if (!adapter) return { problem: new KleinbildError("no-adapter", "navigator.gpu.requestAdapter() gave no adapter."), adapter: "" };
  const { vendor, architecture, device, description } = adapter.info;
  return { problem: null, adapter: [vendor, architecture, device, description].filter(Boolean).join(" ") };
}
