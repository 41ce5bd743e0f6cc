/**
 * Finds the GPU and opens it with the limits and features the kernels can use, or says in plain words why not.
 */

import { KleinbildError } from "../errors.js";

/** @typedef {import("./kernel_source.js").FloatType} FloatType */
/** @typedef {"auto"|"f16"|"f32"} Precision */

/**
 * @typedef {object} DeviceInfo
 * @property {string} vendor
 * @property {string} architecture
 * @property {string} description
 * @property {FloatType} precision what the kernels compute with
 * @property {boolean} f16 whether the GPU has shader-f16
 * @property {boolean} fallback whether this is a software adapter
 * @property {Record<string, number>} limits
 */

/** Limits asked for at the adapter's own value; everything else stays at WebGPU's defaults. */
const WANTED_LIMITS = /** @type {const} */ ([
  "maxBufferSize", "maxStorageBufferBindingSize", "maxComputeWorkgroupStorageSize", "maxComputeInvocationsPerWorkgroup",
]);
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|software/i;

/**
 * @param {GPU | undefined} gpu navigator.gpu
 * @param {Precision} precision "auto": f16 where the GPU has it
 * @returns {Promise<{device: GPUDevice, info: DeviceInfo}>}
 * @throws {KleinbildError} no-webgpu, no-adapter
 */
export async function openDevice(gpu, precision) {
  if (!gpu) throw new KleinbildError("no-webgpu", "This browser has no WebGPU.");
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new KleinbildError("no-adapter", "The browser found no GPU that WebGPU can use.");
  const f16 = adapter.features.has("shader-f16");
  if (precision === "f16" && !f16) {
    throw new KleinbildError("bad-input", "Precision f16 was asked for, but this GPU has no shader-f16; use auto or f32.");
  }
  const useF16 = precision !== "f32" && f16;
  /** @type {Record<string, number>} */
  const limits = {};
  for (const name of WANTED_LIMITS) limits[name] = adapter.limits[name];
  const device = await adapter.requestDevice({
    requiredFeatures: useF16 ? ["shader-f16"] : [],
    requiredLimits: limits,
  });
  const { vendor, architecture, description } = adapter.info;
  const fallback = adapter.info.isFallbackAdapter || SOFTWARE.test(`${vendor} ${architecture} ${description}`);
  return { device, info: { vendor, architecture, description, precision: useF16 ? "f16" : "f32", f16, fallback, limits } };
}
