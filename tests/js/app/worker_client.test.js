import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { WorkerClient } from "../../../src_js/app/worker_client.js";

const WORKER_URL = "http://localhost/v/0123456789ab/src_js/worker/main.js";
const SETTINGS = { prompt: "a fox", width: 32, height: 16, seed: 5n, steps: 2, latents: null };
const START = { manifestUrl: "/models/x.json", precision: /** @type {const} */ ("auto") };

class FakeWorker extends EventTarget {
  /** @type {FakeWorker[]} */
  static made = [];
  /** @type {any[]} */
  received = [];
  terminated = false;

  /** @param {string} url */
  constructor(url) {
    super();
    this.url = url;
    FakeWorker.made.push(this);
  }

  /** @param {any} message */
  postMessage(message) {
    this.received.push(message);
  }

  terminate() {
    this.terminated = true;
  }

  /** @param {any} data */
  say(data) {
    this.dispatchEvent(new MessageEvent("message", { data }));
  }
}

Object.assign(globalThis, { Worker: FakeWorker, location: { origin: "http://localhost" } });
const worker = () => /** @type {FakeWorker} */ (FakeWorker.made.at(-1));

beforeEach(() => {
  FakeWorker.made = [];
});

test("start resolves with the info and passes its own progress on", async () => {
  const client = new WorkerClient(WORKER_URL);
  /** @type {any[]} */
  const seen = [];
  const started = client.start(START, (progress) => seen.push(progress.fraction));
  assert.deepEqual(worker().received, [{ type: "start", ...START, background: false }]);
  worker().say({ type: "progress", job: 9, stage: "loading", step: 0, steps: 1, fraction: 0.9 });
  worker().say({ type: "progress", job: null, stage: "download", step: 0, steps: 1, fraction: 0.5 });
  worker().say({ type: "ready", info: { model: "tiny" } });
  assert.deepEqual(await started, { model: "tiny" });
  assert.deepEqual(seen, [0.5]);
});

test("news of the download in the background concern no call", async () => {
  const client = new WorkerClient(WORKER_URL);
  const state = { bytes: 1, totalBytes: 2, done: false, problem: "" };
  const started = client.start({ ...START, background: true });
  assert.equal(worker().received[0].background, true);
  worker().say({ type: "background", ...state });
  /** @type {any[]} */
  const seen = [];
  client.onBackground = (news) => seen.push(news);
  worker().say({ type: "background", ...state });
  assert.deepEqual(seen, [{ type: "background", ...state }]);
  worker().say({ type: "ready", info: { model: "tiny" } });
  await started;
});

test("generate numbers its jobs and asks for a trace only when somebody listens", async () => {
  const client = new WorkerClient(WORKER_URL);
  const first = client.generate(SETTINGS);
  worker().say({ type: "result", job: 1, width: 32, height: 16, png: new ArrayBuffer(1), seconds: {} });
  assert.equal((await first).width, 32);
  /** @type {any[]} */
  const traces = [];
  const second = client.generate(SETTINGS, { onTrace: (name, trace) => traces.push([name, trace.shape]) });
  worker().say({ type: "trace", job: 2, name: "sigmas", dtype: "float32", shape: [5], data: new Float32Array(5) });
  worker().say({ type: "result", job: 2, width: 32, height: 16, png: new ArrayBuffer(1), seconds: {} });
  await second;
  assert.deepEqual(worker().received.map(({ job, trace }) => [job, trace]), [[1, false], [2, true]]);
  assert.deepEqual(traces, [["sigmas", [5]]]);
});

test("previews are asked for only when somebody listens, and both they and a resumption reach their own job", async () => {
  const client = new WorkerClient(WORKER_URL);
  /** @type {any[]} */
  const seen = [];
  const making = client.generate(SETTINGS, {
    onPreview: ({ step, width }) => seen.push(["preview", step, width]),
    onResume: ({ step, losses }) => seen.push(["resumed", step, losses]),
  });
  worker().say({ type: "preview", job: 7, step: 1, width: 8, height: 4, rgba: new Uint8ClampedArray(128) });
  worker().say({ type: "preview", job: 1, step: 1, width: 16, height: 8, rgba: new Uint8ClampedArray(512) });
  worker().say({ type: "resumed", job: 1, step: 1, losses: 1 });
  worker().say({ type: "result", job: 1, width: 32, height: 16, png: new ArrayBuffer(1), seconds: {} });
  await making;
  void client.generate(SETTINGS);
  assert.deepEqual(worker().received.map(({ preview }) => preview), [true, false]);
  assert.deepEqual(seen, [["preview", 1, 16], ["resumed", 1, 1]]);
});

test("a prompt may be kept unless told otherwise; forgetting waits for its answer and is not cancelled", async () => {
  const client = new WorkerClient(WORKER_URL);
  void client.generate(SETTINGS);
  void client.generate(SETTINGS, { keepPrompt: false });
  assert.deepEqual(worker().received.map(({ keepPrompt }) => keepPrompt), [true, false]);
  let forgotten = false;
  const forgetting = client.forgetPrompts().then(() => (forgotten = true));
  client.cancel();
  assert.deepEqual(worker().received.slice(2), [{ type: "forget" }, { type: "cancel", job: 1 }, { type: "cancel", job: 2 }]);
  await Promise.resolve();
  assert.equal(forgotten, false);
  worker().say({ type: "forgotten" });
  assert.equal(await forgetting, true);
});

test("an error rejects the call it belongs to with its code", async () => {
  const client = new WorkerClient(WORKER_URL);
  const making = client.generate(SETTINGS);
  worker().say({ type: "error", job: 1, code: "out-of-memory", message: "full" });
  await assert.rejects(making, { name: "KleinbildError", code: "out-of-memory", message: "full" });
});

test("an error of no call goes to onFailure", () => {
  const client = new WorkerClient(WORKER_URL);
  /** @type {string[]} */
  const failures = [];
  client.onFailure = (error) => failures.push(error.code);
  client.start(START).catch(() => failures.push("start"));
  worker().say({ type: "ready", info: {} });
  worker().say({ type: "error", job: null, code: "device-lost", message: "gone" });
  assert.deepEqual(failures, ["device-lost"]);
});

test("cancel names the job in hand", async () => {
  const client = new WorkerClient(WORKER_URL);
  const making = client.generate(SETTINGS);
  client.cancel();
  assert.deepEqual(worker().received.at(-1), { type: "cancel", job: 1 });
  worker().say({ type: "error", job: 1, code: "cancelled", message: "" });
  await assert.rejects(making, { code: "cancelled" });
  client.cancel();
  assert.equal(worker().received.length, 2);
});

test("a worker that broke is replaced and started again", async () => {
  const client = new WorkerClient(WORKER_URL);
  const started = client.start(START);
  worker().say({ type: "ready", info: {} });
  await started;
  const broken = worker();
  const making = client.generate(SETTINGS);
  broken.dispatchEvent(Object.assign(new Event("error"), { message: "out of memory" }));
  await assert.rejects(making, { code: "worker-lost", message: /out of memory/ });
  assert.ok(broken.terminated);
  const again = client.generate(SETTINGS);
  assert.notEqual(worker(), broken);
  assert.deepEqual(worker().received.map(({ type }) => type), ["start"]);
  worker().say({ type: "ready", info: {} });
  await new Promise((resolve) => setTimeout(resolve));
  worker().say({ type: "result", job: 2, width: 32, height: 16, png: new ArrayBuffer(1), seconds: {} });
  assert.equal((await again).height, 16);
});

test("terminate rejects what is pending", async () => {
  const client = new WorkerClient(WORKER_URL);
  const making = client.generate(SETTINGS);
  client.terminate();
  await assert.rejects(making, { code: "cancelled" });
  assert.ok(worker().terminated);
});
