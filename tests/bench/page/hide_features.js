/**
 * Hides WebGPU features from whatever runs in this worker afterwards, as if the browser had not got them.
 */

/** @param {readonly string[]} names features to hide */
export function hideFeatures(names) {
  if (names.length === 0) return;
  const hidden = new Set(names);
  const seen = (/** @type {Iterable<string>} */ features) => [...features].filter((name) => !hidden.has(name));
  const prototype = GPUAdapter.prototype;
  const getter = /** @type {(this: GPUAdapter) => Iterable<string>} */ (Object.getOwnPropertyDescriptor(prototype, "features")?.get);
  Object.defineProperty(prototype, "features", {
    get() {
      return new Set(seen(getter.call(this)));
    },
  });
  const { requestDevice } = prototype;
  prototype.requestDevice = function (descriptor = {}) {
    const requiredFeatures = /** @type {GPUFeatureName[]} */ (seen(descriptor.requiredFeatures ?? []));
    return requestDevice.call(this, { ...descriptor, requiredFeatures });
  };
}
