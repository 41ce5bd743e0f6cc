/** The engine around the kernels: buffers, programs, submits, cancelling, failures. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { floatFromHalf } from "../../../src_js/engine/half.js";
import { linear } from "../../../src_js/engine/ops/linear.js";
import { copy } from "../../../src_js/engine/ops/elementwise.js";
import { grid } from "../../../src_js/engine/program.js";
import { KleinbildError } from "../../../src_js/errors.js";
import { openEngine } from "../support/gpu.js";
import { halfBits, nearestHalf } from "../support/reference.js";
import { testRandom } from "../support/random.js";
import { placeWeight, randomMatrix } from "../support/weights.js";

const random = testRandom("engine.test.js");

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

  test("the pool hands a released buffer out again, to a request of a like size only", () => {
    const { pool } = engine;
    pool.trim();
    const large = pool.acquire(100_000);
    const small = pool.acquire(1000);
    pool.release(large);
    pool.release(small);
    assert.notEqual(pool.acquire(20_000), large, "five times too large");
    assert.equal(pool.acquire(900), small);
    assert.equal(pool.acquire(90_000), large);
    pool.release(large);
    assert.throws(() => pool.release(large), /twice/);
    const before = pool.bytes;
    pool.trim();
    assert.equal(pool.bytes, before - large.size);
  });

  test("a program gives all memory back, and refuses to release what is not its own", () => {
    engine.pool.trim();
    const before = engine.pool.bytes;
    const program = engine.program("mine");
    const other = engine.program("other");
    const tensor = program.tensor(10, 10);
    assert.throws(() => other.release(tensor), /not its own/);
    program.release(tensor);
    assert.throws(() => program.release(tensor), /not its own/);
    program.tensor(500, 10);
    program.destroy();
    other.destroy();
    engine.pool.trim();
    assert.equal(engine.pool.bytes, before);
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
    engine.upload(a, Float32Array.from(random.normals(512 * 256)));
    for (let i = 0; i < layers; i++) linear(program, i % 2 ? b : a, weight, i % 2 ? a : b);
    await program.build();
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
