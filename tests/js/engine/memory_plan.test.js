/** Which tensors share memory: random lives, and programs recorded without a GPU. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DryEngine } from "../../../src_js/engine/dry_engine.js";
import { planMemory } from "../../../src_js/engine/memory_plan.js";
import { Tensor } from "../../../src_js/engine/tensor.js";
import { deviceInfo } from "../support/device_info.js";
import { testRandom } from "../support/random.js";

/** @typedef {import("../../../src_js/engine/memory_plan.js").Life} Life */

const random = testRandom("memory_plan.test.js");

/** @param {number} count @param {number} dispatches @returns {Life[]} */
function randomLives(count, dispatches) {
  return Array.from({ length: count }, () => {
    const bytes = 256 * (1 + random.integer(1 << (1 + random.integer(10))));
    if (random.next() < 0.1) return { bytes, first: -Infinity, last: Infinity };
    const first = random.integer(dispatches);
    return { bytes, first, last: Math.min(dispatches - 1, first + random.integer(1 + random.integer(dispatches))) };
  });
}

/** @param {readonly Life[]} lives @param {number} dispatches @returns {number} bytes alive at the busiest one, counted one by one */
function busiest(lives, dispatches) {
  const alive = Array.from({ length: dispatches }, (_, at) => (
    lives.filter(({ first, last }) => first <= at && at <= last).reduce((sum, { bytes }) => sum + bytes, 0)));
  return Math.max(...alive);
}

describe("memory plan", () => {
  test("random lives: no two that overlap share a slot, every one fits its slot, no more memory than without sharing", () => {
    for (let round = 0; round < 300; round++) {
      const dispatches = 1 + random.integer(60);
      const lives = randomLives(random.integer(80), dispatches);
      const { slots, assignment, bytes } = planMemory(lives);
      assert.equal(bytes, slots.reduce((a, b) => a + b, 0));
      assert.ok(bytes <= lives.reduce((sum, life) => sum + life.bytes, 0));
      assert.ok(bytes >= busiest(lives, dispatches));
      for (const [i, life] of lives.entries()) {
        assert.ok(life.bytes <= (slots[assignment[i] ?? -1] ?? 0));
        for (const [j, other] of lives.entries()) {
          if (i === j || assignment[i] !== assignment[j]) continue;
          assert.ok(life.last < other.first || other.last < life.first, `${JSON.stringify([life, other])} in one slot`);
        }
      }
    }
  });

  test("a chain of layers of one size takes two slots, one of halving sizes the first two", () => {
    const chain = (/** @type {number[]} */ sizes) => planMemory(sizes.map((bytes, i) => ({ bytes, first: i, last: i + 1 })));
    assert.deepEqual(chain([512, 512, 512, 512, 512]).slots, [512, 512]);
    assert.deepEqual(chain([4096, 2048, 1024, 512, 256]).slots, [4096, 2048]);
    assert.deepEqual(chain([256, 512, 1024, 2048, 4096]).slots, [4096, 2048]);
  });
});

/** @param {Tensor[]} tensors that it binds @returns {import("../../../src_js/engine/program.js").Dispatch} */
const dispatch = (...tensors) => ({
  variant: { kernel: "test" }, uints: [], bindings: Object.fromEntries(tensors.map((tensor, i) => [i + 1, tensor])),
  workgroups: [1, 1], flops: 1,
});

describe("a program's memory", () => {
  const engine = new DryEngine({ info: deviceInfo() });

  test("random programs: the tensors of a dispatch lie in different buffers, and nothing is overwritten before its last use", () => {
    for (let round = 0; round < 100; round++) {
      const program = engine.program("random");
      /** @type {Tensor[]} */
      let alive = [];
      /** @type {Set<unknown>} */
      const kept = new Set();
      for (let i = 0; i < 60; i++) {
        const out = program.tensor(1 + random.integer(40), 1 + random.integer(40), random.next() < 0.5 ? "f16" : "f32");
        const inputs = alive.filter(() => random.next() < 0.3);
        const view = out.rowRange(0, random.integer(out.rows) + 1);
        program.dispatch(dispatch(...inputs, view));
        alive.push(out);
        const [released, stay] = [/** @type {Tensor[]} */ ([]), /** @type {Tensor[]} */ ([])];
        for (const tensor of alive) (random.next() < 0.25 ? released : stay).push(tensor);
        program.release(...released);
        alive = stay;
      }
      for (const { storage } of alive) kept.add(storage);
      const { storages, assignment, slots } = program.plan();
      const slotOf = new Map(storages.map((storage, i) => [storage, assignment[i]]));
      /** @type {Map<number | undefined, unknown>} */
      const owner = new Map();
      for (const { bindings } of program.dispatches) {
        const bound = Object.values(bindings).filter((range) => range instanceof Tensor);
        assert.equal(new Set(bound.map(({ storage }) => slotOf.get(storage))).size, bound.length);
        for (const [i, { storage }] of bound.entries()) {
          const slot = slotOf.get(storage);
          if (i < bound.length - 1) assert.equal(owner.get(slot), storage, "what is read is what was written last");
          else owner.set(slot, storage);
          assert.ok(storage.bytes <= (slots[slot ?? -1] ?? 0));
        }
      }
      for (const storage of kept) {
        const tenants = storages.filter((other) => slotOf.get(other) === slotOf.get(/** @type {any} */ (storage)));
        assert.deepEqual(tenants, [storage], "a kept tensor shares with nobody");
      }
    }
  });

  test("a tensor that is released without a use takes no memory, one that is kept without a use does", () => {
    const program = engine.program("unused");
    program.release(program.tensor(1000, 1000));
    assert.equal(program.plan().bytes, 0);
    program.tensor(10, 10, "f32");
    assert.equal(program.plan().bytes, 512);
  });

  test("tensors of other programs and of the engine are not part of a program's memory", () => {
    const program = engine.program("borrowing");
    const [shared, foreign] = [engine.tensor(64, 64, "f32"), engine.program("other").tensor(64, 64, "f32")];
    const own = program.tensor(64, 64, "f32");
    program.dispatch(dispatch(shared, foreign, own));
    assert.deepEqual(program.plan().storages, [own.storage]);
  });
});
