/**
 * A GPU device that only keeps books: which buffers live, which are mapped, what was copied where. It holds the caller to WebGPU's
 * rules for them and moves the bytes, so that a test sees what a kernel would. Mappings are granted by the test or at once.
 */

import assert from "node:assert/strict";
import { globals } from "webgpu";
import { GpuMemory } from "../../../src_js/engine/gpu_memory.js";
import { KleinbildError } from "../../../src_js/errors.js";

Object.assign(globalThis, globals);

class FakeBuffer {
  destroyed = false;
  /** @type {ArrayBuffer | undefined} */
  range;
  /** @type {((error: Error) => void) | undefined} of a mapping that was asked for */
  refuse;

  /** @param {FakeDevice} device @param {GPUBufferDescriptor} descriptor */
  constructor(device, { size, usage, mappedAtCreation = false }) {
    assert.ok(!mappedAtCreation || size % 4 === 0, `${size} bytes cannot be mapped at creation`);
    this.device = device;
    this.size = size;
    this.usage = usage;
    this.contents = new Uint8Array(size);
    if (mappedAtCreation) this.range = this.contents.buffer;
  }

  getMappedRange() {
    assert.ok(this.range, "the buffer is not mapped");
    return this.range;
  }

  unmap() {
    assert.ok(this.range, "the buffer is not mapped");
    this.range = undefined;
  }

  /** @returns {Promise<undefined>} */
  mapAsync() {
    assert.ok(!this.range && !this.refuse && !this.destroyed, "the buffer cannot be mapped now");
    return new Promise((resolve, reject) => {
      this.refuse = reject;
      this.device.askedToMap(() => {
        if (this.destroyed) return;
        this.refuse = undefined;
        this.range = this.contents.buffer;
        resolve(undefined);
      });
    });
  }

  destroy() {
    this.destroyed = true;
    this.range = undefined;
    this.refuse?.(new DOMException("the buffer was destroyed", "AbortError"));
    this.refuse = undefined;
  }
}

export class FakeDevice {
  limits = { maxBufferSize: 2 ** 30, maxStorageBufferBindingSize: 2 ** 30 };
  /** @type {FakeBuffer[]} every buffer there ever was */
  buffers = [];
  /** @type {(() => void)[]} mappings that were asked for and not granted, when `holdMappings` */
  held = [];
  holdMappings = false;
  /** What the next error scope finds, or how asking for it fails. @type {{ message: string } | Error | null} */
  scopeError = null;
  /** Throws what a starved process would, when it returns an error. @type {(descriptor: GPUBufferDescriptor) => Error | undefined} */
  refuseBuffer = () => undefined;
  /** @type {string[]} open error scopes */
  scopes = [];
  submits = 0;
  queue = {
    submit: (/** @type {(() => void)[][]} */ commandBuffers) => {
      this.submits += 1;
      for (const command of commandBuffers.flat()) command();
    },
  };

  /** @param {GPUBufferDescriptor} descriptor */
  createBuffer(descriptor) {
    const error = this.refuseBuffer(descriptor);
    if (error) throw error;
    const buffer = new FakeBuffer(this, descriptor);
    this.buffers.push(buffer);
    return buffer;
  }

  createCommandEncoder() {
    /** @type {(() => void)[]} */
    const commands = [];
    return {
      copyBufferToBuffer(/** @type {any} */ from, /** @type {number} */ at, /** @type {any} */ to, /** @type {number} */ offset, /** @type {number} */ bytes) {
        commands.push(() => {
          assert.ok(!from.destroyed && !to.destroyed && !from.range && !to.range, "a copy of destroyed or mapped buffers");
          assert.ok(from.usage & GPUBufferUsage.COPY_SRC && to.usage & GPUBufferUsage.COPY_DST, "a copy that the usages forbid");
          assert.ok(at % 4 === 0 && offset % 4 === 0 && bytes % 4 === 0 && offset + bytes <= to.size, "a copy out of bounds");
          to.contents.set(from.contents.subarray(at, at + bytes), offset);
        });
      },
      finish: () => commands,
    };
  }

  /** @param {string} filter */
  pushErrorScope(filter) {
    this.scopes.push(filter);
  }

  async popErrorScope() {
    assert.ok(this.scopes.pop(), "no error scope is open");
    if (this.scopeError instanceof Error) throw this.scopeError;
    return this.scopeError;
  }

  /** @param {() => void} grant */
  askedToMap(grant) {
    if (this.holdMappings) this.held.push(grant);
    else setTimeout(grant);
  }

  /** Buffers that hold memory. */
  get live() {
    return this.buffers.filter(({ destroyed }) => !destroyed);
  }

  /** Those of them that carry bytes only. */
  get staging() {
    return this.live.filter(({ usage }) => usage & GPUBufferUsage.MAP_WRITE);
  }
}

/** As much of an engine as loading needs; `fail` makes its next check throw. */
export class FakeEngine {
  device = new FakeDevice();
  memory = new GpuMemory(/** @type {any} */ (this.device), (bytes) => this.checkBufferSize(bytes));
  /** @type {KleinbildError | undefined} */
  failure;

  check() {
    if (this.failure) throw this.failure;
  }

  /** @param {number} bytes */
  checkBufferSize(bytes) {
    if (bytes > this.device.limits.maxBufferSize) throw new KleinbildError("out-of-memory", `${bytes} bytes are too many.`);
  }

  /** @param {import("../../../src_js/errors.js").ErrorCode} code */
  fail(code) {
    this.failure = new KleinbildError(code, code);
  }
}
