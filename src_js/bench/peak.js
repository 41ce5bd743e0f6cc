/**
 * What the GPU can do at most: multiply-adds of both float types, and bytes copied, by kernels that do nothing else.
 */

import { measure } from "../engine/timing/measure.js";
import { grid } from "../engine/program.js";

/** @typedef {import("../engine/engine.js").Engine} Engine */
/** @typedef {import("../engine/timing/gpu_clock.js").GpuClock} GpuClock */

const WORKGROUP = 256;
/** Independent chains of four-vectors in an invocation: which number hides a GPU's latency best is tried out. */
const ACCUMULATORS = [4, 8, 16];
/** Enough for every GPU to be full for milliseconds; a software adapter is full at once. */
const SIZES = { gpu: { workgroups: 8192, iterations: 256, copyBytes: 2 ** 28 }, software: { workgroups: 16, iterations: 256, copyBytes: 2 ** 24 } };
const VECTOR_FLOPS = 8;
const VECTOR_BYTES = 16;

/** @param {Engine} engine */
const sizesFor = (engine) => (engine.info.fallback ? SIZES.software : SIZES.gpu);

/**
 * @param {Engine} engine @param {GpuClock} clock
 * @param {import("../engine/kernel_source.js").FloatType} type one that the engine was opened for
 * @returns {Promise<{seconds: number, flops: number}>} of the fastest way
 */
export async function measureFma(engine, clock, type) {
  const { workgroups, iterations } = sizesFor(engine);
  const results = [];
  for (const accumulators of ACCUMULATORS) {
    const program = engine.program("fma peak");
    try {
      const out = program.tensor(workgroups, WORKGROUP, "f32");
      const flops = workgroups * WORKGROUP * iterations * accumulators * VECTOR_FLOPS;
      program.dispatch({
        variant: { kernel: "peak_fma", types: { F: type }, constants: { ACCUMULATORS: accumulators } },
        uints: [iterations], bindings: { 1: out }, workgroups: [workgroups, 1], flops,
      });
      await program.build();
      const { seconds } = await measure((repeats) => clock.time(program, repeats));
      results.push({ seconds, flops });
    } finally {
      program.destroy();
    }
  }
  return results.reduce((best, one) => (one.flops / one.seconds > best.flops / best.seconds ? one : best));
}

/** @param {Engine} engine @param {GpuClock} clock @returns {Promise<{seconds: number, bytes: number}>} bytes: read and written */
export async function measureCopy(engine, clock) {
  const limit = Number(engine.device.limits.maxStorageBufferBindingSize);
  const size = Math.min(sizesFor(engine).copyBytes, 2 ** Math.floor(Math.log2(limit)));
  const vectors = size / VECTOR_BYTES;
  const program = engine.program("copy peak");
  try {
    const x = program.tensor(vectors, VECTOR_BYTES / 4, "f32");
    const out = program.tensor(vectors, VECTOR_BYTES / 4, "f32");
    program.dispatch({
      variant: { kernel: "peak_copy" }, uints: [vectors], bindings: { 1: x, 2: out }, workgroups: grid(Math.ceil(vectors / WORKGROUP)), flops: 0,
    });
    await program.build();
    const { seconds } = await measure((repeats) => clock.time(program, repeats));
    return { seconds, bytes: 2 * size };
  } finally {
    program.destroy();
  }
}
