/**
 * The facts of a GPU that does not exist, for recording without one.
 */

/**
 * @param {Partial<import("../../../src_js/engine/device.js").DeviceInfo>} [facts] other than those of a usual GPU with f16
 * @returns {import("../../../src_js/engine/device.js").DeviceInfo}
 */
export function deviceInfo(facts = {}) {
  return {
    vendor: "test", architecture: "", description: "", precision: "f16", f16: true, fallback: false, features: [],
    subgroupSizes: [0, 0], matrixShapes: [],
    limits: {
      maxBufferSize: 2 ** 32, maxStorageBufferBindingSize: 2 ** 32, maxComputeWorkgroupStorageSize: 32768,
      maxComputeInvocationsPerWorkgroup: 1024, maxStorageBuffersPerShaderStage: 10,
    },
    ...facts,
  };
}
