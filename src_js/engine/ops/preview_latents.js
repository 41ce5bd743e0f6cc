/**
 * Records preview_latents.wgsl: from latents after and before a step to a small map of what they tend to.
 */

import { grid } from "../program.js";

/**
 * @typedef {import("../program.js").Program} Program
 * @typedef {import("../program.js").Range} Range
 * @typedef {import("../tensor.js").Tensor} Tensor
 * @typedef {import("./conv2d.js").FeatureMap} FeatureMap
 */

const WORKGROUP = 256;
/** Of one element of the latents' map: the estimate, the batch norm's inverse, the sum. */
const ELEMENT_FLOPS = 6;

/**
 * @param {Program} program
 * @param {object} latents
 * @param {Tensor} latents.x f32 [height * width, channels * patch^2], contiguous: after a step
 * @param {Tensor} latents.before likewise: before it
 * @param {Tensor} latents.ahead f32 [1, 1]: how far the estimate lies beyond x, in steps like this one
 * @param {number} latents.height in tokens
 * @param {number} latents.width in tokens
 * @param {{scale: Range, mean: Range}} norm f32, one value a packed channel
 * @param {FeatureMap} out at most height * patch times width * patch
 * @param {number} patch
 */
export function previewLatents(program, { x, before, ahead, height, width }, { scale, mean }, out, patch) {
  const channels = out.tensor.columns;
  const elements = out.width * out.height * channels;
  program.dispatch({
    variant: { kernel: "preview_latents", types: { C: out.tensor.dtype }, constants: { PATCH: patch } },
    uints: [width, height, channels, out.width, out.height, elements],
    bindings: { 1: x, 2: before, 3: ahead, 4: scale, 5: mean, 6: out.tensor },
    workgroups: grid(Math.ceil(elements / WORKGROUP)),
    flops: height * width * patch * patch * channels * ELEMENT_FLOPS,
  });
}
