/**
 * A GPU device on paper: buffers that have sizes but no contents, pipelines that compute nothing. Whole pictures of the real model run on
 * it in a second, and every buffer, bind group and submit is held to WebGPU's rules.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { globals } from "webgpu";
import { Engine } from "../../../src_js/engine/engine.js";
import { KERNEL_FILES } from "../../../src_js/engine/kernel_source.js";
import { weightShards, weightTensors } from "../../../src_js/manifest.js";
import { StageWeights, place } from "../../../src_js/engine/weights.js";

Object.assign(globalThis, globals);

/** @typedef {{size: number, usage: number, destroyed: boolean}} PaperBuffer */

/** @param {string} code WGSL @returns {Map<number, boolean>} whether it writes each storage binding, by number */
function storageBindings(code) {
  const pattern = /@binding\((\d+)\)\s*var<storage,\s*(read_write|read)>/g;
  return new Map([...code.matchAll(pattern)].map(([, binding, access]) => [Number(binding), access === "read_write"]));
}

class PaperDevice extends EventTarget {
  dispatches = 0;

  /** @param {Record<string, number>} limits */
  constructor(limits) {
    super();
    /** @type {Record<string, number>} */
    this.limits = { minUniformBufferOffsetAlignment: 256, ...limits };
    this.queue = {
      writeBuffer: (/** @type {PaperBuffer} */ buffer, /** @type {number} */ offset, /** @type {ArrayBufferView} */ data) => {
        assert.ok(!buffer.destroyed && offset + data.byteLength <= buffer.size, "a write to a destroyed buffer or beyond its end");
      },
      submit: (/** @type {PaperBuffer[][]} */ lists) => {
        for (const buffer of lists.flat()) assert.ok(!buffer.destroyed, "a submit that uses a destroyed buffer");
      },
      onSubmittedWorkDone: () => Promise.resolve(),
    };
  }

  /** @param {GPUBufferDescriptor} descriptor */
  createBuffer({ size, usage }) {
    assert.ok(size <= (this.limits["maxBufferSize"] ?? 0), `a buffer of ${size} bytes`);
    return {
      size, usage, destroyed: false, mapAsync: async () => undefined, getMappedRange: () => new ArrayBuffer(size), unmap() {},
      destroy() {
        this.destroyed = true;
      },
    };
  }

  /** @param {{code: string}} descriptor */
  createShaderModule({ code }) {
    return { code };
  }

  /** @param {{compute: {module: {code: string}}}} descriptor */
  async createComputePipelineAsync({ compute: { module: { code } } }) {
    return { getBindGroupLayout: () => ({ storage: storageBindings(code) }) };
  }

  /**
   * @param {object} group
   * @param {{storage: Map<number, boolean>}} group.layout
   * @param {{binding: number, resource: {buffer: PaperBuffer, offset?: number, size?: number}}[]} group.entries
   */
  createBindGroup({ layout: { storage }, entries }) {
    /** @type {Map<PaperBuffer, boolean>} */
    const uses = new Map();
    for (const { binding, resource: { buffer, offset = 0, size = buffer.size - offset } } of entries) {
      assert.ok(!buffer.destroyed && offset + size <= buffer.size, "a binding of a destroyed buffer, or beyond its end");
      assert.equal(offset % 256, 0);
      if (binding === 0) continue;
      assert.ok(size <= (this.limits["maxStorageBufferBindingSize"] ?? 0), `a binding of ${size} bytes`);
      const writes = storage.get(binding);
      assert.ok(writes !== undefined, `the kernel has no binding ${binding}`);
      assert.equal(uses.get(buffer) ?? writes, writes, "one buffer is bound for reading and for writing");
      uses.set(buffer, writes);
    }
    assert.deepEqual(new Set(entries.map(({ binding }) => binding).filter(Boolean)), new Set(storage.keys()), "all bindings and no others");
    return entries.map(({ resource: { buffer } }) => buffer);
  }

  createCommandEncoder() {
    /** @type {PaperBuffer[]} */
    const used = [];
    return {
      copyBufferToBuffer: (/** @type {PaperBuffer} */ from, /** @type {number} */ _, /** @type {PaperBuffer} */ to) => used.push(from, to),
      beginComputePass: () => ({
        setPipeline() {}, setBindGroup: (/** @type {number} */ _, /** @type {PaperBuffer[]} */ group) => void used.push(...group),
        dispatchWorkgroups: () => void (this.dispatches += 1), end() {},
      }),
      finish: () => used,
    };
  }

  pushErrorScope() {}

  async popErrorScope() {
    return null;
  }
}

/** @param {import("../../../src_js/engine/device.js").DeviceInfo} info @returns {{engine: Engine, device: PaperDevice}} */
export function paperEngine(info) {
  const device = new PaperDevice(info.limits);
  const sources = new Map(KERNEL_FILES.map((name) => (
    [name, readFileSync(new URL(`../../../src_js/kernels/${name}.wgsl`, import.meta.url), "utf8")])));
  return { engine: new Engine(/** @type {GPUDevice} */ (/** @type {unknown} */ (device)), info, sources), device };
}

/**
 * In place of weights.js's beginStage: a stage's buffers without contents.
 * @type {typeof import("../../../src_js/engine/weights.js").beginStage}
 */
export function paperStage(engine, manifest, stageName) {
  const shards = weightShards(manifest, stageName);
  const buffers = new Map(shards.map((i) => [i, engine.memory.create(manifest.shards[i]?.bytes ?? NaN)]));
  const entries = weightTensors(manifest, stageName);
  return new StageWeights(engine.memory, [...buffers.values()], new Map(entries.map((entry) => [entry.name, place(entry, buffers)])));
}
