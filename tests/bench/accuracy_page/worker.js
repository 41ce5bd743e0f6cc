/**
 * Computes on the GPU what accuracy.py compares with its reference, all on made-up weights: kernels and blocks at the model's true
 * width, then a whole picture with every boundary. Sends arrays as they come.
 */

import { openLab } from "../../../src_js/bench/lab.js";
import { checkOptions } from "../../../src_js/bench_protocol.js";
import { tuneKernels } from "../../../src_js/engine/tuning/tuner.js";
import { fillRandom } from "../../../src_js/engine/synthetic/inputs.js";
import { openTuningJobs } from "../../../src_js/pipeline/tuning/jobs.js";
import { accuracyCases } from "./cases.js";

/**
 * @typedef {import("../../../src_js/bench/lab.js").Lab} Lab
 * @typedef {{bench: Partial<import("../../../src_js/bench_protocol.js").BenchOptions>, side: number, prompt: string, seed: string}} Options
 */

/** @param {string} address within src_js */
const file = (address) => fetch(new URL(`../../../src_js/${address}`, import.meta.url));
const readKernel = async (/** @type {string} */ name) => (await file(`kernels/${name}.wgsl`)).text();
const readModel = async (/** @type {string} */ name) => (await file(`bench/${name}.json`)).json();

/** @param {string} name @param {string} dtype as numpy calls it @param {readonly number[]} shape @param {ArrayBufferView<ArrayBuffer>} data */
async function send(name, dtype, shape, data) {
  const address = `/bench/array?${new URLSearchParams({ name, dtype, shape: JSON.stringify(shape) })}`;
  const response = await fetch(address, { method: "POST", body: data });
  if (!response.ok) throw new Error(`the server did not take ${name}: ${response.status}`);
}

/** @param {Lab} lab */
async function chooseKernels(lab) {
  const { jobs, close } = await openTuningJobs(lab.engine, lab.manifest);
  try {
    await tuneKernels(lab.engine, jobs);
  } finally {
    close();
  }
}

/** @param {Lab} lab @param {import("./cases.js").Case} one */
async function runCase(lab, { facts, record }) {
  const { engine } = lab;
  const weights = await lab.weights("transformer");
  const program = engine.program(String(facts["name"]));
  try {
    /** @type {import("./cases.js").Recorded | undefined} */
    let recorded;
    const asked = engine.tuning.observe(() => void (recorded = record(program, weights)));
    const { inputs, out, table } = /** @type {import("./cases.js").Recorded} */ (recorded);
    const kernels = [...new Set([...asked].map(([kind, candidates]) => engine.tuning.pick(kind, candidates).name))];
    await program.build();
    for (const [seed, tensor] of inputs.entries()) fillRandom(engine, tensor, seed);
    if (table) engine.upload(table.tensor, table.values);
    await engine.run(program);
    await send(String(facts["name"]), "<f4", [out.rows, out.columns], await engine.read(out));
    postMessage({ type: "case", ...facts, kernels });
  } finally {
    program.destroy();
  }
}

/** @param {Options} options */
async function compute({ bench, side, prompt, seed }) {
  const { lab, model } = await openLab({ gpu: navigator.gpu, readKernel, readModel }, checkOptions(bench));
  const { engine, config, manifest } = lab;
  const { vendor, architecture, description, precision } = engine.info;
  postMessage({ type: "begin", adapter: [vendor, architecture, description].filter(Boolean).join(" "), precision, model, manifest });
  if (!engine.info.fallback) await chooseKernels(lab);
  for (const one of accuracyCases(config, side)) await runCase(lab, one);
  /** @type {Promise<void>[]} */
  const sent = [];
  const dtypes = { int32: "<i4", float32: "<f4", uint8: "|u1" };
  const settings = { prompt, width: side, height: side, seed: BigInt(seed), steps: config.default_steps, latents: null };
  for (const run of [0, 1]) {                              // the second must be the first, bit for bit
    await lab.generator().generate(settings, {
      onTrace: (name, { dtype, shape, data }) => void sent.push(send(`${run} ${name}`, dtypes[dtype], shape, data.slice())),
    });
  }
  await Promise.all(sent);
  engine.check();
  lab.close();
}

addEventListener("message", async ({ data }) => {
  try {
    await compute(data);
    postMessage({ type: "end" });
  } catch (error) {
    postMessage({ type: "error", message: String(error instanceof Error ? error.stack ?? error.message : error) });
  }
});
