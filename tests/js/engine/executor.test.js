/** How long a cancel waits for the GPU, on a clock and a GPU made up: kernels of any speed, dispatches of any length. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Executor, maxDispatchFlops } from "../../../src_js/engine/executor.js";
import { testRandom } from "../support/random.js";

/** @typedef {import("../../../src_js/engine/program.js").Command} Command */
/** @typedef {Command & {ms: number}} Timed */

const GOAL_MS = 200;
const random = testRandom("executor.test.js");

/** A queue that takes the time that its commands say, one submit after another, and a clock that goes from event to event. */
class Machine {
  now = 0;
  /** Milliseconds of each submit. @type {number[]} */
  submits = [];
  /** @type {{at: number, happen: () => void}[]} in order */
  #events = [];
  #free = 0;

  /** @param {number} [slower] everything takes so many times longer, as beside other programs */
  constructor(slower = 1) {
    this.slower = slower;
    this.executor = new Executor(/** @type {any} */ (this), () => {}, () => this.now);
  }

  createCommandEncoder() {
    const pass = /** @type {Timed[]} */ ([]);
    return {
      beginComputePass: () => ({ setPipeline() {}, setBindGroup: (/** @type {number} */ _, /** @type {any} */ command) => void pass.push(command),
        dispatchWorkgroups() {}, end() {} }),
      finish: () => pass,
    };
  }

  queue = {
    submit: (/** @type {Timed[][]} */ [commands = []]) => {
      const ms = this.slower * commands.reduce((sum, command) => sum + command.ms, 0);
      this.submits.push(ms);
      this.#free = Math.max(this.now, this.#free) + ms;
    },
    onSubmittedWorkDone: () => new Promise((/** @type {(value?: undefined) => void} */ resolve) => this.at(this.#free + 1, resolve)),
  };

  /** @param {number} at @param {() => void} happen */
  at(at, happen) {
    const after = this.#events.findIndex((event) => event.at > at);
    this.#events.splice(after < 0 ? this.#events.length : after, 0, { at, happen });
  }

  /** @param {Timed[]} commands @param {number} [cancelAt] milliseconds from now @returns {Promise<number>} that the run took, or that it took to end after the cancel */
  async run(commands, cancelAt = Infinity) {
    const abort = new AbortController();
    let began = this.now;
    if (cancelAt < Infinity) {
      this.at(this.now + cancelAt, () => {
        began = this.now;
        abort.abort();
      });
    }
    let ended = false;
    const program = /** @type {any} */ ({ label: "test", commands });
    const running = this.executor.run([{ program }], { signal: abort.signal }).catch((error) => assert.equal(error.code, "cancelled"));
    void running.then(() => (ended = true));
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (ended) break;
      const event = this.#events.shift();
      assert.ok(event, "nothing will ever happen again");
      this.now = Math.max(this.now, event.at);
      event.happen();
    }
    this.#events = [];
    return this.now - began;
  }
}

/**
 * @param {number} kernels of which each takes its own time a FLOP, up to 1000 times another's
 * @param {number} count of commands
 * @param {number} longest of a dispatch, in milliseconds
 * @returns {Timed[]} as the layers of a model: the same ones again and again
 */
function layers(kernels, count, longest) {
  const layer = Array.from({ length: kernels }, () => {
    const ms = longest * random.next() ** 2;
    const command = /** @type {any} */ ({ pipeline: {}, workgroups: [1], ms, flops: Math.round(ms * 1e6 * 1000 ** random.next()) });
    return Object.assign(command, { bindGroup: command });
  });
  return Array.from({ length: count }, (_, i) => /** @type {Timed} */ (layer[i % kernels]));
}

const sum = (/** @type {Timed[]} */ commands) => commands.reduce((total, { ms }) => total + ms, 0);

describe("executor", () => {
  test("a cancel waits 100 ms and a dispatch at most, wherever it comes, once a picture was made", async () => {
    const waits = [];
    for (let round = 0; round < 12; round++) {
      const machine = new Machine();
      const commands = layers(1 + random.integer(12), 300, 60);
      await machine.run(commands);
      for (let cancel = 0; cancel < 6; cancel++) waits.push(await machine.run(commands, random.next() * sum(commands) * 0.9));
    }
    const worst = Math.max(...waits);
    assert.ok(worst < GOAL_MS, `${worst} ms`);
    assert.ok(worst > 20, "some cancel met work in hand");
  });

  test("on a machine that became five times slower it does again, after a few submits", async () => {
    const machine = new Machine();
    const commands = layers(6, 400, 20);
    await machine.run(commands);
    machine.slower = 5;
    await machine.run(commands.slice(0, 60));
    for (let cancel = 0; cancel < 10; cancel++) {
      const wait = await machine.run(commands, 200 + random.next() * 5 * sum(commands) * 0.5);
      assert.ok(wait < GOAL_MS, `${wait} ms`);
    }
  });

  test("kernels not seen before are tried carefully, on slow machines and beside fast ones", async () => {
    const machine = new Machine();
    const slow = layers(1, 300, 1).map((command) => Object.assign(command, { ms: 30, flops: 1e7 }));
    await machine.run(slow);
    assert.ok(Math.max(...machine.submits.slice(2)) <= 60, `${machine.submits.slice(0, 9)}`);
    assert.ok(Math.max(...machine.submits) <= 600, "5 GFLOP/s were promised, and there was a third of one");
  });

  test("a fast GPU gets submits of many commands soon, and is never idle between them", async () => {
    const machine = new Machine();
    const commands = layers(1, 4000, 1).map((command) => Object.assign(command, { ms: 1, flops: 3e10 }));
    const took = await machine.run(commands);
    const late = machine.submits.slice(-20, -1);
    assert.ok(Math.min(...late) >= 30 && Math.max(...late) <= 50, `${late}`);
    assert.ok(machine.submits.length < 150, `${machine.submits.length} submits`);
    assert.ok(took < sum(commands) * 1.02, `${took} ms`);
  });

  test("a long dispatch is alone in the queue", async () => {
    const machine = new Machine();
    const commands = layers(1, 20, 1).map((command) => Object.assign(command, { ms: 150, flops: 2e9 }));
    await machine.run(commands);
    const wait = await machine.run(commands, 310);
    assert.ok(wait <= 155, `${wait} ms`);
    assert.ok(machine.submits.every((ms) => ms === 150));
  });

  test("a dispatch is as long as the speed allows that was measured", () => {
    const [software, gpu] = [{ fallback: true }, { fallback: false }];
    assert.equal(maxDispatchFlops(software), 5e7);
    assert.equal(maxDispatchFlops(software, 1e10), 5e8);
    assert.equal(maxDispatchFlops(software, 1), 5e7);
    assert.equal(maxDispatchFlops(software, 1e15), 2e9);
    assert.equal(maxDispatchFlops(gpu), 5e10);
    assert.equal(maxDispatchFlops(gpu, 1e11), 5e10);
    assert.equal(maxDispatchFlops(gpu, 1e13), 5e11);
  });
});
