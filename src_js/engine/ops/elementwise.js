/**
 * Records the kernels that touch each element once: SwiGLU, copies, unpacking latents, pixels.
 */

import { grid } from "../program.js";
import { unitsOf } from "./units.js";

/**
 * @typedef {import("../program.js").Program} Program
 * @typedef {import("../program.js").Range} Range
 * @typedef {import("../tensor.js").Tensor} Tensor
 * @typedef {import("./conv2d.js").FeatureMap} FeatureMap
 */

const WORKGROUP = 256;

/** @param {number} elements @returns {[number, number]} */
const elementGrid = (elements) => grid(Math.ceil(elements / WORKGROUP));

/**
 * out = silu(gate) * up
 * @param {Program} program
 * @param {Tensor} gate [rows, width]
 * @param {Tensor} up like gate, in the same buffer with the same stride
 * @param {Tensor} out [rows, width], in another buffer
 */
export function swiglu(program, gate, up, out) {
  if (gate.storage !== up.storage || gate.stride !== up.stride) throw new RangeError("gate and up must be views of one tensor");
  const elements = gate.rows * gate.columns;
  const { flags, count } = unitsOf(gate.columns, gate, up, out);
  program.dispatch({
    variant: { kernel: "swiglu", types: { F: gate.dtype, C: out.dtype }, flags },
    uints: [gate.columns, elements, gate.stride, gate.offset, up.offset, out.offset, out.stride].map(count),
    bindings: { 1: gate, 2: out },
    workgroups: elementGrid(count(elements)),
    flops: elements * 6,
  });
}

/**
 * out = x, converted to out's type
 * @param {Program} program @param {Tensor} x [rows, columns] @param {Tensor} out [rows, columns], in another buffer
 * @param {number} [limit] what is larger in magnitude becomes so large; 0: nothing is
 */
export function copy(program, x, out, limit = 0) {
  const elements = x.rows * x.columns;
  const { flags, count } = unitsOf(x.columns, x, out);
  program.dispatch({
    variant: { kernel: "copy", types: { A: x.dtype, C: out.dtype }, flags: limit ? [...flags, "LIMITED"] : flags },
    uints: [x.columns, elements, x.offset, x.stride, out.offset, out.stride].map(count),
    floats: [limit],
    bindings: { 1: x, 2: out },
    workgroups: elementGrid(count(elements)),
    flops: elements,
  });
}

/**
 * Packed latents [height * width, channels * patch^2] to a map [height * patch, width * patch, channels], each packed channel
 * times `scale` plus `mean`.
 * @param {Program} program
 * @param {Tensor} tokens f32
 * @param {{scale: Range, mean: Range}} norm f32, one value a packed channel
 * @param {FeatureMap} out
 * @param {number} patch
 */
export function unpackLatents(program, tokens, { scale, mean }, out, patch) {
  const elements = out.width * out.height * out.tensor.columns;
  program.dispatch({
    variant: { kernel: "unpack_latents", types: { C: out.tensor.dtype }, constants: { PATCH: patch } },
    uints: [out.width / patch, out.tensor.columns, elements],
    bindings: { 1: tokens, 2: scale, 3: mean, 4: out.tensor },
    workgroups: elementGrid(elements),
    flops: elements * 2,
  });
}

/**
 * Decoder output in about [-1, 1] to packed RGBA words.
 * @param {Program} program @param {Tensor} x f32 [pixels, 3] @param {Tensor} out [pixels, 1], four bytes an element
 */
export function toRgba(program, x, out) {
  program.dispatch({
    variant: { kernel: "to_rgba" },
    uints: [x.rows],
    bindings: { 1: x, 2: out },
    workgroups: elementGrid(x.rows),
    flops: x.rows * 12,
  });
}
