/**
 * How fast a store of shards gets to the GPU, against what bounds it: copying in memory, and reading OPFS into memory that is
 * already there. Runs the page's own modules; the shards are random bytes, and what arrived on the GPU is compared with them.
 */

import { createEngine } from "../../../src_js/engine/engine.js";
import { SLOTS, SLOT_BYTES } from "../../../src_js/engine/staging.js";
import { loadStage } from "../../../src_js/engine/weights.js";
import { openOpfs } from "../../../src_js/storage/opfs.js";
import { ShardStore } from "../../../src_js/storage/shard_store.js";
import { randomBytes } from "./random_bytes.js";

const MIB = 2 ** 20;
const SHARD_BYTES = 64 * MIB;
const PROBES = 4;                                 // places of a shard that are compared
const PROBE_BYTES = 4096;
const DIRECTORY = ["kleinbild", "bench-loading"];
const SWEEP = [[64, 2], [64, 3], [32, 3], [16, 4], [16, 8], [8, 4], [8, 8], [8, 16], [4, 8], [4, 16], [2, 16]];

/** @typedef {{ megabytes: number, rounds: number, cold: boolean, sweep: boolean }} Options */

const post = (/** @type {object} */ message) => postMessage(message);
const name = (/** @type {number} */ index) => index.toString(16).padStart(64, "0");

/** @param {number} index @param {Uint8Array<ArrayBuffer>} bytes random; gets the shard's number at the start */
function stamp(index, bytes) {
  new Uint32Array(bytes.buffer, 0, 1)[0] = index;
}

/** A store of `bytes` in OPFS and the manifest that says what is in it. @param {number} bytes @param {Uint8Array<ArrayBuffer>} data */
async function makeStore(bytes, data) {
  const layer = await openOpfs(DIRECTORY);
  const count = Math.max(1, Math.round(bytes / SHARD_BYTES));
  const sizes = await layer.sizes();
  for (const old of sizes.keys()) if (parseInt(old, 16) >= count) await layer.remove(old);
  const shards = Array.from({ length: count }, (_, i) => (
    { path: `w/${name(i)}.bin`, sha256: name(i), bytes: SHARD_BYTES, encoding: /** @type {const} */ (""), transfer_bytes: SHARD_BYTES }));
  for (const [i, shard] of shards.entries()) {
    stamp(i, data);
    await layer.write(`${shard.sha256}.bin`, data);
  }
  const manifest = { shards, tensors: [], stages: [{ name: "transformer", shards: shards.map((_, i) => i) }] };
  return { layer, store: await ShardStore.open({ baseUrl: "/", model: shards, layer }), manifest, bytes: count * SHARD_BYTES };
}

/** @param {import("../../../src_js/engine/engine.js").Engine} engine @param {GPUBuffer[]} buffers @param {Uint8Array<ArrayBuffer>} data */
async function compare(engine, buffers, data) {
  for (const [i, buffer] of buffers.entries()) {
    stamp(i, data);
    for (let probe = 0; probe < PROBES; probe++) {
      const at = Math.floor(((SHARD_BYTES - PROBE_BYTES) * probe) / (PROBES - 1) / 4) * 4;
      const there = new Uint8Array(await readBack(engine.device, buffer, at));
      if (there.some((byte, j) => byte !== data[at + j])) throw new Error(`shard ${i} arrived damaged near byte ${at}`);
    }
  }
}

/**
 * Weights cannot be copied from, so a kernel copies the words.
 * @param {GPUDevice} device @param {GPUBuffer} buffer @param {number} at
 */
async function readBack(device, buffer, at) {
  const code = `@group(0) @binding(0) var<storage, read> a: array<u32>; @group(0) @binding(1) var<storage, read_write> b: array<u32>;
    override at: u32; @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) i: vec3u) { b[i.x] = a[at + i.x]; }`;
  const pipeline = device.createComputePipeline({ layout: "auto", compute: { module: device.createShaderModule({ code }), constants: { at: at / 4 } } });
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const words = device.createBuffer({ size: PROBE_BYTES, usage: STORAGE | COPY_SRC });
  const staging = device.createBuffer({ size: PROBE_BYTES, usage: MAP_READ | COPY_DST });
  const entries = [buffer, words].map((one, binding) => ({ binding, resource: { buffer: one } }));
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(PROBE_BYTES / 4 / 64);
  pass.end();
  encoder.copyBufferToBuffer(words, 0, staging, 0, PROBE_BYTES);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const copy = staging.getMappedRange().slice(0);
  words.destroy();
  staging.destroy();
  return copy;
}

/** @param {Options} options */
async function measure({ megabytes, rounds, cold, sweep }) {
  const readKernel = async (/** @type {string} */ kernel) => (await fetch(`/src_js/kernels/${kernel}.wgsl`)).text();
  const engine = await createEngine({ gpu: navigator.gpu, precision: "auto", readKernel });
  const { vendor, architecture, description } = engine.info;
  post({ type: "note", text: `adapter: ${[vendor, architecture, description].filter(Boolean).join(" ")}` });
  const data = randomBytes(SHARD_BYTES);
  const { store, manifest, bytes } = await makeStore(megabytes * 1e6, data);
  post({ type: "note", text: `store: ${manifest.shards.length} shards of ${SHARD_BYTES / MIB} MiB` });
  const evict = async () => (await fetch("/bench/evict", { method: "POST" })).ok;

  /** @param {string} label @param {() => Promise<void>} work @param {boolean} [fromDisk] */
  const time = async (label, work, fromDisk = false) => {
    const seconds = [];
    for (let i = 0; i < rounds; i++) {
      if (fromDisk) await evict();
      const start = performance.now();
      await work();
      seconds.push((performance.now() - start) / 1000);
    }
    post({ type: "rate", label, bytes, seconds });
  };
  const done = () => engine.device.queue.onSubmittedWorkDone();

  const target = new Uint8Array(SHARD_BYTES);
  await time("copy in memory", async () => {
    for (const _ of manifest.shards) target.set(data);
  });
  const chunk = target.subarray(0, SLOT_BYTES);
  const readAll = async () => {
    for (const { sha256 } of manifest.shards) for (let at = 0; at < SHARD_BYTES; at += SLOT_BYTES) await store.read(sha256, at, chunk);
  };
  const opening = performance.now();
  store.openAhead(manifest.shards);
  await Promise.all(manifest.shards.map(({ sha256 }) => store.read(sha256, 0, new Uint8Array(4))));
  post({ type: "time", label: "opening the files", seconds: (performance.now() - opening) / 1000 });
  await time("read OPFS", readAll);
  if (cold) await time("read OPFS, from disk", readAll, true);

  await time("OPFS to GPU, a buffer mapped at creation for each shard", async () => {
    /** @type {GPUBuffer[]} */
    const buffers = [];
    for (const { sha256 } of manifest.shards) {
      const buffer = engine.device.createBuffer({ size: SHARD_BYTES, usage: GPUBufferUsage.STORAGE, mappedAtCreation: true });
      await store.read(sha256, 0, new Uint8Array(buffer.getMappedRange()));
      buffer.unmap();
      buffers.push(buffer);
    }
    await done();
    buffers.forEach((buffer) => buffer.destroy());
    await done();
  });

  /** @param {import("../../../src_js/engine/staging.js").StagingSize} [staging] @param {boolean} [check] */
  const load = async (staging, check = false) => {
    const stage = await loadStage(engine, /** @type {any} */ (manifest), "transformer", store.read.bind(store), { staging });
    await done();
    if (check) await compare(engine, stage.buffers, data);
    stage.destroy();
    await done();
  };
  await time(`OPFS to GPU (${SLOTS} x ${SLOT_BYTES / MIB} MiB in flight)`, () => load());
  if (cold) await time("OPFS to GPU, from disk", () => load(), true);
  if (sweep) for (const [size = 0, slots = 0] of SWEEP) await time(`  ${slots} x ${size} MiB`, () => load({ slotBytes: size * MIB, slots }));
  await load(undefined, true);
  engine.check();
  post({ type: "note", text: `what arrived is what was stored (${PROBES} places of each shard compared)` });
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
