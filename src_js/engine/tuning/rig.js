/**
 * Builds, checks and times one kernel candidate at a time on the engine's GPU. Which ones, and what follows from it, is tuner.js's.
 *
 * Whatever a candidate does wrong (it does not compile, is refused, needs too much memory) becomes an exception of that candidate
 * and leaves the engine as it was; only a lost device cannot be contained.
 */

import { KleinbildError } from "../../errors.js";
import { compilerFaults } from "./compiler_probe.js";
import { GpuClock } from "../timing/gpu_clock.js";
import { measure } from "../timing/measure.js";
import { relativeError } from "./probe.js";
import { poison } from "../synthetic/inputs.js";
import { operatorOf } from "./kinds.js";

/**
 * @typedef {import("../candidates.js").Candidate} Candidate
 * @typedef {import("../program.js").Program} Program
 * @typedef {import("../tensor.js").Tensor} Tensor
 * @typedef {import("./tuner.js").Job} Job
 * @typedef {import("./tuner.js").Workload} Workload
 */

/** @typedef {{error: number, used: boolean}} Checked used: whether the candidate was offered for the workload */

const SCOPES = /** @type {const} */ (["validation", "internal", "out-of-memory"]);

export class TuningRig {
  /** @type {Map<string, Promise<unknown>>} by kind and candidate */
  #compiled = new Map();
  /** @type {Map<Workload, ArrayLike<number>>} what is right */
  #references = new Map();
  /** @type {Map<Workload, Map<string, Checked>>} by workload, operator and candidate */
  #checked = new Map();
  #warm = false;
  #clock;

  /** @param {import("../engine.js").Engine} engine */
  constructor(engine) {
    this.engine = engine;
    this.#clock = new GpuClock(engine);
  }

  /** @returns {Promise<string[]>} faults of the shader compiler, in words */
  faults() {
    return compilerFaults(this.engine);
  }

  /** Begins to compile everything that a candidate needs, beside all others. @param {Job} job @param {Candidate} candidate */
  compile(job, candidate) {
    const compiling = this.#compile(job, candidate);
    compiling.catch(() => undefined);                    // told by `check`, which waits for it
    this.#compiled.set(`${job.kind} ${candidate.name}`, compiling);
  }

  /**
   * @param {Job} job
   * @returns {Promise<number>} the largest error of what candidates are compared with, over the probes that JavaScript works out
   * @throws {Error} when it does not compile or run
   */
  async checkReference({ probes }) {
    let worst = 0;
    for (const workload of probes) {
      if (workload.expected) worst = Math.max(worst, relativeError(await this.#plainest(workload), workload.expected()));
    }
    return worst;
  }

  /**
   * @param {Job} job @param {Candidate} candidate
   * @returns {Promise<number>} its largest error over the job's probes (probe.js)
   * @throws {Error} when it does not compile or run, or when no probe can be done with it
   */
  async check(job, candidate) {
    await (this.#compiled.get(`${job.kind} ${candidate.name}`) ?? this.#compile(job, candidate));
    /** @type {Checked[]} */
    const checked = [];
    for (const workload of job.probes) checked.push(await this.#checkOne(job.kind, candidate, workload));
    if (!checked.some(({ used }) => used)) throw new Error("no probe is of a shape that it takes");
    return Math.max(...checked.map(({ error }) => error));
  }

  /**
   * @param {Workload} workload with `expected`, of an operator that has one kernel
   * @param {(values: Float32Array<ArrayBuffer>) => ArrayLike<number>} [decode] what was read, as `expected` counts it
   * @returns {Promise<number>} its error, in the engine's precision
   * @throws {Error} when it does not compile or run
   */
  async checkSingle(workload, decode = (values) => values) {
    const values = await this.#run(this.engine.program("check"), (program) => workload.record(program));
    return relativeError(decode(values), workload.expected?.() ?? []);
  }

  /**
   * @param {Job} job @param {Candidate} candidate @param {Workload} workload
   * @param {number} limit seconds beyond which it is given up
   * @returns {Promise<import("../timing/measure.js").Measured & {flops: number}>}
   * @throws {Error} when it does not run
   */
  async time(job, candidate, workload, limit) {
    const program = this.engine.program(`timing ${candidate.name}`);
    try {
      return await contained(this.engine.device, async () => {
        const { fill } = this.#record(job.kind, candidate, workload, program).result;
        await program.build();
        fill();
        const time = (/** @type {number} */ repeats) => this.#clock.time(program, repeats);
        if (!this.#warm) await measure(time);            // a GPU that was idle takes a while to reach its full clock rate
        this.#warm = true;
        return { ...await measure(time, limit), flops: program.flops };
      });
    } finally {
      program.destroy();
    }
  }

  /** Gives its buffers back. */
  close() {
    this.#clock.destroy();
  }

  /** @param {string} kind @param {Candidate} candidate @param {Workload} workload @returns {Promise<Checked>} done once an operator */
  async #checkOne(kind, candidate, workload) {
    const known = this.#checked.get(workload) ?? new Map();
    this.#checked.set(workload, known);
    const key = `${operatorOf(kind)} ${candidate.name}`;
    const found = known.get(key);
    if (found) return found;
    const reference = this.#references.get(workload) ?? workload.expected?.() ?? await this.#plainest(workload);
    this.#references.set(workload, reference);
    let used = false;
    const values = await this.#run(this.engine.program(`probe ${candidate.name}`), (program) => {
      const recorded = this.#record(kind, candidate, workload, program);
      ({ used } = recorded);
      return recorded.result;
    });
    const checked = { error: relativeError(values, reference), used };
    known.set(key, checked);
    return checked;
  }

  /** @param {Job} job @param {Candidate} candidate Asks the device for everything before its first await. */
  async #compile(job, candidate) {
    const { engine } = this;
    const shapes = (job.shapes ?? []).map(({ workload }) => workload);
    const variants = [...job.probes, ...job.timed, ...shapes].flatMap((workload) => {
      const program = engine.program(candidate.name);    // only recorded, never built
      this.#record(job.kind, candidate, workload, program);
      return program.dispatches.map(({ variant }) => variant);
    });
    await Promise.all(variants.map((variant) => issued(engine.device, () => engine.pipeline(variant))));
  }

  /** @param {string} kind @param {Candidate} candidate @param {Workload} workload @param {Program} program */
  #record(kind, { name }, workload, program) {
    return this.engine.tuning.using(kind, name, () => workload.record(program));
  }

  /** @param {Workload} workload @returns {Promise<Float32Array>} the plainest kernel's result in f32 */
  #plainest(workload) {
    return this.#run(this.engine.program("reference", "f32"), (program) => this.engine.tuning.plainest(() => workload.record(program)));
  }

  /**
   * @param {Program} program is destroyed
   * @param {(program: Program) => ReturnType<Workload["record"]>} record
   * @returns {Promise<Float32Array<ArrayBuffer>>} what the recorded operator wrote
   */
  async #run(program, record) {
    const { engine } = this;
    try {
      return await contained(engine.device, async () => {
        const { out, fill } = record(program);
        await program.build();
        poison(engine, out);
        fill();
        await engine.run(program);
        return engine.read(out);
      });
    } finally {
      program.destroy();
    }
  }
}

/**
 * Turns the errors that WebGPU reports out of band into an exception of `work`. Nothing else may use the device meanwhile.
 * @template T
 * @param {GPUDevice} device @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
async function contained(device, work) {
  for (const scope of SCOPES) device.pushErrorScope(scope);
  const [outcome] = await Promise.allSettled([work()]);
  return settle(outcome, SCOPES.map(() => device.popErrorScope()));
}

/**
 * The same for work that asks the device for everything before its first await: any number may be under way.
 * @template T
 * @param {GPUDevice} device @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
async function issued(device, work) {
  for (const scope of SCOPES) device.pushErrorScope(scope);
  const running = Promise.allSettled([work()]);
  const errors = SCOPES.map(() => device.popErrorScope());
  const [outcome] = await running;
  return settle(outcome, errors);
}

/**
 * @template T
 * @param {PromiseSettledResult<T>} outcome @param {Promise<GPUError | null>[]} errors
 * @returns {Promise<T>}
 */
async function settle(outcome, errors) {
  const [error] = (await Promise.all(errors)).filter((one) => one !== null);
  if (outcome.status === "rejected") throw outcome.reason;
  if (error instanceof GPUOutOfMemoryError) throw new KleinbildError("out-of-memory", error.message || "The GPU is out of memory.");
  if (error) throw new Error(error.message);
  return outcome.value;
}
