/**
 * A real engine in Node: Dawn (the npm package `webgpu`) on whatever Vulkan driver the environment points at.
 * The tests run it on lavapipe (tests/tools/lavapipe.sh), which has shader-f16.
 */

import { readFile } from "node:fs/promises";
import { create, globals } from "webgpu";
import { createEngine } from "../../../src_js/engine/engine.js";

Object.assign(globalThis, globals);

/** @param {string} name @returns {Promise<string>} */
const readKernel = (name) => readFile(new URL(`../../../src_js/kernels/${name}.wgsl`, import.meta.url), "utf8");

// Dawn's instance must outlive every object made from it
const instance = /** @type {GPU} */ (create(["backend=vulkan"]));

/** @param {"f32"|"f16"} precision @returns {Promise<import("../../../src_js/engine/engine.js").Engine>} */
export function openEngine(precision) {
  return createEngine({ gpu: instance, precision, readKernel });
}
