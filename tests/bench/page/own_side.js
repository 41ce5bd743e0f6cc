/**
 * Kleinbild's own kernels and denoise step, at the peer's shapes.
 */

import { createEngine } from "../../../src_js/engine/engine.js";
import { GpuClock } from "../../../src_js/engine/timing/gpu_clock.js";
import { recordAttention, recordChain, recordDenoiseStep } from "./own_programs.js";
import { tune } from "./own_tuning.js";
import { byteLength } from "./random_values.js";
import { readStart } from "./read_start.js";

/** @param {import("./own_tuning.js").Model} model @returns {Promise<import("./worker.js").Engine>} with kernels chosen for this GPU */
export async function openOwn(model) {
  const engine = await createEngine({
    gpu: navigator.gpu,
    precision: "auto",
    readKernel: async (name) => (await fetch(`/src_js/kernels/${name}.wgsl`)).text(),
  });
  const choices = await tune(engine, model).catch((error) => [`not tuned: ${error}`]);
  return new OwnSide(engine, model.config, choices);
}

class OwnSide {
  /**
   * @param {import("../../../src_js/engine/engine.js").Engine} engine
   * @param {import("../../../src_js/manifest.js").ModelConfig} config
   * @param {string[]} choices of kernels, in words
   */
  constructor(engine, config, choices) {
    this.engine = engine;
    this.config = config;
    this.note = [`kleinbild ${engine.info.precision}`, ...choices].join(", ");
  }

  /** @param {import("./own_programs.js").Spec} spec @returns {Promise<import("./worker.js").Prepared>} */
  async prepare(spec) {
    const { engine } = this;
    const { program, result, release } = await recorded(engine, this.config, spec);
    const type = result.dtype === "f16" ? "float16" : "float32";
    const clock = new GpuClock(engine);
    const run = async (/** @type {number} */ repeats) => {
      if (spec.kind !== "step") await clock.time(program, repeats);   // one submit, as ONNX Runtime's runs follow each other
      else for (let i = 0; i < repeats; i++) await engine.run(program);  // in the page's own portions
    };
    const sample = () => readStart(
      engine.device, result.buffer, byteLength(result.offset, type), byteLength(result.rows * result.columns, type),
    );
    const close = async () => {
      clock.destroy();
      release();
    };
    return { run, sample, release: close, type };
  }
}

/**
 * @param {import("../../../src_js/engine/engine.js").Engine} engine
 * @param {import("../../../src_js/manifest.js").ModelConfig} config
 * @param {import("./own_programs.js").Spec} spec
 */
function recorded(engine, config, spec) {
  switch (spec.kind) {
    case "chain": return recordChain(engine, config, spec);
    case "attention": return recordAttention(engine, config, spec);
    case "step": return recordDenoiseStep(engine, config, spec);
  }
}
