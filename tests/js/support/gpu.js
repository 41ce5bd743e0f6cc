/**
 * A real engine in Node: Dawn (the npm package `webgpu`) on whatever Vulkan driver the environment points at.
 * The tests run it on lavapipe (tests/tools/lavapipe.sh), which has shader-f16. On a real GPU they may need Dawn's flags:
 * DAWN_FLAGS="enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia".
 */

import { readFile } from "node:fs/promises";
import { createEngine } from "../../../src_js/engine/engine.js";

// Mesa's software driver takes up to 20 s to optimise a kernel with barriers, and looks at this when it is loaded: before Dawn is
process.env["GALLIVM_PERF"] ??= "nopt";
const { create, globals } = await import("webgpu");
Object.assign(globalThis, globals);

/** @param {string} name @returns {Promise<string>} */
const readKernel = (name) => readFile(new URL(`../../../src_js/kernels/${name}.wgsl`, import.meta.url), "utf8");

// Dawn's instance must outlive every object made from it
export const gpu = /** @type {GPU} */ (create(["backend=vulkan", ...(process.env["DAWN_FLAGS"]?.split(" ") ?? [])]));

/** @param {"f32"|"f16"} precision @returns {Promise<import("../../../src_js/engine/engine.js").Engine>} */
export function openEngine(precision) {
  return createEngine({ gpu, precision, readKernel });
}
