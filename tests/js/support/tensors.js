/**
 * Matrices between plain arrays and the GPU, as views inside a poisoned buffer: a kernel that reads outside its view meets NaN,
 * one that writes outside it is caught by `take`.
 */

import assert from "node:assert/strict";
import { Tensor } from "../../../src_js/engine/tensor.js";
import { at, halfBits } from "./reference.js";

/** @typedef {import("../../../src_js/engine/engine.js").Engine} Engine */
/** @typedef {import("../../../src_js/engine/program.js").Program} Program */
/** @typedef {import("../../../src_js/engine/program.js").Range} Range */
/** @typedef {"f32"|"f16"} FloatType */
/** @typedef {{dtype?: FloatType, offset?: number, stride?: number, after?: number}} View offset, stride and after in elements */

/** Bits of a NaN that no arithmetic makes, so that an untouched element is known. */
const POISON = { f32: 0x7fc0ffee, f16: 0x7eef };

/** What `put` made for a program, given back by `execute`. @type {WeakMap<Program, Tensor[]>} */
const made = new WeakMap();

/**
 * @param {Program} program
 * @param {ArrayLike<number> | null} values [rows, columns], exact in the type; null: all poison, to be written by a kernel
 * @param {number} rows @param {number} columns
 * @param {View} [view] the engine's precision, offset 0, stride columns, four elements after the last row unless given
 * @returns {Tensor}
 */
export function put(program, values, rows, columns, { dtype = program.float, offset = 0, stride = columns, after = 4 } = {}) {
  const whole = program.engine.tensor(1, offset + rows * stride + after, dtype);
  made.set(program, [...made.get(program) ?? [], whole]);
  const count = whole.buffer.size / (dtype === "f16" ? 2 : 4);
  const bits = dtype === "f16" ? new Uint16Array(count) : new Uint32Array(count);
  bits.fill(POISON[dtype]);
  const floats = new Float32Array(dtype === "f32" ? bits.buffer : new ArrayBuffer(0));
  for (let i = 0; values && i < rows * columns; i++) {
    const to = offset + Math.floor(i / columns) * stride + (i % columns);
    if (dtype === "f16") bits[to] = halfBits(at(values, i));
    else floats[to] = at(values, i);
  }
  program.engine.device.queue.writeBuffer(whole.buffer, 0, bits);
  return new Tensor(whole.storage, dtype, { rows, columns, offset, stride });
}

/** @param {Program} program @param {ArrayLike<number>} values float32 @returns {Range} a vector for a kernel's weight or bias */
export function vector(program, values) {
  return { buffer: put(program, values, 1, values.length, { dtype: "f32", after: 0 }).buffer };
}

/**
 * @param {Engine} engine @param {Tensor} tensor a view that `put` made
 * @returns {Promise<Float64Array>} [rows, columns] its values; fails when anything around it was written
 */
export async function take(engine, { buffer, dtype, rows, columns, offset, stride }) {
  const raw = await engine.readBytes(buffer, 0, buffer.size);
  const bits = dtype === "f16" ? new Uint16Array(raw) : new Uint32Array(raw);
  const out = new Float64Array(rows * columns);
  const values = new DataView(raw);
  for (const [i, word] of bits.entries()) {
    const row = Math.floor((i - offset) / stride);
    const column = i - offset - row * stride;
    if (row < 0 || row >= rows || column >= columns) {
      assert.equal(word, POISON[dtype], `element ${i} outside the view was written`);
    } else {
      out[row * columns + column] = dtype === "f16" ? halfValue(word) : values.getFloat32(i * 4, true);
    }
  }
  return out;
}

/** @param {number} bits */
function halfValue(bits) {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const magnitude = exponent === 31 ? (fraction ? NaN : Infinity)
    : exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
  return bits & 0x8000 ? -magnitude : magnitude;
}

/**
 * Records, builds and runs a program, hands it to `read`, and gives its memory back.
 * @template T
 * @param {Engine} engine
 * @param {(program: Program) => Tensor} record returns what is wanted back
 * @param {(values: Float64Array, program: Program) => T} read
 * @returns {Promise<T>}
 */
export async function execute(engine, record, read) {
  const program = engine.program("test");
  try {
    const result = record(program);
    await program.build();
    await engine.run(program);
    return read(await take(engine, result), program);
  } finally {
    program.destroy();
    engine.release(...made.get(program) ?? []);
  }
}
