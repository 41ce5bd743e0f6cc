/**
 * Records linear layers (kernels/linear.wgsl).
 */

import { outputTile, rowSlices, weightAccess } from "./products.js";

/**
 * @typedef {import("../program.js").Program} Program
 * @typedef {import("../program.js").Range} Range
 * @typedef {import("../tensor.js").Tensor} Tensor
 * @typedef {import("../weights.js").Weight} Weight
 */

/**
 * out = epilogue(a W^T): + bias, then silu, then stored, or added to `out` times `gate`.
 *
 * @param {Program} program
 * @param {Tensor} a [rows, K]
 * @param {Weight} weight [N, K]
 * @param {Tensor} out [rows, N], not in the buffer of `a`
 * @param {object} [options]
 * @param {Range} [options.bias] [N] f32
 * @param {boolean} [options.silu]
 * @param {boolean} [options.accumulate] add to `out` instead of storing
 * @param {Tensor} [options.gate] with accumulate: f32 [1, N], or [1, 1] for one gate
 * @param {boolean} [options.exact] multiply in f32 whatever the engine's precision: for inputs beyond f16's range
 */
export function linear(program, a, weight, out, { bias, silu = false, accumulate = false, gate, exact = false } = {}) {
  const [columns = 0, inner = 0] = weight.shape;
  if (a.columns !== inner || out.columns !== columns || a.rows !== out.rows) {
    throw new RangeError(`${weight.name} [${columns}, ${inner}]: [${a.rows}, ${a.columns}] to [${out.rows}, ${out.columns}]`);
  }
  const epilogue = { BIAS: bias, SILU: silu, ACCUMULATE: accumulate, GATE: gate };
  const vec4 = a.vec4Aligned && inner % 4 === 0;
  const { flags, constants, bindings } = weightAccess(weight);
  if (vec4) flags.push("A_VEC4");
  for (const [flag, on] of Object.entries(epilogue)) if (on) flags.push(flag);
  const types = { F: exact ? /** @type {const} */ ("f32") : program.float, A: a.dtype, C: out.dtype };
  for (const part of weight.parts) {
    const tile = outputTile(part.rowCount);
    for (const [begin, end] of rowSlices(program, a.rows, part.rowCount * inner * 2, tile.rows)) {
      program.dispatch({
        variant: { kernel: "linear", types, constants: { ...constants, TILE_N: tile.columns }, flags },
        uints: [
          end, part.rowCount, inner, begin, a.offset, a.stride, out.offset, out.stride, part.rowStart,
          weight.stride, weight.scaleStride, weight.zeroStride, gate?.offset ?? 0, gate && gate.columns > 1 ? 1 : 0,
        ],
        bindings: { 1: a, 2: out, ...bindings(part), 6: bias, 7: gate },
        workgroups: [Math.ceil(part.rowCount / tile.columns), Math.ceil((end - begin) / tile.rows)],
        flops: (end - begin) * part.rowCount * inner * 2,
      });
    }
  }
}
