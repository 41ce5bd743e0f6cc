/**
 * What the stages of one picture share: its programs and the tensors that pass between them, the weights they ask for, and its progress.
 * What is computed is picture_run.js's and denoising.js's.
 */

import { pictureSize, sharedShapes } from "./stages.js";

/**
 * @typedef {import("../engine/program.js").Program} Program
 * @typedef {import("../engine/tensor.js").Tensor} Tensor
 * @typedef {import("../engine/weights.js").StageWeights} StageWeights
 * @typedef {import("./generator.js").Generator} Generator
 * @typedef {import("./generator.js").Observer} Observer
 * @typedef {import("./generator.js").Progress} Progress
 * @typedef {import("./generator.js").Settings} Settings
 * @typedef {import("./generator.js").TraceArray} TraceArray
 * @typedef {import("./plan.js").PicturePlan} PicturePlan
 * @typedef {import("./residency.js").GpuStage} GpuStage
 */

export class PictureWork {
  /** @type {Program[]} */
  #programs = [];
  /** @type {Tensor[]} what passes from stage to stage */
  #tensors = [];
  /** @type {Promise<unknown>[]} what goes on beside the stages */
  #aside = [];
  #fraction = 0;
  /** @type {GpuStage | undefined} whose weights were asked for last: loading ahead is not what the picture waits for */
  #awaited;

  /** @param {Generator} generator @param {Settings} settings @param {Observer} observer @param {PicturePlan} plan */
  constructor(generator, settings, observer, plan) {
    this.generator = generator;
    this.engine = generator.engine;
    this.config = generator.manifest.config;
    this.settings = settings;
    this.observer = observer;
    this.plan = plan;
    this.size = pictureSize(this.config, settings);
    this.shapes = sharedShapes(this.config, this.size);
    /** Finished denoising steps. */
    this.step = 0;
    /** Whether the picture waits for shards from the server: what is loaded meanwhile is not told. */
    this.fetching = false;
    /** @type {Record<string, number>} by stage */
    this.seconds = {};
  }

  /** Gives every buffer back, once what goes on aside has ended. */
  async close() {
    await this.settled();
    for (const program of this.#programs.splice(0)) program.destroy();
    this.engine.release(...this.#tensors.splice(0));
  }

  /** @param {Promise<unknown>} work that the picture need not wait for, but ends with; a failure is the device's, which a stage meets */
  aside(work) {
    this.#aside.push(work.catch(() => undefined));
  }

  /** Waits for what goes on aside. */
  async settled() {
    await Promise.all(this.#aside.splice(0));
  }

  /** @param {string} label @returns {Program} destroyed with this picture at the latest */
  program(label) {
    const program = this.engine.program(label);
    this.#programs.push(program);
    return program;
  }

  /** @param {Program} program that `program` gave */
  end(program) {
    this.#programs.splice(this.#programs.indexOf(program), 1);
    program.destroy();
  }

  /** @param {[number, number]} shape rows and columns @returns {Tensor} f32, given back with this picture at the latest */
  tensor(shape) {
    const tensor = this.engine.tensor(...shape, "f32");
    this.#tensors.push(tensor);
    return tensor;
  }

  /** @param {...Tensor} tensors that `tensor` gave */
  release(...tensors) {
    this.#tensors = this.#tensors.filter((tensor) => !tensors.includes(tensor));
    this.engine.release(...tensors);
  }

  /** @param {GpuStage} stage @returns {StageWeights} loaded, or being loaded */
  weights(stage) {
    this.#awaited = stage;
    return this.generator.residency.stage(stage, this.plan.workBytes[stage], this.#loading(stage));
  }

  /** @param {GpuStage} stage @param {GpuStage} other @returns {[StageWeights, StageWeights]} of two that run together, in the first's memory */
  weightsOfBoth(stage, other) {
    this.#awaited = stage;
    const { residency } = this.generator;
    const bytes = this.plan.workBytes[stage];
    return [residency.stage(stage, bytes, this.#loading(stage), [other]), residency.stage(other, bytes, this.#loading(other), [stage])];
  }

  /** Loads a stage's weights while another one computes, where there is room for both. @param {GpuStage} stage @param {GpuStage} running */
  loadAhead(stage, running) {
    this.generator.residency.ahead(stage, this.plan.workBytes[running], this.#loading(stage));
  }

  /** @param {GpuStage} stage @returns {import("../engine/weights.js").LoadOptions} */
  #loading(stage) {
    const { signal } = this.observer;
    return {
      signal,
      onProgress: (loading) => {
        if (this.#awaited === stage && !this.fetching) this.report("loading", loading);
      },
    };
  }

  /** Compiles while the weights arrive. @param {Program} program recorded @param {StageWeights} weights that it binds */
  async build(program, weights) {
    await Promise.all([program.build(), weights.loaded]);
  }

  /**
   * @param {import("../engine/executor.js").Part[]} parts
   * @param {Progress["stage"]} stage
   * @param {number} flops the parts' share of the whole
   * @param {(flops: number) => void} [onDone] gets the FLOPs finished so far
   */
  async run(parts, stage, flops, onDone) {
    const start = this.#fraction;
    const share = flops / this.plan.flops;
    const total = parts.reduce((sum, { program }) => sum + program.flops, 0);
    this.report(stage);
    await this.engine.runAll(parts, {
      signal: this.observer.signal,
      onProgress: (done) => {
        this.#fraction = start + share * Math.min(1, done / total);
        onDone?.(done);
        this.report(stage);
      },
    });
    this.#fraction = start + share;
  }

  /** @param {number} flops of what is done without being run, because its result is there already */
  skip(flops) {
    this.#fraction += flops / this.plan.flops;
  }

  /** @param {Progress["stage"]} stage @param {Partial<Progress>} [more] */
  report(stage, more) {
    const { steps } = this.settings;
    this.observer.onProgress?.({ stage, step: this.step, steps, fraction: Math.min(1, this.#fraction), ...more });
  }

  /** @template T @param {string} name @param {() => Promise<T>} work @returns {Promise<T>} */
  async timed(name, work) {
    const start = performance.now();
    const result = await work();
    this.seconds[name] = (performance.now() - start) / 1000;
    return result;
  }

  /** @param {string} name @param {TraceArray["dtype"]} dtype @param {number[]} shape @param {TraceArray["data"]} data */
  trace(name, dtype, shape, data) {
    this.observer.onTrace?.(name, { dtype, shape, data });
  }

  /** @param {string} name @param {Tensor} tensor */
  async traceTensor(name, tensor) {
    if (this.observer.onTrace) this.trace(name, "float32", [tensor.rows, tensor.columns], await this.engine.read(tensor));
  }
}
