/**
 * The first picture of a visit whose weights lie in OPFS: from the click to the first submit, and to the end. The weights are random
 * bytes in a model's true shapes, so the picture shows nothing; the work, and the bytes that are moved for it, are the model's.
 */

import { createEngine } from "../../../src_js/engine/engine.js";
import { requiredFiles } from "../../../src_js/manifest.js";
import { Generator } from "../../../src_js/pipeline/generator.js";
import { PromptCache } from "../../../src_js/pipeline/prompt_cache.js";
import { openOpfs } from "../../../src_js/storage/opfs.js";
import { ShardStore } from "../../../src_js/storage/shard_store.js";
import { syntheticManifest } from "../../../src_js/synthetic_manifest.js";
import { randomBytes } from "./random_bytes.js";

/** @typedef {import("../../../src_js/manifest.js").Manifest} Manifest */
/** @typedef {{ model: string, side: number, steps: number, cold: boolean }} Options */

const DIRECTORY = ["kleinbild", "bench-picture"];
const post = (/** @type {object} */ message) => postMessage(message);
const seconds = (/** @type {number} */ since) => (performance.now() - since) / 1000;

/** A vocabulary of single characters, as the byte-level alphabet writes them. @param {Manifest} manifest */
function vocabulary({ config: { prompt } }) {
  const printable = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i));
  return {
    schema: 1, normalizer: "", split: "qwen2", classes: { L: [65, 90, 97, 122], N: [48, 57], s: [9, 13, 32, 32] },
    tokens: [...printable, "\u0120", "\u010a"], merges: [], added: [],
    template: { prefix: prompt.template_prefix, suffix: prompt.template_suffix }, pad_id: 0, max_length: prompt.text_seq_len,
  };
}

/** @param {Manifest} manifest @returns {Promise<ShardStore>} with all its shards */
async function fillStore(manifest) {
  const layer = await openOpfs(DIRECTORY);
  const wanted = new Map(manifest.shards.map(({ sha256, bytes }) => [`${sha256}.bin`, bytes]));
  const sizes = await layer.sizes();
  for (const [name, bytes] of sizes) if (wanted.get(name) !== bytes) await layer.remove(name);
  const data = randomBytes(Math.max(...wanted.values()));
  for (const [name, bytes] of wanted) if (sizes.get(name) !== bytes) await layer.write(name, data.slice(0, bytes));
  return ShardStore.open({ baseUrl: "/", model: manifest.shards, layer });
}

/** @param {Options} options */
async function measure({ model, side, steps, cold }) {
  const config = await (await fetch(`/src_js/bench/${model}.json`)).json();
  const manifest = syntheticManifest(config, { format: "q4", blockSize: 32 });
  const bytes = manifest.shards.reduce((sum, shard) => sum + shard.bytes, 0);
  post({ type: "note", text: `${model}: ${(bytes / 1e9).toFixed(3)} GB of weights in ${manifest.shards.length} shards` });
  const store = await fillStore(manifest);
  if (cold) await fetch("/bench/evict", { method: "POST" });

  const click = performance.now();
  const readKernel = async (/** @type {string} */ kernel) => (await fetch(`/src_js/kernels/${kernel}.wgsl`)).text();
  const engine = await createEngine({ gpu: navigator.gpu, precision: "auto", readKernel });
  post({ type: "time", label: "the GPU is open", seconds: seconds(click) });
  store.openAhead(requiredFiles(manifest).slice(1));
  const prompts = new PromptCache(undefined);
  const generator = new Generator({ engine, manifest, vocabulary: vocabulary(manifest), readShard: store.read.bind(store), prompts });

  /** @param {string} label @param {string} prompt @param {number} since */
  const picture = async (label, prompt, since) => {
    /** @type {Record<string, number>} */
    const first = {};
    const settings = { prompt, width: side, height: side, seed: 1n, steps, latents: null };
    await generator.generate(settings, { onProgress: ({ stage }) => void (first[stage] ??= seconds(since)) });
    const submit = Math.min(first["text_encoder"] ?? Infinity, first["transformer"] ?? Infinity);
    post({ type: "time", label: `${label}: click to first submit`, seconds: submit });
    post({ type: "time", label: `${label}: click to the transformer`, seconds: first["transformer"] ?? NaN });
    post({ type: "time", label: `${label}: whole picture of ${side} pixels, ${steps} steps`, seconds: seconds(since) });
  };
  await picture("first picture", "a fox", click);
  await picture("second picture", "a hare", performance.now());
  await picture("the same prompt again", "a hare", performance.now());
  post({ type: "note", text: `peak GPU memory: ${(engine.memory.peakBytes / 1e9).toFixed(3)} GB` });
  await store.close();
  engine.destroy();
}

addEventListener("message", async ({ data }) => {
  try {
    await measure(data);
    post({ type: "end" });
  } catch (error) {
    post({ type: "error", message: String(error instanceof Error ? error.stack ?? error.message : error) });
  }
});
