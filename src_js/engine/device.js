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
 * @property {string[]} features those of OPTIONAL_FEATURES that the device was opened with
 * @property {[number, number]} subgroupSizes smallest and largest, 0 without subgroups
 * @property {string[]} matrixShapes of subgroup matrices: "f16-f32-16x16x16" multiplies f16 into f32, M x N x K
 * @property {Record<string, number>} limits
 * @property {number} [memoryBytes] of the GPU's own; browsers tell it only to developers
 */

/** Limits asked for at the adapter's own value; everything else stays at WebGPU's defaults. */
const WANTED_LIMITS = /** @type {const} */ ([
  "maxBufferSize", "maxStorageBufferBindingSize", "maxComputeWorkgroupStorageSize", "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX", "maxStorageBuffersPerShaderStage",
]);
/** Features used where the adapter has them: other kernels, and exact timing. */
const OPTIONAL_FEATURES = /** @type {const} */ (["subgroups", "chromium-experimental-subgroup-matrix", "timestamp-query"]);
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|software/i;

/**
 * @param {GPU | undefined} gpu navigator.gpu
 * @param {Precision} precision "auto": f16 where the GPU has it
 * @returns {Promise<{device: GPUDevice, info: DeviceInfo}>}
 * @throws {KleinbildError} no-webgpu, no-adapter, bad-input when the GPU has no such precision
 */
export async function openDevice(gpu, precision) {
  const { adapter, info } = await findAdapter(gpu, precision);
  const features = /** @type {GPUFeatureName[]} */ (info.precision === "f16" ? ["shader-f16", ...info.features] : info.features);
  return { device: await adapter.requestDevice({ requiredFeatures: features, requiredLimits: info.limits }), info };
}

/**
 * What `openDevice` would open, without opening it.
 * @param {Parameters<typeof openDevice>} of as openDevice
 * @returns {Promise<DeviceInfo>}
 */
export async function inspectDevice(...of) {
  return (await findAdapter(...of)).info;
}

/** @param {GPU | undefined} gpu @param {Precision} precision @returns {Promise<{adapter: GPUAdapter, info: DeviceInfo}>} */
async function findAdapter(gpu, precision) {
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
  const features = OPTIONAL_FEATURES.filter((name) => adapter.features.has(name));
  const { vendor, architecture, description } = adapter.info;
  const fallback = adapter.info.isFallbackAdapter || SOFTWARE.test(`${vendor} ${architecture} ${description}`);
  const { subgroupSizes, matrixShapes } = subgroupFacts(adapter.info, features);
  const used = useF16 ? /** @type {const} */ ("f16") : /** @type {const} */ ("f32");
  const info = {
    vendor, architecture, description, precision: used, f16, fallback, features, subgroupSizes, matrixShapes, limits,
    ...memoryFacts(adapter.info),
  };
  return { adapter, info };
}

/** Of a heap's properties (GPUHeapProperty): the GPU's own memory, not the computer's. */
const DEVICE_LOCAL = 1;

/**
 * @param {GPUAdapterInfo & {memoryHeaps?: Iterable<{size: number, properties: number}>}} info the last with Chromium's
 *   "WebGPU Developer Features"
 * @returns {Pick<DeviceInfo, "memoryBytes">} nothing unless it is told
 */
function memoryFacts({ memoryHeaps = [] }) {
  const own = [...memoryHeaps].filter(({ properties }) => properties & DEVICE_LOCAL).map(({ size }) => size);
  return own.length > 0 ? { memoryBytes: Math.max(...own) } : {};
}

/** @typedef {{componentType: string, resultComponentType: string, M: number, N: number, K: number}} MatrixConfig */

/**
 * @param {GPUAdapterInfo & {subgroupMatrixConfigs?: Iterable<MatrixConfig>}} info the last is Chromium's experiment
 * @param {readonly string[]} features
 * @returns {Pick<DeviceInfo, "subgroupSizes"|"matrixShapes">}
 */
function subgroupFacts({ subgroupMinSize = 0, subgroupMaxSize = 0, subgroupMatrixConfigs = [] }, features) {
  const has = (/** @type {string} */ feature) => features.includes(feature);
  const shapes = [...subgroupMatrixConfigs].map(({ componentType, resultComponentType, M, N, K }) => (
    `${componentType}-${resultComponentType}-${M}x${N}x${K}`));
  return {
    subgroupSizes: has("subgroups") ? [subgroupMinSize, subgroupMaxSize] : [0, 0],
    matrixShapes: has("chromium-experimental-subgroup-matrix") ? [...new Set(shapes)] : [],
  };
}
