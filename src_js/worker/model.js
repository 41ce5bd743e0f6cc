/**
 * From a manifest's address to a model that makes pictures: manifest and store first (enough to say what is
 * missing), then the weights, the engine and the generator. What the worker's controller asks for, and the
 * only file that knows where each part comes from.
 */

import { createEngine } from "../engine/engine.js";
import { KleinbildError, throwIfCancelled } from "../errors.js";
import { laterFiles, requiredFiles } from "../manifest.js";
import { Generator } from "../pipeline/generator.js";
import { PromptCache } from "../pipeline/prompt_cache.js";
import { BlobCache } from "../storage/blob_cache.js";
import { openModelFiles } from "../storage/open_model.js";
import { openOpfs } from "../storage/opfs.js";
import { browserVersion, chooseKernels } from "./kernel_tuning.js";
import { TuningCache } from "./tuning_cache.js";

/** Share of the start's progress bar that the download takes, when there is one. */
const DOWNLOAD_SHARE = 0.95;
/** Two seconds: who waits for a picture without a connection is told soon. */
const PICTURE_RETRIES = 2;
/** Share of what is left of it that measuring kernels takes, when there is no report of that yet. */
const TUNING_SHARE = 0.9;
/** What was kept of prompts, beside the weights. At the real model's 15.7 MB a prompt: sixteen. */
const PROMPT_DIRECTORY = ["kleinbild", "prompts"];
const PROMPT_BYTES = 256 * 2 ** 20;
/** This build of the page, by the folder it comes from: results of other code may differ in their last bits. */
export const BUILD = new URL("..", import.meta.url).pathname;

/**
 * @typedef {import("../storage/open_model.js").OpenModel} Model
 */

/**
 * @typedef {object} Runtime a model on the GPU
 * @property {import("../protocol.js").ReadyInfo} info
 * @property {Pick<Generator, "generate">} generator
 * @property {import("../engine/engine.js").Engine} engine
 * @property {(options: Pick<LoadOptions, "signal"|"onProgress">) => Promise<import("../protocol.js").ReadyInfo>} tune measures the
 *   kernels again
 * @property {() => import("../protocol.js").Usage} usage what it holds
 * @property {() => void} destroy gives the GPU's memory back
 */

/**
 * @typedef {object} LoadOptions
 * @property {import("../protocol.js").Precision} precision
 * @property {AbortSignal} signal
 * @property {(progress: import("../protocol.js").Progress) => void} onProgress
 * @property {(error: KleinbildError) => void} onLost
 */

/**
 * What outlives a GPU device.
 * @typedef {object} Kept
 * @property {PromptCache} prompts
 * @property {TuningCache} measurements of kernels: another device of this visit gets the same ones, and so computes the same bits
 */

/** @returns {Promise<Kept>} on this device, or in memory only where the browser gives a page no storage; never rejects */
export async function openKept() {
  const [prompts, measurements] = await Promise.all([openPrompts(), TuningCache.open()]);
  return { prompts, measurements };
}

async function openPrompts() {
  try {
    return new PromptCache(await BlobCache.open(await openOpfs(PROMPT_DIRECTORY), PROMPT_BYTES));
  } catch {
    return new PromptCache(undefined);
  }
}

/** @param {string} manifestUrl @returns {Promise<Model>} */
export async function openModel(manifestUrl) {
  return openModelFiles(new URL(manifestUrl, self.location.origin));
}

/** @param {Model} model @returns {Promise<import("../protocol.js").InspectInfo>} */
export async function inspectModel({ manifest, store }) {
  const [required, later] = [requiredFiles(manifest), laterFiles(manifest)];
  const missing = new Set(await store.missing([...required, ...later]));
  const bytes = (/** @type {readonly import("../manifest.js").FileRef[]} */ some) => some.reduce((sum, file) => sum + file.transfer_bytes, 0);
  const { default_width: width, default_height: height, default_steps: steps } = manifest.config;
  return {
    totalBytes: bytes(required),
    missingBytes: bytes(required.filter((file) => missing.has(file))),
    laterBytes: bytes(later.filter((file) => missing.has(file))),
    persistent: store.persistent,
    model: manifest.id,
    defaults: { width, height, steps },
    notice: manifest.notice,
    examples: manifest.examples,
    sizes: manifest.sizes.map(([w = width, h = height]) => ({ width: w, height: h })),
  };
}

/**
 * Downloads what no picture needed yet. Where the browser keeps nothing beyond the visit, that would only fill the memory: nothing then.
 * @param {Model} model
 * @param {(progress: { bytes: number, totalBytes: number }) => void} onProgress
 * @returns {Promise<boolean>} whether the whole model is on this device now
 * @throws {KleinbildError} "download-failed", "bad-shard", "storage-full"
 */
export async function fetchLater({ manifest, store, noteWhole }, onProgress) {
  if (!store.persistent) return false;
  await store.installLater(laterFiles(manifest), { onProgress });
  await noteWhole();
  return true;
}

/**
 * @param {Model} model
 * @param {Kept} kept
 * @param {LoadOptions} options
 * @returns {Promise<Runtime>}
 */
export async function loadModel({ manifest, store, noteInstalled }, { prompts, measurements }, { precision, signal, onProgress, onLost }) {
  // A GPU that cannot run this is told before gigabytes are downloaded for it.
  const engine = await createEngine({ gpu: navigator.gpu, precision, readKernel, onLost });
  try {
    let fraction = 0;
    await noteInstalled();
    await store.install(requiredFiles(manifest), {
      signal,
      onProgress({ bytes, totalBytes, files, totalFiles }) {
        fraction = (DOWNLOAD_SHARE * bytes) / totalBytes;
        onProgress({ stage: "download", step: files, steps: totalFiles, fraction, bytes, totalBytes });
      },
    });
    throwIfCancelled(signal);
    const platform = { build: BUILD, browser: await browserVersion(navigator) };
    const begin = fraction;
    const kernels = await chooseKernels(engine, manifest, measurements, {
      platform, signal,
      onProgress(step, steps) {
        fraction = begin + TUNING_SHARE * (1 - begin) * (step / steps);
        onProgress({ stage: "tuning", step, steps, fraction });
      },
    });
    throwIfCancelled(signal);
    onProgress({ stage: "loading", step: 0, steps: 1, fraction });
    const [, ...shards] = requiredFiles(manifest);
    store.openAhead(shards);
    const vocabulary = /** @type {any} */ (await store.readJson(manifest.tokenizer));
    const readShard = store.read.bind(store);
    /** @type {import("../pipeline/generator.js").FetchShards} */
    const fetchShards = async (some, options) => {
      await store.install(some, { ...options, retries: PICTURE_RETRIES });
      store.openAhead(some);
    };
    const generator = new Generator({ engine, manifest, vocabulary, readShard, fetchShards, prompts, platform });
    throwIfCancelled(signal);
    onProgress({ stage: "loading", step: 1, steps: 1, fraction: 1 });
    const { vendor, architecture, description, precision: used, fallback, limits } = engine.info;
    const { id: model, revision } = manifest;
    const { persistent } = store;
    const info = { precision: used, fallback, vendor, architecture, description, limits, model, revision, persistent, kernels };
    return {
      info,
      generator,
      engine,
      tune: async ({ signal: stop, onProgress: report }) => {
        const again = await chooseKernels(engine, manifest, measurements, {
          platform, again: true, signal: stop,
          onProgress: (step, steps) => report({ stage: "tuning", step, steps, fraction: step / steps }),
        });
        return { ...info, kernels: again };
      },
      usage: () => ({ ...engine.usage(), files: store.openFiles }),
      destroy: () => engine.destroy(),
    };
  } catch (error) {
    engine.destroy();
    throw error;
  }
}

/** @param {string} name @returns {Promise<string>} WGSL source */
export function readKernel(name) {
  return fetchText(new URL(`../kernels/${name}.wgsl`, import.meta.url));
}

/** @param {URL} url */
async function fetchText(url) {
  let response;
  try {
    response = await fetch(url);
  } catch (error) {
    const message = `${url.pathname} could not be fetched. Check the connection and try again.`;
    throw new KleinbildError("download-failed", message, { cause: error });
  }
  if (!response.ok) {
    const message = `${url.pathname} could not be fetched: the server answered ${response.status}.`;
    throw new KleinbildError("download-failed", message);
  }
  return response.text();
}
