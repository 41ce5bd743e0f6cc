/** The diagnosis between page and worker: asked for, answered, cancelled, and never beside a picture. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { WorkerClient } from "../../../src_js/app/worker_client.js";
import { KleinbildError, throwIfCancelled } from "../../../src_js/errors.js";
import { Controller } from "../../../src_js/worker/controller.js";

const ASKED = { manifestUrl: "/models/x.json", precision: /** @type {const} */ ("auto") };
const tick = () => new Promise((resolve) => setTimeout(resolve, 1));

/** A client whose worker is a controller with fake parts. @param {Record<string, unknown>} parts */
function joined(parts) {
  /** @type {EventTarget[]} */
  const workers = [];
  class JoinedWorker extends EventTarget {
    controller = new Controller(/** @type {any} */ ({
      openModel: async () => ({ manifest: { id: "tiny" } }),
      post: (/** @type {unknown} */ data) => void setTimeout(() => this.dispatchEvent(new MessageEvent("message", { data }))),
      ...parts,
    }));

    constructor() {
      super();
      workers.push(this);
    }

    /** @param {any} message */
    postMessage(message) {
      void this.controller.handle(message);
    }

    terminate() {}
  }
  Object.assign(globalThis, { Worker: JoinedWorker, location: { origin: "http://localhost" } });
  return new WorkerClient("http://localhost/v/0/src_js/worker/main.js");
}

test("facts of the GPU come without a started model, and so does the reason why there are none", async () => {
  const facts = { device: { vendor: "test" }, kernels: null };
  /** @type {unknown[]} */
  const seen = [];
  const client = joined({ diagnose: async (/** @type {unknown[]} */ ...args) => (seen.push(args), facts) });
  assert.equal(await client.diagnose(ASKED), facts);
  assert.deepEqual(seen, [[{ manifest: { id: "tiny" } }, undefined, { type: "diagnose", job: 1, ...ASKED }]]);
  const none = joined({ diagnose: async () => Promise.reject(new KleinbildError("no-webgpu", "This browser has no WebGPU.")) });
  await assert.rejects(none.diagnose(ASKED), { code: "no-webgpu" });
});

test("a self-check tells how far it is, ends when cancelled, and lets nothing run beside it", async () => {
  const client = joined({
    async checkKernels(/** @type {unknown} */ _, /** @type {unknown} */ __, /** @type {any} */ { signal, onProgress }) {
      for (let step = 0; step < 3; step++) {
        onProgress({ stage: "checking", step, steps: 3, fraction: step / 3 });
        await tick();
        throwIfCancelled(signal);
      }
      return { checks: [], faults: [], seconds: 1 };
    },
  });
  /** @type {number[]} */
  const steps = [];
  const checking = client.selfCheck(ASKED, ({ step }) => void steps.push(step));
  await assert.rejects(client.selfCheck(ASKED), { code: "bad-input" });
  assert.deepEqual(await checking, { checks: [], faults: [], seconds: 1 });
  assert.deepEqual(steps, [0, 1, 2]);
  const cancelled = client.selfCheck(ASKED);
  client.cancel();
  await assert.rejects(cancelled, { code: "cancelled" });
});
