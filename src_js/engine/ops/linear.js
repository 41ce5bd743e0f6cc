/**
 * Records linear layers (kernels/linear_frame.wgsl).
 */

import { shapedKind } from "../tuning/kinds.js";
import { linearCandidates } from "./linear_candidates.js";
import { rowSlices, weightAccess } from "./products.js";

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
  const { flags, constants, bindings } = weightAccess(weight);
  const epilogue = { BIAS: bias, SILU: silu, ACCUMULATE: accumulate, GATE: gate };
  for (const [flag, on] of Object.entries(epilogue)) if (on) flags.push(flag);
  if (out.vec4Aligned && weight.parts.every((part) => part.rowStart % 4 === 0 && part.rowCount % 4 === 0)) flags.push("QUADS");
  const halves = !exact && a.dtype === "f16" && [a.offset, a.stride, inner].every((count) => count % GRANULE === 0);
  const { info, tuning } = program.engine;
  const kind = linearKind(weight, a.rows, halves);
  for (const part of weight.parts) {
    const chosen = tuning.pick(kind, linearCandidates(info, part.rowCount, halves));
    const { tile } = chosen;
    const whole = part.stride % tile.n === 0 && inner % tile.k === 0 && weight.storedRows === inner;
    const variant = {
      kernel: chosen.kernel ?? "linear",
      types: { A: a.dtype, C: out.dtype },
      constants: { ...constants, ...chosen.constants },
      flags: [...flags, ...chosen.flags, ...(a.vec4Aligned && inner % 4 === 0 ? ["A_VEC4"] : []), ...(whole ? ["WHOLE_TILES"] : [])],
    };
    for (const [begin, end] of rowSlices(program, a.rows, part.rowCount * inner * 2, tile.m)) {
      program.dispatch({
        variant,
        uints: [
          end, part.rowCount, inner, begin, a.offset, a.stride, out.offset, out.stride, part.rowStart,
          part.stride, weight.storedRows, gate?.offset ?? 0, gate && gate.columns > 1 ? 1 : 0,
        ],
        bindings: { 1: a, 2: out, ...bindings(part), 6: bias, 7: gate },
        workgroups: [Math.ceil(part.rowCount / tile.n), Math.ceil((end - begin) / tile.m)],
        flops: (end - begin) * part.rowCount * inner * 2,
      });
    }
  }
}

/** k that the kernels on halves load at once. */
const GRANULE = 8;

/**
 * What the choice of a kernel depends on: how many tiles there are, so the output's size, which all parts of a weight share. f32
 * arithmetic on any weight is one kind: reading the weight is the least of it.
 * @param {Weight} weight @param {number} rows @param {boolean} halves
 * @returns {string}
 */
function linearKind({ format, blockSize, shape: [columns = 0] }, rows, halves) {
  const stored = format === "q4" ? `q4.b${blockSize}` : format;
  return shapedKind(`linear.${stored}.${halves ? "f16" : "f32"}`, rows, columns);
}
