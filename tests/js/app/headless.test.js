import assert from "node:assert/strict";
import { test } from "node:test";
import { serveJobs } from "../../../src_js/app/headless.js";
import { KleinbildError } from "../../../src_js/errors.js";

const INFO = { vendor: "v", architecture: "", description: "", precision: "f32" };
const JOB = {
  type: "job", job: 1, prompt: "p", width: 16, height: 32, seed: "18446744073709551615", steps: 2, memoryBudget: null,
  preview: false, trace: false, latents: false,
};

/** The channel as the page sees it; `say` is the server. */
class FakeChannel {
  /** @type {any[]} */
  sent = [];
  /** @type {any[]} */
  #frames = [];
  /** @type {((frame: any) => void)[]} */
  #waiting = [];

  /** @param {any} frame */
  say(frame) {
    const wake = this.#waiting.shift();
    if (wake) wake(frame);
    else this.#frames.push(frame);
  }

  /** @returns {Promise<any>} */
  receiveMessage() {
    if (this.#frames.length > 0) return Promise.resolve(this.#frames.shift());
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  receiveBytes = () => this.receiveMessage();
  /** @param {any} message */
  send = (message) => void this.sent.push(message);
  /** @param {any} data */
  sendBytes = (data) => void this.sent.push(data);
}

/** The worker's client; every picture waits for `finish` or `fail`. */
class FakeClient {
  /** @type {any[]} */
  calls = [];
  /** @type {any} */
  finish;
  /** @type {any} */
  fail;

  /** @param {any} options @param {(progress: any) => void} onProgress */
  async start(options, onProgress) {
    this.calls.push(["start", options]);
    onProgress({ stage: "loading", step: 1, steps: 1, fraction: 1, bytes: 5 });
    return INFO;
  }

  /** @param {any} settings @param {any} options */
  generate(settings, options) {
    this.calls.push(["generate", settings, options]);
    return new Promise((resolve, reject) => {
      this.finish = () => resolve({ width: 16, height: 32, png: new ArrayBuffer(3), seconds: { transformer: 1 } });
      this.fail = reject;
    });
  }

  cancel() {
    this.calls.push(["cancel"]);
    this.fail(new KleinbildError("cancelled", "The picture was cancelled."));
  }

  /** @param {any} asked */
  async plan(asked) {
    this.calls.push(["plan", asked]);
    return { least: 1, whole: 2, budget: 3, refusal: "" };
  }
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

async function served() {
  const channel = new FakeChannel();
  const client = /** @type {any} */ (new FakeClient());
  const serving = serveJobs(/** @type {any} */ (channel), /** @type {any} */ (client), "/models/x.json");
  serving.catch(() => {});
  channel.say({ type: "start", precision: "f32" });
  await settled();
  return { channel, client, serving };
}

test("the model is started once and told, then job after job is answered with its number", async () => {
  const { channel, client } = await served();
  assert.deepEqual(client.calls, [["start", { manifestUrl: "/models/x.json", precision: "f32" }]]);
  assert.deepEqual(channel.sent.splice(0), [
    { type: "progress", stage: "loading", step: 1, steps: 1, fraction: 1 },
    { type: "info", text: "v, f32" },
  ]);
  for (const job of [1, 2]) {
    channel.say({ ...JOB, job });
    await settled();
    client.calls.at(-1)[2].onProgress({ stage: "transformer", step: 1, steps: 2, fraction: 0.5 });
    client.finish();
    await settled();
    const [progress, result, png] = channel.sent.splice(0);
    assert.deepEqual(progress, { type: "progress", stage: "transformer", step: 1, steps: 2, fraction: 0.5 });
    assert.deepEqual(result, { type: "result", job, width: 16, height: 32, seconds: { transformer: 1 } });
    assert.equal(png.byteLength, 3);
  }
  const generated = client.calls.filter((/** @type {any[]} */ [name]) => name === "generate");
  assert.equal(generated.length, 2);
  assert.equal(generated[0][1].seed, 2n ** 64n - 1n);
  assert.equal(generated[0][1].latents, null);
});

test("the memory of a kind of picture is told once, after its first picture", async () => {
  const { channel, client } = await served();
  channel.sent.length = 0;
  for (const width of [16, 16, 48]) {
    channel.say({ ...JOB, width });
    await settled();
    client.finish();
    await settled();
  }
  const memory = channel.sent.filter(({ type }) => type === "memory");
  assert.deepEqual(memory, Array(2).fill({ type: "memory", least: 1, whole: 2, budget: 3 }));
  const plans = client.calls.filter((/** @type {any[]} */ [name]) => name === "plan");
  assert.deepEqual(plans.map((/** @type {any[]} */ [, asked]) => asked.picture.width), [16, 48]);
});

test("a failed picture is its own error, and the next one is made", async () => {
  const { channel, client } = await served();
  channel.sent.length = 0;
  channel.say(JOB);
  await settled();
  client.fail(new TypeError("no"));
  await settled();
  assert.deepEqual(channel.sent[0], { type: "error", job: 1, code: "internal", message: "TypeError: no" });
  channel.say({ ...JOB, job: 2 });
  await settled();
  client.finish();
  await settled();
  assert.equal(channel.sent.find(({ type }) => type === "result").job, 2);
});

test("a cancel ends the picture in hand, and no other", async () => {
  const { channel, client } = await served();
  channel.sent.length = 0;
  channel.say({ type: "cancel", job: 1 });
  channel.say({ ...JOB, job: 2 });
  channel.say({ type: "cancel", job: 1 });
  await settled();
  assert.ok(!client.calls.some((/** @type {any[]} */ [name]) => name === "cancel"));
  channel.say({ type: "cancel", job: 2 });
  await settled();
  assert.deepEqual(channel.sent[0], { type: "error", job: 2, code: "cancelled", message: "The picture was cancelled." });
  channel.say({ type: "cancel", job: 2 });
  await settled();
  assert.equal(client.calls.filter((/** @type {any[]} */ [name]) => name === "cancel").length, 1);
});

test("latents and traces travel as data", async () => {
  const { channel, client } = await served();
  channel.sent.length = 0;
  channel.say({ ...JOB, latents: true, trace: true });
  channel.say(new Float32Array([1, 2]).buffer);
  await settled();
  const [, settings, options] = client.calls.at(-1);
  assert.deepEqual([...settings.latents], [1, 2]);
  const data = new Float32Array([3]);
  options.onTrace("decoded", { dtype: "float32", shape: [1], data });
  assert.deepEqual(channel.sent, [{ type: "trace", name: "decoded", dtype: "float32", shape: [1] }, data]);
});

test("previews travel as PNGs when they are asked for, before the answer whatever it is", async () => {
  const { channel, client } = await served();
  const preview = { step: 1, width: 2, height: 1, rgba: new Uint8ClampedArray(8).fill(255) };
  channel.say(JOB);
  await settled();
  assert.equal(client.calls.at(-1)[2].onPreview, undefined, "not unasked");
  client.finish();
  await settled();
  for (const [job, end] of /** @type {const} */ ([[2, "finish"], [3, "fail"]])) {
    channel.sent.length = 0;
    channel.say({ ...JOB, job, preview: true });
    await settled();
    const { onPreview } = client.calls.at(-1)[2];
    onPreview(preview);
    onPreview({ ...preview, step: 2 });
    client[end](new KleinbildError("too-large", "no"));
    while (!channel.sent.some(({ type }) => type === "result" || type === "error")) await settled();
    const [first, png, second] = channel.sent;
    assert.deepEqual(first, { type: "preview", job, step: 1, width: 2, height: 1 });
    assert.deepEqual([...png.subarray(1, 4)], [...Buffer.from("PNG")]);
    assert.equal(second.step, 2);
    assert.equal(channel.sent.findIndex(({ type }) => type === "result" || type === "error"), 4);
  }
});

test("a second job before the answer is the server's fault and ends the conversation", async () => {
  const { channel, serving } = await served();
  channel.say(JOB);
  channel.say({ ...JOB, job: 2 });
  await assert.rejects(serving, { code: "internal" });
});
