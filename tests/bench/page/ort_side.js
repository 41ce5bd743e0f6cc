/**
 * onnxruntime-web on WebGPU: its newest execution provider, in the build that suspends WebAssembly by JSPI. Inputs and outputs stay
 * on the GPU.
 */

import { byteLength, randomBits } from "./random_values.js";
import { readStart } from "./read_start.js";

/** @typedef {import("onnxruntime-web")} Ort */
/** @typedef {{name: string, type: import("./random_values.js").FloatType, dims: number[], bits: number[] | null}} InputSpec bits: null for random */
/** @typedef {{graph: string, inputs: [InputSpec, ...InputSpec[]]}} GraphSpec */

const LIBRARY = "/ort/ort.jspi.bundle.min.mjs";

/** @returns {Promise<import("./worker.js").Engine>} */
export async function openOrt() {
  const ort = /** @type {Ort} */ (await import(LIBRARY));
  ort.env.wasm.wasmPaths = "/ort/";
  ort.env.wasm.numThreads = 1;                                        // the GPU does the work
  ort.env.logLevel = "error";
  return new OrtSide(ort);
}

class OrtSide {
  /** @type {{graph: string, session: import("onnxruntime-web").InferenceSession} | undefined} */
  #open;

  /** @param {Ort} ort */
  constructor(ort) {
    this.ort = ort;
    this.note = `onnxruntime-web ${ort.env.versions.web ?? ort.env.versions.common}`;
  }

  /** @param {GraphSpec} spec @returns {Promise<import("./worker.js").Prepared>} */
  async prepare(spec) {
    const session = await this.#session(spec.graph);
    const device = await this.ort.env.webgpu.device;
    const failure = watch(device);
    /** @type {GPUBuffer[]} */
    const buffers = [];
    /** @type {Record<string, import("onnxruntime-web").Tensor>} */
    const feeds = {};
    for (const input of spec.inputs) {
      const buffer = inputBuffer(device, input);
      buffers.push(buffer);
      feeds[input.name] = this.ort.Tensor.fromGpuBuffer(/** @type {any} */ (buffer), { dataType: input.type, dims: input.dims });
    }
    const { type } = spec.inputs[0];
    /** @type {import("onnxruntime-web").Tensor | undefined} */
    let result;
    const run = async (/** @type {number} */ repeats) => {
      for (let i = 0; i < repeats; i++) {
        result?.dispose();
        result = Object.values(await session.run(feeds))[0];
      }
      await device.queue.onSubmittedWorkDone();
      failure.check();
    };
    const sample = async () => {
      if (!result) throw new Error("the graph has no output");
      return readStart(device, /** @type {any} */ (result.gpuBuffer), 0, byteLength(result.size, type));
    };
    const release = async () => {
      result?.dispose();
      for (const buffer of buffers) buffer.destroy();
    };
    return { run, sample, release, type };
  }

  /** @param {string} graph @returns {Promise<import("onnxruntime-web").InferenceSession>} kept while jobs ask for the same graph */
  async #session(graph) {
    if (this.#open?.graph === graph) return this.#open.session;
    await this.#open?.session.release();
    this.#open = undefined;
    const response = await fetch(`/graphs/${graph}`);
    if (!response.ok) throw new Error(`graph ${graph}: ${await response.text()}`);
    /** @type {{file: string, shards: string[]}} */
    const { file, shards } = await response.json();
    const session = await this.ort.InferenceSession.create(`/files/${file}`, {
      executionProviders: ["webgpu"],
      graphOptimizationLevel: "all",
      preferredOutputLocation: "gpu-buffer",
      externalData: shards.map((path) => ({ path, data: `/files/${path}` })),
    });
    this.#open = { graph, session };
    return session;
  }
}

/** @param {GPUDevice} device @returns {{check: () => void}} throws what WebGPU reported since */
function watch(device) {
  /** @type {string | undefined} */
  let message;
  device.addEventListener("uncapturederror", (event) => {
    message ??= /** @type {GPUUncapturedErrorEvent} */ (event).error.message;
  });
  return {
    check() {
      if (message !== undefined) throw new Error(message);
    },
  };
}

/** @param {GPUDevice} device @param {InputSpec} input @returns {GPUBuffer} */
function inputBuffer(device, { type, dims, bits }) {
  const count = dims.reduce((a, b) => a * b, 1);
  const Bits = type === "float16" ? Uint16Array : Uint32Array;
  const values = bits ? new Bits(bits) : randomBits(type, count);
  const size = Math.ceil(values.byteLength / 16) * 16;
  const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
  const buffer = device.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST, mappedAtCreation: true });
  new Bits(buffer.getMappedRange()).set(values);
  buffer.unmap();
  return buffer;
}
