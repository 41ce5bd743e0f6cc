/**
 * The whole benchmark, one measurement after the other: what one of them cannot do is told in its row and the others go on, on a
 * fresh device where the old one is broken.
 */

import { checkOptions, RESULT_SCHEMA } from "../bench_protocol.js";
import { tuneKernels } from "../engine/tuning/tuner.js";
import { applyReport, choices } from "../engine/tuning/report.js";
import { asKleinbildError, throwIfCancelled } from "../errors.js";
import { openTuningJobs } from "../pipeline/tuning/jobs.js";
import { heaviest, kernelCases } from "./kernels.js";
import { openLab } from "./lab.js";
import { measureCopy, measureFma } from "./peak.js";
import { measurePicture } from "./pictures.js";
import { NO_PEAK, rated } from "./rating.js";
import { usedSizes } from "./sizes.js";
import { stageCases, timeCompilation, timeStage } from "./stages.js";

/**
 * @typedef {import("../bench_protocol.js").BenchOptions} BenchOptions
 * @typedef {import("../bench_protocol.js").BenchResult} BenchResult
 * @typedef {import("../bench_protocol.js").Group} Group
 * @typedef {import("../bench_protocol.js").Row} Row
 * @typedef {import("../engine/tuning/report.js").TuningReport} TuningReport
 * @typedef {import("./lab.js").Environment} Environment
 * @typedef {import("./lab.js").Lab} Lab
 */

/**
 * @typedef {object} Observer
 * @property {AbortSignal} [signal]
 * @property {(progress: {done: number, total: number, label: string}) => void} [onProgress] before every measurement
 * @property {(row: Row) => void} [onRow]
 * @property {import("./pictures.js").Page} [page]
 */

/**
 * @typedef {object} Task
 * @property {Group} group
 * @property {string} name of its row where it fails
 * @property {(lab: Lab) => Promise<Row[]>} run
 */

/** A measurement that takes longer is given up: the GPU hangs, or is far too slow for it. */
const MOST_SECONDS = 300;
/** After a failure the browser may take a while until it has a GPU again. */
const TRIES = 3;
const PAUSE_MS = 2000;
/** Of a shader compiler's complaint the beginning tells enough. */
const MAX_ERROR_CHARACTERS = 400;

/**
 * @param {Environment & {machine: Pick<BenchResult["machine"], "userAgent"|"browser">}} environment
 * @param {Partial<BenchOptions>} given
 * @param {Observer} [observer]
 * @returns {Promise<BenchResult>}
 * @throws {import("../errors.js").KleinbildError} bad-input, no-webgpu, no-adapter, cancelled
 */
export async function runBench(environment, given, observer = {}) {
  const options = checkOptions(given);
  const { lab, model } = await openLab(environment, options);
  const suite = new Suite(environment, { ...options, model }, lab, observer);
  try {
    return await suite.run();
  } finally {
    suite.close();
  }
}

/** @param {string} text @returns {string} */
function oneLine(text) {
  return text.replace(/\s+/g, " ").trim().slice(0, MAX_ERROR_CHARACTERS);
}

/**
 * @template T
 * @param {Promise<T>} work @param {number} seconds
 * @returns {Promise<T>} rejects when the work takes longer
 */
async function within(work, seconds) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${seconds} seconds`)), 1000 * seconds);
  });
  try {
    return await Promise.race([work, /** @type {Promise<never>} */ (late)]);
  } finally {
    clearTimeout(timer);
  }
}

class Suite {
  /** @type {Row[]} */
  #rows = [];
  #peak = NO_PEAK;
  /** @type {TuningReport | undefined} */
  #tuned;
  #lab;
  /** Why there is no device any more, "" while there is one. */
  #gone = "";
  /** Tells what is being measured. @type {(label: string) => void} */
  #tell = () => {};

  /**
   * @param {Parameters<typeof runBench>[0]} environment
   * @param {BenchOptions & {model: "klein4b"|"small"}} options
   * @param {Lab} lab
   * @param {Observer} observer
   */
  constructor(environment, options, lab, observer) {
    this.environment = environment;
    this.observer = observer;
    this.#lab = lab;
    this.sizes = usedSizes(options, options.model);
    this.steps = options.steps || lab.config.default_steps;
    this.options = { ...options, sizes: this.sizes, steps: this.steps };
  }

  /** @returns {Promise<BenchResult>} */
  async run() {
    const start = performance.now();
    const tasks = [...this.#peakTasks(), ...this.#startTasks(), ...this.#kernelTasks(), ...this.#stageTasks(), ...this.#pictureTasks()];
    for (const [done, task] of tasks.entries()) {
      this.#tell = (label) => this.observer.onProgress?.({ done, total: tasks.length, label });
      this.#tell(task.name);
      for (const row of await this.#attempt(task)) {
        const complete = rated(row, this.#peak);
        this.#rows.push(complete);
        this.observer.onRow?.(complete);
      }
    }
    const { precision, ...adapter } = this.#lab.engine.info;
    const { build, ...options } = this.options;
    return {
      schema: RESULT_SCHEMA, kind: "kleinbild-bench", build, machine: { ...this.environment.machine, adapter }, precision, options,
      peak: this.#peak, kernels: choices(this.#tuned ?? { kinds: [] }).map(({ kind, chosen, candidates }) => ({ kind, kernel: chosen, candidates })),
      rows: this.#rows, seconds: (performance.now() - start) / 1000,
    };
  }

  close() {
    if (this.#gone === "") this.#lab.close();
  }

  /** @param {Task} task @returns {Promise<Row[]>} its rows, or one that tells why there are none */
  async #attempt({ group, name, run }) {
    const { signal } = this.observer;
    throwIfCancelled(signal);
    if (this.#gone !== "") return [{ group, name, error: this.#gone }];
    try {
      const rows = await within(run(this.#lab), MOST_SECONDS);
      this.#lab.engine.check();
      return rows;
    } catch (error) {
      throwIfCancelled(signal);
      await this.#recover();
      return [{ group, name, error: oneLine(asKleinbildError(error).message) }];
    }
  }

  /** Goes on with a fresh device: what failed may have left weights, memory or the device itself in any state. */
  async #recover() {
    this.#lab.close();
    for (let tries = 1; ; tries++) {
      try {
        const { lab } = await openLab(this.environment, this.options);
        if (this.#tuned) applyReport(lab.engine, this.#tuned);
        this.#lab = lab;
        return;
      } catch (error) {
        if (tries === TRIES) {
          this.#gone = oneLine(`the GPU did not come back: ${asKleinbildError(error).message}`);
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }
  }

  /** @returns {Task[]} */
  #peakTasks() {
    const types = this.#lab.engine.info.precision === "f16" ? /** @type {const} */ (["f32", "f16"]) : /** @type {const} */ (["f32"]);
    const fma = types.map((type) => (/** @type {Task} */ ({
      group: "peak", name: `fma ${type}`,
      run: async ({ engine, clock }) => {
        const measured = await measureFma(engine, clock, type);
        const tflops = measured.flops / measured.seconds / 1e12;
        this.#peak = { ...this.#peak, [`${type}Tflops`]: tflops, ...(type === engine.info.precision && { tflops }) };
        return [{ group: "peak", name: `fma ${type}`, ...measured }];
      },
    })));
    return [...fma, {
      group: "peak", name: "copy",
      run: async ({ engine, clock }) => {
        const measured = await measureCopy(engine, clock);
        this.#peak = { ...this.#peak, copyGigabytesPerSecond: measured.bytes / measured.seconds / 1e9 };
        return [{ group: "peak", name: "copy", ...measured }];
      },
    }];
  }

  /** @returns {Task[]} */
  #startTasks() {
    const compile = "compile all pipelines, first run";
    return [{
      group: "start", name: compile,
      run: async (lab) => {
        let seconds = 0;
        for (const stage of stageCases(lab.config, this.sizes.slice(0, 1), this.steps)) seconds += await timeCompilation(lab, stage, this.steps);
        return [{ group: "start", name: compile, seconds }];
      },
    }, {
      group: "start", name: "choose kernels",
      run: async (lab) => {
        lab.clear();
        const { jobs, close } = await openTuningJobs(lab.engine, lab.manifest);
        try {
          this.#tuned = await tuneKernels(lab.engine, jobs, {
            signal: this.observer.signal, onProgress: ({ kind, name }) => this.#tell(`choose kernels: ${kind}, ${name}`),
          });
        } finally {
          close();
        }
        return [{ group: "start", name: "choose kernels", seconds: this.#tuned.seconds }];
      },
    }];
  }

  /** @returns {Task[]} */
  #kernelTasks() {
    const all = kernelCases(this.#lab.config, this.sizes);
    return (this.options.quick ? heaviest(all) : all).map(({ name, stage, flops, bytes, record }) => ({
      group: "kernel", name,
      run: async (lab) => {
        const weights = await lab.weights(stage);
        let moved = 0;
        const { seconds, kernels } = await lab.time(name, (program) => {
          moved = bytes?.(program) ?? 0;
          return record(program, weights);
        });
        const work = flops === undefined ? { bytes: moved } : { flops };
        return [{ group: "kernel", name, seconds, ...work, ...(kernels.length > 0 && { detail: kernels.join(", ") }) }];
      },
    }));
  }

  /** @returns {Task[]} */
  #stageTasks() {
    return stageCases(this.#lab.config, this.sizes, this.steps).map((stage) => ({
      group: "stage", name: stage.name,
      run: async (lab) => [{ group: "stage", name: stage.name, seconds: await timeStage(lab, stage, this.steps), flops: stage.flops }],
    }));
  }

  /** @returns {Task[]} */
  #pictureTasks() {
    return this.sizes.map((side) => ({
      group: "picture", name: `picture ${side} x ${side}`,
      run: (lab) => measurePicture(lab, side, this.steps, this.observer.page, this.observer.signal),
    }));
  }
}
