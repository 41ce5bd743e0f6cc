/**
 * Times repeats of a program on the GPU: by the GPU's own timestamps where the device has them, else by the wall clock around a submit.
 */

/** @typedef {import("../program.js").Program} Program */

const TIMESTAMP_BYTES = 8;

export class GpuClock {
  /** @type {{set: GPUQuerySet, resolved: GPUBuffer, staging: GPUBuffer} | undefined} */
  #timestamps;

  /** @param {import("../engine.js").Engine} engine */
  constructor(engine) {
    this.engine = engine;
    const { device, info, memory } = engine;
    if (!info.features.includes("timestamp-query")) return;
    const size = 2 * TIMESTAMP_BYTES;
    this.#timestamps = {
      set: device.createQuerySet({ type: "timestamp", count: 2 }),
      resolved: memory.create(size, { usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC }),
      staging: memory.create(size, { usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST }),
    };
  }

  /**
   * @param {Program} program built
   * @param {number} repeats
   * @returns {Promise<number>} seconds that all repeats took together
   * @throws {import("../../errors.js").KleinbildError} when the device has failed
   */
  async time(program, repeats) {
    const { device } = this.engine;
    const stamps = this.#timestamps;
    const encoder = device.createCommandEncoder({ label: `timing ${program.label}` });
    const pass = encoder.beginComputePass(stamps && {
      timestampWrites: { querySet: stamps.set, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 },
    });
    for (let i = 0; i < repeats; i++) {
      for (const { pipeline, bindGroup, workgroups } of program.commands) {
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, bindGroup);
        pass.dispatchWorkgroups(...workgroups);
      }
    }
    pass.end();
    if (stamps) {
      encoder.resolveQuerySet(stamps.set, 0, 2, stamps.resolved, 0);
      encoder.copyBufferToBuffer(stamps.resolved, 0, stamps.staging, 0, 2 * TIMESTAMP_BYTES);
    }
    const start = performance.now();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    const wall = (performance.now() - start) / 1000;
    this.engine.check();
    return stamps ? (await readSeconds(stamps.staging)) || wall : wall;   // some drivers stamp nothing: 0
  }

  /** Gives its buffers back. */
  destroy() {
    if (!this.#timestamps) return;
    const { set, resolved, staging } = this.#timestamps;
    set.destroy();
    for (const buffer of [resolved, staging]) this.engine.memory.destroy(buffer);
    this.#timestamps = undefined;
  }
}

/** @param {GPUBuffer} staging two timestamps in nanoseconds @returns {Promise<number>} between them; 0 if they make no sense */
async function readSeconds(staging) {
  await staging.mapAsync(GPUMapMode.READ, 0, 2 * TIMESTAMP_BYTES);
  const [begin = 0n, end = 0n] = new BigUint64Array(staging.getMappedRange(0, 2 * TIMESTAMP_BYTES));
  staging.unmap();
  return end > begin ? Number(end - begin) / 1e9 : 0;
}
