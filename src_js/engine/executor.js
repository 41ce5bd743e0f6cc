/**
 * Runs a program on the queue in small submits, so that the page stays responsive and a cancel takes effect soon.
 *
 * A submit carries commands up to a FLOP budget; the budget follows the measured time of submits towards TARGET_MS. Two
 * submits are in flight, so the GPU never waits for the page. Between submits the abort signal and the device's health
 * are looked at.
 */

import { throwIfCancelled } from "../errors.js";

const TARGET_MS = 40;
const FIRST_BUDGET_FLOPS = 2e8;
const LEAST_BUDGET_FLOPS = 1e7;
const MOST_BUDGET_FLOPS = 1e13;
const IN_FLIGHT = 2;
/** Largest dispatch on a software adapter: a second or so, so that a cancel is felt. */
const SOFTWARE_DISPATCH_FLOPS = 2e9;
/** And on a GPU: a few tens of milliseconds on the slowest in mind (1 TFLOP/s). */
const GPU_DISPATCH_FLOPS = 5e10;
/** A submit is cut here even when its commands are cheap: encoding many at once blocks the worker. */
const MAX_COMMANDS = 256;

/** What a dispatch may take on a GPU whose speed is known: far below what a browser takes for a hang, and no page waits for it. */
const DISPATCH_SECONDS = 0.05;

/**
 * @param {{fallback: boolean}} info
 * @param {number} [flopsPerSecond] that the GPU was measured at, if it was
 * @returns {number} FLOPs of a dispatch at most: a submit cannot be cut inside one
 */
export function maxDispatchFlops({ fallback }, flopsPerSecond = 0) {
  return fallback ? SOFTWARE_DISPATCH_FLOPS : Math.max(GPU_DISPATCH_FLOPS, flopsPerSecond * DISPATCH_SECONDS);
}

/**
 * @typedef {object} Part
 * @property {import("./program.js").Program} program a built one
 * @property {() => void} [prepare] puts uploads and copies into the queue ahead of it
 * @property {() => void} [finish] puts copies into the queue right behind it
 */

export class Executor {
  #budget = FIRST_BUDGET_FLOPS;

  /** @param {GPUDevice} device @param {() => void} check throws when the device has failed */
  constructor(device, check) {
    this.device = device;
    this.check = check;
  }

  /**
   * Runs programs one after the other, with no pause of the GPU between them.
   * @param {readonly Part[]} parts
   * @param {{signal?: AbortSignal | undefined, onProgress?: ((flops: number) => void) | undefined}} [options]
   *   onProgress gets the FLOPs finished so far
   * @throws {KleinbildError} cancelled, out-of-memory, device-lost
   */
  async run(parts, { signal, onProgress } = {}) {
    /** @type {Promise<void>[]} */
    const pending = [];
    const submits = this.#submits(parts);
    let next = submits.next();
    let done = 0;
    try {
      while (!next.done || pending.length > 0) {
        while (!next.done && pending.length < IN_FLIGHT) {
          throwIfCancelled(signal);
          this.check();
          const queued = pending.length;
          const start = performance.now();
          const flops = next.value();
          next = submits.next();
          pending.push(this.device.queue.onSubmittedWorkDone().then(() => {
            this.#adapt(flops, (performance.now() - start) / (queued + 1));
            done += flops;
            onProgress?.(done);
          }));
        }
        await pending.shift();
      }
    } finally {
      await Promise.allSettled(pending);                 // whoever is told of a failure hears no progress after it
    }
    this.check();
    throwIfCancelled(signal);
  }

  /** @param {readonly Part[]} parts @returns {Generator<() => number, void>} what makes each submit, in order, and gives its FLOPs */
  *#submits(parts) {
    for (const { program, prepare, finish } of parts) {
      let next = 0;
      while (next < program.commands.length) {
        yield () => {
          if (next === 0) prepare?.();
          const { end, flops } = this.#submit(program, next);
          next = end;
          if (next === program.commands.length) finish?.();
          return flops;
        };
      }
    }
  }

  /**
   * @param {import("./program.js").Program} program
   * @param {number} first command to encode
   * @returns {{end: number, flops: number}} the command after the last that fitted the budget, and what they cost
   */
  #submit(program, first) {
    const encoder = this.device.createCommandEncoder({ label: program.label });
    const pass = encoder.beginComputePass();
    let end = first;
    let flops = 0;
    while (end < program.commands.length && end - first < MAX_COMMANDS && (flops < this.#budget || end === first)) {
      const command = /** @type {import("./program.js").Command} */ (program.commands[end++]);
      pass.setPipeline(command.pipeline);
      pass.setBindGroup(0, command.bindGroup);
      pass.dispatchWorkgroups(...command.workgroups);
      flops += command.flops;
    }
    pass.end();
    this.device.queue.submit([encoder.finish()]);
    return { end, flops };
  }

  /** @param {number} flops of a submit @param {number} ms it took, about */
  #adapt(flops, ms) {
    if (flops < this.#budget / 2 && ms < TARGET_MS) return;
    const factor = Math.min(2, Math.max(0.5, TARGET_MS / Math.max(ms, 0.5)));
    this.#budget = Math.min(MOST_BUDGET_FLOPS, Math.max(LEAST_BUDGET_FLOPS, this.#budget * factor));
  }
}
