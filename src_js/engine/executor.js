/**
 * Runs programs on the queue in small submits, so that the page stays responsive and a cancel takes effect soon.
 *
 * A submit carries commands for about TARGET_MS, by what their kernels were measured to take a FLOP. Two submits are in flight, so that
 * the GPU never waits for the page, but never more than MOST_QUEUED_MS of work: that is how long a cancel waits at most, unless one
 * dispatch alone takes longer. Between submits the abort signal and the device's health are looked at.
 */

import { throwIfCancelled } from "../errors.js";

const TARGET_MS = 40;
/** A cancel is to take effect within 200 ms: some of them are for the ways between page, worker and GPU, and for estimates that are wrong. */
const MOST_QUEUED_MS = 100;
const IN_FLIGHT = 2;
/** A submit is cut here even when its commands are cheap: encoding many at once blocks the worker. */
const MAX_COMMANDS = 256;
/** What a kernel is thought to take before any was measured: 5 GFLOP/s. */
const FIRST_MS_PER_FLOP = 2e-7;
/** No submit changes an estimate by more than this factor: the time may have been somebody else's. */
const MOST_CHANGE = 8;
/** A submit takes so long whatever is in it. */
const LEAST_MS = 0.5;
/** Largest dispatch on a software adapter of unknown speed (a tenth of a second at 0.5 GFLOP/s, as two cores have it), and of any. */
const SOFTWARE_DISPATCH_FLOPS = 5e7;
const MOST_SOFTWARE_DISPATCH_FLOPS = 2e9;
/** And on a GPU: a few tens of milliseconds on the slowest in mind (1 TFLOP/s). */
const GPU_DISPATCH_FLOPS = 5e10;
/** What a dispatch may take where the speed is known: far below what a browser takes for a hang, and no page waits for it. */
const DISPATCH_SECONDS = 0.05;

/**
 * @param {{fallback: boolean}} info
 * @param {number} [flopsPerSecond] that the GPU was measured at, if it was
 * @returns {number} FLOPs of a dispatch at most: a submit cannot be cut inside one
 */
export function maxDispatchFlops({ fallback }, flopsPerSecond = 0) {
  const known = flopsPerSecond * DISPATCH_SECONDS;
  if (!fallback) return Math.max(GPU_DISPATCH_FLOPS, known);
  return Math.min(MOST_SOFTWARE_DISPATCH_FLOPS, Math.max(SOFTWARE_DISPATCH_FLOPS, known));
}

/**
 * @typedef {import("./program.js").Command} Command
 * @typedef {import("./program.js").Program} Program
 *
 * @typedef {object} Part
 * @property {Program} program a built one
 * @property {() => void} [prepare] puts uploads and copies into the queue ahead of it
 * @property {() => void} [finish] puts copies into the queue right behind it, or works while the GPU is at the rest of it
 *
 * @typedef {{commands: readonly Command[], ms: number}} Cut what goes into one submit, and the time it is thought to take
 * @typedef {{ms: number, done: Promise<void>}} Submitted
 */

export class Executor {
  /** Milliseconds a FLOP, by kernel, of those measured. @type {Map<GPUComputePipeline, number>} */
  #rates = new Map();
  /** When the queue's last finished submit was done. */
  #idleSince = -Infinity;
  #now;

  /**
   * @param {GPUDevice} device
   * @param {() => void} check throws when the device has failed
   * @param {() => number} [now] milliseconds, for tests
   */
  constructor(device, check, now = () => performance.now()) {
    this.device = device;
    this.check = check;
    this.#now = now;
  }

  /**
   * Runs programs one after the other, with no pause of the GPU between them.
   * @param {readonly Part[]} parts
   * @param {{signal?: AbortSignal | undefined, onProgress?: ((flops: number) => void) | undefined}} [options]
   *   onProgress gets the FLOPs finished so far
   * @throws {KleinbildError} cancelled, out-of-memory, device-lost
   */
  async run(parts, { signal, onProgress } = {}) {
    /** @type {Submitted[]} */
    const queued = [];
    let flops = 0;
    const onDone = (/** @type {Cut} */ { commands }) => {
      flops += flopsOf(commands);
      onProgress?.(flops);
    };
    try {
      for (const { program, prepare, finish } of parts) {
        const { commands } = program;
        for (let first = 0; first < commands.length;) {
          let cut = this.#cut(commands, first);
          while (isFull(queued, cut)) {
            await queued.shift()?.done;
            cut = this.#cut(commands, first);
          }
          throwIfCancelled(signal);
          this.check();
          if (first === 0) prepare?.();
          queued.push(this.#submit(program.label, cut, onDone));
          first += cut.commands.length;
          if (first === commands.length) finish?.();
        }
      }
      while (queued.length > 0) await queued.shift()?.done;
    } finally {
      await Promise.allSettled(queued.map(({ done }) => done));    // whoever is told of a failure hears no progress after it
    }
    this.check();
    throwIfCancelled(signal);
  }

  /** @param {readonly Command[]} commands @param {number} first of the submit @returns {Cut} one command at least */
  #cut(commands, first) {
    const unknown = this.#slowest();
    let ms = 0;
    let end = first;
    for (const command of commands.slice(first, first + MAX_COMMANDS)) {
      const own = this.#time(command, unknown);
      if (end > first && ms + own > TARGET_MS) break;
      ms += own;
      end += 1;
    }
    return { commands: commands.slice(first, end), ms };
  }

  /** @param {string} label @param {Cut} cut @param {(cut: Cut) => void} onDone @returns {Submitted} */
  #submit(label, cut, onDone) {
    const encoder = this.device.createCommandEncoder({ label });
    const pass = encoder.beginComputePass();
    for (const { pipeline, bindGroup, workgroups } of cut.commands) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(...workgroups);
    }
    pass.end();
    const begun = this.#now();
    this.device.queue.submit([encoder.finish()]);
    const done = this.device.queue.onSubmittedWorkDone().then(() => {
      const now = this.#now();
      this.#learn(cut.commands, Math.max(now - Math.max(begun, this.#idleSince), LEAST_MS));
      this.#idleSince = now;
      onDone(cut);
    });
    return { ms: cut.ms, done };
  }

  /**
   * Corrects what a submit's kernels are thought to take, each by its share in it.
   * @param {readonly Command[]} commands of the submit @param {number} ms it took
   */
  #learn(commands, ms) {
    const unknown = this.#slowest();
    const expected = commands.reduce((sum, command) => sum + this.#time(command, unknown), 0);
    if (expected === 0 || (expected < TARGET_MS / 2 && ms < TARGET_MS)) return;    // too little to tell kernels from the way to the GPU
    /** @type {Map<GPUComputePipeline, number>} */
    const shares = new Map();
    for (const command of commands) shares.set(command.pipeline, (shares.get(command.pipeline) ?? 0) + this.#time(command, unknown) / expected);
    const change = Math.min(MOST_CHANGE, Math.max(1 / MOST_CHANGE, ms / expected));
    for (const [pipeline, share] of shares) {
      const rate = this.#rates.get(pipeline);
      this.#rates.set(pipeline, rate === undefined ? (unknown * ms) / expected : rate * change ** share);
    }
  }

  /** @returns {number} milliseconds a FLOP of a kernel that was not measured: as slow as any */
  #slowest() {
    return this.#rates.size > 0 ? Math.max(...this.#rates.values()) : FIRST_MS_PER_FLOP;
  }

  /** @param {Command} command @param {number} unknown `#slowest` @returns {number} milliseconds */
  #time({ pipeline, flops }, unknown) {
    return flops * (this.#rates.get(pipeline) ?? unknown);
  }
}

/** @param {readonly Submitted[]} queued @param {Cut} next @returns {boolean} whether `next` must wait for the first of them */
function isFull(queued, next) {
  const ms = queued.reduce((sum, one) => sum + one.ms, next.ms);
  return queued.length >= IN_FLIGHT || (queued.length > 0 && ms > MOST_QUEUED_MS);
}

/** @param {readonly Command[]} commands */
function flopsOf(commands) {
  return commands.reduce((sum, { flops }) => sum + flops, 0);
}
