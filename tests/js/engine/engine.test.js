/** The engine around the kernels: buffers, programs, submits, cancelling, failures. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { floatFromHalf, floatsFromHalves } from "../../../src_js/engine/half.js";
import { linear } from "../../../src_js/engine/ops/linear.js";
import { copy } from "../../../src_js/engine/ops/elementwise.js";
import { grid } from "../../../src_js/engine/program.js";
import { KleinbildError } from "../../../src_js/errors.js";
import { openEngine } from "../support/gpu.js";
import { halfBits, nearestHalf } from "../support/reference.js";
import { testRandom } from "../support/random.js";
import { denseMatrix, placeWeight, randomMatrix } from "../support/weights.js";

const random = testRandom("engine.test.js");

/** @typedef {import("../../../src_js/engine/tensor.js").Tensor} Tensor */

/** @param {string} code */
const hasCode = (code) => (/** @type {unknown} */ error) => error instanceof KleinbildError && error.code === code;

test("half precision: all 65 536 values", () => {
  for (let bits = 0; bits < 0x10000; bits++) {
    const value = floatFromHalf(bits);
    if ((bits & 0x7c00) === 0x7c00 && (bits & 0x3ff) !== 0) assert.ok(Number.isNaN(value));
    else {
      assert.equal(halfBits(value), bits);
      assert.equal(nearestHalf(value), value);
    }
  }
  const bits = Uint16Array.from({ length: 0x10000 }, (_, i) => i);
  assert.deepEqual(floatsFromHalves(bits), Float32Array.from(bits, floatFromHalf));
});

test("a grid holds at least as many workgroups as asked, within WebGPU's bound", () => {
  for (const count of [1, 65535, 65536, 200_000, 10_000_000]) {
    const [x, y] = grid(count);
    assert.ok(x * y >= count && x * (y - 1) < count && x <= 65535 && y <= 65535, `${count}: ${x} x ${y}`);
  }
});

describe("engine", () => {
  /** @type {import("../../../src_js/engine/engine.js").Engine} */
  let engine;
  before(async () => {
    engine = await openEngine("f32");
  });
  after(() => engine.destroy());

  test("memory in use and its peak are counted", () => {
    const { memory } = engine;
    memory.resetPeak();
    const before = memory.bytes;
    const [large, small] = [engine.tensor(100, 1000, "f32"), engine.tensor(3, 7, "f16")];
    assert.equal(memory.bytes, before + 400_128 + 256, "whole multiples of 256 bytes");
    const { buffer } = large;
    engine.release(large);
    assert.equal(memory.bytes, before + 256);
    assert.equal(memory.peakBytes, before + 400_128 + 256);
    assert.throws(() => large.buffer, /no memory/);
    assert.throws(() => memory.destroy(buffer), /twice/);
    memory.resetPeak();
    assert.equal(memory.peakBytes, before + 256);
    engine.release(small);
  });

  test("a program takes the memory that it planned, gives all back, and releases only its own tensors", async () => {
    const before = engine.memory.bytes;
    const program = engine.program("mine");
    const other = engine.program("other");
    const chain = Array.from({ length: 5 }, () => program.tensor(100, 64, "f32"));
    for (const [i, tensor] of chain.entries()) {
      const last = chain[i - 1];
      if (!last) continue;
      copy(program, last, tensor);
      if (i > 1) program.release(last);
    }
    assert.throws(() => other.release(/** @type {Tensor} */ (chain[0])), /not its own/);
    assert.throws(() => program.release(/** @type {Tensor} */ (chain[2])), /not its own/);
    assert.throws(() => copy(program, /** @type {Tensor} */ (chain[2]), /** @type {Tensor} */ (chain[4])), /released/);
    assert.throws(() => /** @type {Tensor} */ (chain[0]).buffer, /no memory/);
    assert.equal(program.plan().bytes, 4 * 100 * 64 * 4, "first and last are kept, the others take turns in two slots");
    assert.equal(engine.memory.bytes, before);
    await program.build();
    assert.equal(engine.memory.bytes, before + 4 * 100 * 64 * 4 + 4 * 256, "and its dispatches' parameters");
    const values = Float32Array.from(random.normals(6400));
    engine.upload(/** @type {Tensor} */ (chain[0]), values);
    await engine.run(program);
    assert.deepEqual(await engine.read(/** @type {Tensor} */ (chain[4])), values);
    await assert.rejects(engine.read(/** @type {Tensor} */ (chain[2])), /released/);
    program.destroy();
    other.destroy();
    assert.equal(engine.memory.bytes, before);
  });

  test("a program runs again with other contents", async () => {
    const program = engine.program("twice");
    const [a, b] = [program.tensor(3, 5, "f32"), program.tensor(3, 5, "f32")];
    copy(program, a, b);
    await program.build();
    for (let i = 0; i < 2; i++) {
      const values = Float32Array.from(random.normals(15));
      engine.upload(a, values);
      await engine.run(program);
      assert.deepEqual(await engine.read(b), values);
    }
    program.destroy();
  });

  test("programs run one after the other, each after what it asked to be prepared", async () => {
    const program = engine.program("part");
    const [step, sum, next] = [program.tensor(1, 3, "f32"), program.tensor(1, 3, "f32"), program.tensor(1, 3, "f32")];
    const { weight, destroy } = placeWeight(engine, denseMatrix([1, 0, 0, 0, 1, 0, 0, 0, 1], 3, 3, "f32"));
    linear(program, step, weight, sum, { accumulate: true });
    copy(program, sum, next);
    await program.build();
    const steps = Array.from({ length: 9 }, () => Float32Array.from({ length: 3 }, () => random.integer(1000)));
    /** @type {number[]} */
    const seen = [];
    const parts = steps.map((values) => ({ program, prepare: () => engine.upload(step, values) }));
    await engine.runAll(parts, { onProgress: (flops) => seen.push(flops) });
    const totals = [0, 1, 2].map((i) => steps.reduce((total, values) => total + (values[i] ?? NaN), 0));
    assert.deepEqual(await engine.read(next), Float32Array.from(totals));
    assert.equal(seen.at(-1), 9 * program.flops);
    const abort = new AbortController();
    const cancelled = [{ program, prepare: () => abort.abort() }, { program, prepare: () => assert.fail("after the cancel") }];
    await assert.rejects(engine.runAll(cancelled, { signal: abort.signal }), hasCode("cancelled"));
    await engine.runAll([]);
    program.destroy();
    destroy();
  });

  test("views outside their tensor and wrong uploads are refused", () => {
    const program = engine.program("views");
    const tensor = program.tensor(4, 6, "f32");
    assert.throws(() => tensor.rowRange(2, 3), RangeError);
    assert.throws(() => tensor.columnRange(-1, 2), RangeError);
    assert.throws(() => engine.upload(tensor.columnRange(0, 3), new Float32Array(12)), RangeError);
    assert.throws(() => engine.upload(tensor, new Float32Array(23)), RangeError);
    assert.deepEqual(tensor.rowRange(1, 2).columnRange(2, 3).offset, 8);
    program.destroy();
  });

  /** @param {number} layers @returns {Promise<{program: import("../../../src_js/engine/program.js").Program, destroy: () => void}>} */
  async function longProgram(layers) {
    const program = engine.program("long");
    const { weight, destroy } = placeWeight(engine, randomMatrix(random, 256, 256, { format: "f32" }));
    const [a, b] = [program.tensor(512, 256, "f32"), program.tensor(512, 256, "f32")];
    for (let i = 0; i < layers; i++) linear(program, i % 2 ? b : a, weight, i % 2 ? a : b);
    await program.build();
    engine.upload(a, Float32Array.from(random.normals(512 * 256)));
    return { program, destroy: () => (program.destroy(), destroy()) };
  }

  test("progress only grows and ends at the program's FLOPs", async () => {
    const { program, destroy } = await longProgram(20);
    /** @type {number[]} */
    const seen = [];
    await engine.run(program, { onProgress: (flops) => seen.push(flops) });
    assert.ok(seen.length > 2, `${seen.length} submits`);
    assert.deepEqual(seen, [...seen].sort((x, y) => x - y));
    assert.equal(seen.at(-1), program.flops);
    destroy();
  });

  test("a cancel takes effect between submits, and the engine works afterwards", async () => {
    const { program, destroy } = await longProgram(60);
    const abort = new AbortController();
    let last = 0;
    const run = engine.run(program, {
      signal: abort.signal,
      onProgress: (flops) => {
        last = flops;
        abort.abort();
      },
    });
    await assert.rejects(run, hasCode("cancelled"));
    assert.ok(last > 0 && last < program.flops, `${last} of ${program.flops}`);
    await engine.run(program);
    destroy();
  });

  test("a buffer beyond the GPU's limit is refused in plain words", () => {
    const program = engine.program("large");
    assert.throws(() => program.tensor(2 ** 20, 2 ** 16, "f32"), hasCode("out-of-memory"));
    program.destroy();
  });
});

test("a lost device is told once, and by every later run", async () => {
  const engine = await openEngine("f32");
  const program = engine.program("lost");
  copy(program, program.tensor(4, 4, "f32"), program.tensor(4, 4, "f32"));
  await program.build();
  engine.markLost("the driver was reset");
  await assert.rejects(engine.run(program), hasCode("device-lost"));
  assert.throws(() => engine.check(), /the driver was reset/);
  engine.destroy();
});
