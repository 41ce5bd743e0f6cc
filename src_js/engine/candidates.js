/**
 * Kernel candidates: the ways in which an operator can be computed, and which of them a device can run at all.
 *
 * An operator keeps a list of candidates for each kind of its work ("linear.q4.b32", "attention.128", "conv2d.3"), filters it with
 * `usable` and asks `engine.tuning.pick`. The first plain candidate of a list is the plainest one: it needs nothing beyond WebGPU's
 * defaults, it serves until kernels were timed on this GPU, and in f32 the others are compared with it. All candidates of a kind
 * take the same inputs, in the same layout.
 */

/** @typedef {import("./kernel_source.js").FloatType} FloatType */
/** @typedef {import("./device.js").DeviceInfo} DeviceInfo */

/**
 * How a candidate computes: "plain" with scalar and vector arithmetic, "matrix" with the browser's subgroup matrices.
 * @typedef {"plain"|"matrix"} Family
 */

/**
 * What a candidate asks of the device beyond WebGPU's defaults.
 * @typedef {object} Needs
 * @property {FloatType} [precision] only where the operator computes with this type
 * @property {string[]} [features] WebGPU features, as in DeviceInfo.features
 * @property {number} [workgroupStorage] bytes of var<workgroup>
 * @property {number} [invocations] of a workgroup
 * @property {number} [storageBuffers] bound at once
 * @property {number} [subgroupSize] every subgroup has exactly this many invocations
 * @property {string} [matrixShape] one of DeviceInfo.matrixShapes: "f16-f32-16x16x16" multiplies f16 into f32, M x N x K
 */

/**
 * @typedef {object} Candidate
 * @property {string} name unique within its kind and lasting: measurements are kept by it
 * @property {Family} family
 * @property {string} [kernel] kernel file, where it is not the operator's usual one
 * @property {Record<string, number>} constants of the variant, beside the operator's own
 * @property {string[]} flags of the variant, beside the operator's own
 * @property {Record<string, FloatType>} [types] of the variant, in place of the operator's own
 * @property {Needs} [needs]
 */

/** What every WebGPU device has (the specification's default limits). */
const DEFAULT_LIMITS = Object.freeze({
  maxComputeWorkgroupStorageSize: 16384, maxComputeInvocationsPerWorkgroup: 256, maxStorageBuffersPerShaderStage: 8,
});

/**
 * @template {Candidate} C
 * @param {readonly C[]} candidates
 * @param {Pick<DeviceInfo, "precision"|"features"|"limits"|"subgroupSizes"|"matrixShapes">} info
 * @param {FloatType} [precision] what the operator computes with, the engine's unless given
 * @returns {C[]} those that the device can run, in order
 */
export function usable(candidates, info, precision = info.precision) {
  return candidates.filter(({ needs = {} }) => meets(needs, info, precision));
}

/**
 * @param {Needs} needs @param {Pick<DeviceInfo, "features"|"limits"|"subgroupSizes"|"matrixShapes">} info
 * @param {FloatType} precision
 */
function meets(needs, info, precision) {
  const limit = (/** @type {keyof typeof DEFAULT_LIMITS} */ name) => info.limits[name] ?? DEFAULT_LIMITS[name];
  const [smallest, largest] = info.subgroupSizes;
  return (needs.precision ?? precision) === precision
    && (needs.features ?? []).every((name) => info.features.includes(name))
    && (needs.workgroupStorage ?? 0) <= limit("maxComputeWorkgroupStorageSize")
    && (needs.invocations ?? 0) <= limit("maxComputeInvocationsPerWorkgroup")
    && (needs.storageBuffers ?? 0) <= limit("maxStorageBuffersPerShaderStage")
    && (needs.subgroupSize === undefined || (needs.subgroupSize === smallest && needs.subgroupSize === largest))
    && (needs.matrixShape === undefined || info.matrixShapes.includes(needs.matrixShape));
}
