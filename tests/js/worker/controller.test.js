import assert from "node:assert/strict";
import { test } from "node:test";
import { KleinbildError, throwIfCancelled } from "../../../src_js/errors.js";
import { Controller } from "../../../src_js/worker/controller.js";

const SETTINGS = { prompt: "a fox", width: 32, height: 16, seed: 5n, steps: 2, latents: null };
/** @type {import("../../../src_js/protocol.js").StartMessage} */
const START = { type: "start", manifestUrl: "/models/x.json", precision: "auto", background: false };
const tick = () => new Promise((resolve) => setTimeout(resolve, 1));

/** @param {number} job @returns {import("../../../src_js/protocol.js").GenerateMessage} */
const generate = (job, settings = SETTINGS, trace = false, keepPrompt = true) => ({ type: "generate", job, settings, trace, keepPrompt });

/** A controller whose model is a fake; `plan` scripts what goes wrong. */
function setUp() {
  /** @type {any[]} */
  const posted = [];
  /**
   * @type {{ opened: string[], loads: number, destroyed: number, forgotten: number, kept: boolean[], openFailures: Error[], failures: Error[],
   *   lose: ((error: KleinbildError) => void) | undefined, later: ((progress: { bytes: number, totalBytes: number }) => void)[],
   *   laterEnds: ((result: boolean | Error) => void)[], from: any[] }}
   */
  const plan = { opened: [], from: [], later: [], laterEnds: [], loads: 0, destroyed: 0, forgotten: 0, kept: [], openFailures: [], failures: [], lose: undefined };
  const shared = new Float32Array([1, 2, 3, 4]);
  const generator = {
    async generate(/** @type {any} */ settings, /** @type {any} */ { signal, onProgress, onTrace, onPreview, onStep, from, keepPrompt }) {
      plan.kept.push(keepPrompt);
      plan.from.push(from);
      for (let step = from?.step ?? 0; step < settings.steps; step++) {
        await tick();
        throwIfCancelled(signal);
        onProgress({ stage: "transformer", step, steps: settings.steps, fraction: step / settings.steps });
        const failure = step === settings.steps - 1 ? plan.failures.shift() : undefined;
        if (failure) throw failure;
        onPreview?.({ step: step + 1, width: 2, height: 1, rgba: new Uint8ClampedArray(8) });
        onStep?.({ step: step + 1, latents: Float32Array.of(step) });
      }
      onTrace?.("latents_0", { dtype: "float32", shape: [2], data: shared.subarray(1, 3) });
      return { width: settings.width, height: settings.height, rgba: new Uint8ClampedArray(4), seconds: { transformer: 1 } };
    },
  };
  const controller = new Controller(/** @type {any} */ ({
    post: (/** @type {any} */ message, /** @type {any[]} */ transfer) => posted.push({ ...message, transferred: transfer.length }),
    async openModel(/** @type {string} */ url) {
      plan.opened.push(url);
      const failure = plan.openFailures.shift();
      if (failure) throw failure;
      return {};
    },
    inspectModel: async () => ({ totalBytes: 10, missingBytes: 4 }),
    async loadModel(/** @type {any} */ _, /** @type {any} */ { signal, onProgress, onLost }) {
      plan.loads += 1;
      plan.lose = onLost;
      onProgress({ stage: "download", step: 0, steps: 1, fraction: 0.5 });
      await tick();
      throwIfCancelled(signal);
      return {
        generator, info: { model: "tiny" }, usage: () => ({ bytes: 5 }), destroy: () => (plan.destroyed += 1),
        async tune(/** @type {any} */ { signal: stop, onProgress: report }) {
          report({ stage: "tuning", step: 0, steps: 2, fraction: 0 });
          await tick();
          throwIfCancelled(stop);
          const failure = plan.failures.shift();
          if (failure) throw failure;
          return { model: "tiny", kernels: "measured" };
        },
      };
    },
    fetchLater: (/** @type {any} */ _, /** @type {any} */ onProgress) => new Promise((resolve, reject) => {
      plan.later.push(onProgress);
      plan.laterEnds.push((result) => (result instanceof Error ? reject(result) : resolve(result)));
    }),
    planMemory: async (/** @type {any} */ _, /** @type {any} */ runtime, /** @type {any} */ { picture }) => {
      if (picture.width > 1000) throw new KleinbildError("no-adapter", "");
      return { least: picture.width, loaded: runtime !== undefined };
    },
    forgetPrompts: async () => void (plan.forgotten += 1),
    encodePng: async (/** @type {any} */ { text, json }) => new TextEncoder().encode(JSON.stringify({ text, json })).subarray(1),
  }));
  return { controller, posted, plan, shared };
}

test("inspect answers without loading anything", async () => {
  const { controller, posted, plan } = setUp();
  await controller.handle({ type: "inspect", manifestUrl: "/models/x.json" });
  assert.deepEqual(posted, [{ type: "inspected", info: { totalBytes: 10, missingBytes: 4 }, transferred: 0 }]);
  assert.equal(plan.loads, 0);
});

test("what a picture needs is told before and after the start, and beside a picture", async () => {
  const { controller, posted, plan } = setUp();
  const ask = (/** @type {number} */ job, width = 32) => controller.handle({
    type: "plan", job, manifestUrl: "/models/x.json", precision: "auto", picture: { width, height: 16, steps: 1 }, memoryBudget: null,
  });
  await ask(1);
  assert.equal(plan.loads, 0);
  await controller.handle(START);
  const picture = controller.handle(generate(2));
  await ask(3);
  await ask(4, 2000);
  await picture;
  const answers = posted.filter(({ type }) => type === "planned" || type === "error" || type === "result");
  assert.deepEqual(answers.map(({ type, job, needs, code }) => [type, job, needs?.loaded ?? code]),
    [["planned", 1, false], ["planned", 3, true], ["error", 4, "no-adapter"], ["result", 2, undefined]]);
});

test("what is held is told at any time", async () => {
  const { controller, posted } = setUp();
  await controller.handle({ type: "usage", job: 1 });
  await controller.handle(START);
  const picture = controller.handle(generate(2));
  await controller.handle({ type: "usage", job: 3 });
  await picture;
  const told = posted.filter(({ type }) => type === "usage");
  assert.deepEqual(told.map(({ job, usage }) => [job, usage.bytes]), [[1, 0], [3, 5]]);
});

test("start, then a picture with progress, a trace and a result", async () => {
  const { controller, posted, shared } = setUp();
  await controller.handle(START);
  assert.deepEqual(posted.map(({ type, job }) => [type, job]), [["progress", null], ["ready", undefined]]);
  posted.length = 0;
  await controller.handle(generate(7, SETTINGS, true));
  assert.deepEqual(posted.map(({ type, job }) => [type, job]), [["progress", 7], ["progress", 7], ["trace", 7], ["result", 7]]);
  const [, , trace, result] = posted;
  assert.deepEqual([...trace.data], [2, 3]);
  // What travels is a copy of the piece, not the pipeline's own buffer.
  assert.notEqual(trace.data.buffer, shared.buffer);
  assert.equal(trace.data.buffer.byteLength, 8);
  // The encoder returned a view one byte into its buffer: only the view's bytes may travel.
  const { text, json } = JSON.parse(`{${new TextDecoder().decode(result.png)}`);
  assert.match(text.parameters, /^a fox\nSteps: 2, .* Model: tiny, /);
  assert.deepEqual(json.kleinbild.seconds, { transformer: 1 });
  assert.equal(result.transferred, 1);
});

test("what may be kept of a prompt is passed on, and forgetting is answered, also while a picture is made", async () => {
  const { controller, posted, plan } = setUp();
  await controller.handle(START);
  await controller.handle(generate(1));
  const making = controller.handle(generate(2, SETTINGS, false, false));
  await controller.handle({ type: "forget" });
  assert.deepEqual([posted.at(-1).type, plan.forgotten], ["forgotten", 1]);
  await making;
  assert.deepEqual([plan.kept, posted.at(-1).type], [[true, false], "result"]);
});

test("the rest of the model is fetched once a picture was made, if the page wants that", async () => {
  const { controller, posted, plan } = setUp();
  await controller.handle(START);
  await controller.handle(generate(1));
  assert.equal(plan.later.length, 0, "not unasked");
  await controller.handle({ ...START, background: true });
  const cancelled = controller.handle(generate(2));
  await controller.handle({ type: "cancel", job: 2 });
  await cancelled;
  assert.equal(plan.later.length, 0, "not before the first picture");
  await controller.handle(generate(3));
  assert.equal(plan.later.length, 1);
  plan.later[0]?.({ bytes: 1, totalBytes: 9 });
  plan.later[0]?.({ bytes: 2, totalBytes: 9 });
  const states = () => posted.filter(({ type }) => type === "background").map(({ bytes, totalBytes, done, problem }) => [bytes, totalBytes, done, problem]);
  assert.deepEqual(states(), [[1, 9, false, ""]], "news come at intervals");
  const another = controller.handle(generate(4));
  await controller.handle({ type: "cancel", job: 4 });
  await another;
  await controller.handle(generate(5));
  assert.equal(plan.later.length, 1, "one download at a time, whatever becomes of pictures");
  plan.later[0]?.({ bytes: 9, totalBytes: 9 });
  plan.laterEnds[0]?.(true);
  await tick();
  assert.deepEqual(states().at(-1), [9, 9, true, ""]);
  await controller.handle(generate(6));
  assert.equal(plan.later.length, 1, "nor again once all is here");
});

test("a download in the background that fails is told, harms nothing, and goes on after the next picture", async () => {
  const { controller, posted, plan } = setUp();
  await controller.handle({ ...START, background: true });
  await controller.handle(generate(1));
  plan.laterEnds[0]?.(new KleinbildError("download-failed", "No connection."));
  await tick();
  assert.deepEqual([posted.at(-1).type, posted.at(-1).done, posted.at(-1).problem], ["background", false, "No connection."]);
  await controller.handle(generate(2));
  assert.deepEqual([plan.later.length, plan.destroyed], [2, 0]);
  plan.laterEnds[1]?.(false);
  await tick();
  assert.equal(posted.at(-1).type, "result", "where nothing is kept there is nothing to tell");
});

test("a part of the model that cannot be had leaves the GPU as it is", async () => {
  const { controller, posted, plan } = setUp();
  await controller.handle(START);
  plan.failures.push(new KleinbildError("incomplete", "not here"));
  await controller.handle(generate(1));
  assert.deepEqual([posted.at(-1).code, plan.destroyed], ["incomplete", 0]);
});

test("a picture before the start, and bad settings, are refused", async () => {
  const { controller, posted, plan } = setUp();
  await controller.handle(generate(1));
  await controller.handle(START);
  await controller.handle(generate(2, { ...SETTINGS, width: 33 }));
  assert.deepEqual(posted.filter(({ type }) => type === "error").map(({ job, code }) => [job, code]), [[1, "bad-input"], [2, "bad-input"]]);
  assert.equal(plan.destroyed, 0);
});

test("one job at a time", async () => {
  const { controller, posted } = setUp();
  await controller.handle(START);
  await Promise.all([controller.handle(generate(1)), controller.handle(generate(2))]);
  assert.deepEqual(posted.filter(({ type }) => type === "error").map(({ job, code }) => [job, code]), [[2, "bad-input"]]);
  assert.equal(posted.at(-1).type, "result");
});

test("cancel ends the picture it names and no other, and keeps the model", async () => {
  const { controller, posted, plan } = setUp();
  await controller.handle(START);
  const making = controller.handle(generate(3));
  await controller.handle({ type: "cancel", job: 2 });
  await controller.handle({ type: "cancel", job: 3 });
  await making;
  assert.deepEqual([posted.at(-1).job, posted.at(-1).code], [3, "cancelled"]);
  await controller.handle(generate(4));
  assert.equal(posted.at(-1).type, "result");
  assert.equal(plan.loads, 1);
});

test("cancel with no job ends the start", async () => {
  const { controller, posted } = setUp();
  const starting = controller.handle(START);
  await controller.handle({ type: "cancel", job: null });
  await starting;
  assert.deepEqual([posted.at(-1).job, posted.at(-1).code], [null, "cancelled"]);
});

test("kernels are measured again on the model that is there; a cancel keeps it, a lost device does not", async () => {
  const { controller, posted, plan } = setUp();
  await controller.handle({ type: "tune" });
  assert.deepEqual([posted.at(-1).job, posted.at(-1).code], [null, "bad-input"]);
  await controller.handle(START);
  posted.length = 0;
  await controller.handle({ type: "tune" });
  assert.deepEqual(posted.map(({ type, job, stage }) => [type, job, stage]), [["progress", null, "tuning"], ["ready", undefined, undefined]]);
  assert.equal(posted[1].info.kernels, "measured");
  const tuning = controller.handle({ type: "tune" });
  await controller.handle({ type: "cancel", job: null });
  await tuning;
  assert.deepEqual([posted.at(-1).code, plan.loads, plan.destroyed], ["cancelled", 1, 0]);
  plan.failures.push(new KleinbildError("device-lost", "gone"));
  await controller.handle({ type: "tune" });
  assert.deepEqual([posted.at(-1).code, plan.destroyed], ["device-lost", 1]);
});

test("after a failure the next picture starts on a fresh device", async () => {
  const { controller, posted, plan } = setUp();
  await controller.handle(START);
  plan.failures.push(new KleinbildError("out-of-memory", "full"));
  await controller.handle(generate(1));
  assert.deepEqual([posted.at(-1).job, posted.at(-1).code, plan.destroyed], [1, "out-of-memory", 1]);
  posted.length = 0;
  await controller.handle(generate(2));
  assert.equal(plan.loads, 2);
  assert.equal(posted.at(-1).type, "result");
  const fractions = posted.filter(({ type }) => type === "progress").map(({ fraction }) => fraction);
  assert.deepEqual(fractions, [...fractions].sort((a, b) => a - b));
});

const lost = () => new KleinbildError("device-lost", "gone");

test("a picture whose GPU is lost goes on from its last finished step on a new one", async () => {
  const { controller, posted, plan } = setUp();
  await controller.handle(START);
  plan.failures.push(lost(), lost());
  posted.length = 0;
  await controller.handle({ ...generate(1), preview: true });
  assert.deepEqual(plan.from, [undefined, { step: 1, latents: Float32Array.of(0) }, { step: 1, latents: Float32Array.of(0) }]);
  assert.deepEqual(posted.filter(({ type }) => type === "resumed"), [
    { type: "resumed", job: 1, step: 1, losses: 1, transferred: 0 }, { type: "resumed", job: 1, step: 1, losses: 2, transferred: 0 },
  ]);
  assert.deepEqual([posted.at(-1).type, plan.loads, plan.destroyed], ["result", 3, 2]);
  assert.deepEqual(posted.filter(({ type }) => type === "preview").map(({ step, job, transferred }) => [step, job, transferred]), [[1, 1, 1], [2, 1, 1]]);
  const fractions = posted.filter(({ type }) => type === "progress").map(({ fraction }) => fraction);
  assert.deepEqual(fractions, [...fractions].sort((a, b) => a - b), "no step back is told");
});

test("three losses within a picture give it up in plain words, and the next picture starts afresh", async () => {
  const { controller, posted, plan } = setUp();
  await controller.handle(START);
  plan.failures.push(lost(), lost(), lost());
  await controller.handle(generate(1));
  assert.deepEqual([posted.at(-1).job, posted.at(-1).code, plan.destroyed], [1, "device-lost", 3]);
  assert.match(posted.at(-1).message, /^The GPU stopped 3 times while this picture was made.*try again\.$/);
  plan.failures.push(lost(), lost());
  await controller.handle(generate(2));
  assert.deepEqual([posted.at(-1).type, plan.from[3]], ["result", undefined]);
});

test("a traced picture does not go on after a loss: every boundary is told once", async () => {
  const { controller, posted, plan } = setUp();
  await controller.handle(START);
  plan.failures.push(lost());
  await controller.handle(generate(1, SETTINGS, true));
  assert.deepEqual([posted.at(-1).code, plan.from.length], ["device-lost", 1]);
});

test("previews come only when they are asked for", async () => {
  const { controller, posted } = setUp();
  await controller.handle(START);
  await controller.handle(generate(1));
  assert.ok(!posted.some(({ type }) => type === "preview"));
});

test("a device lost while nothing runs is told without a job", async () => {
  const { controller, posted, plan } = setUp();
  await controller.handle(START);
  plan.lose?.(new KleinbildError("device-lost", "gone"));
  assert.deepEqual([posted.at(-1).job, posted.at(-1).code, plan.destroyed], [null, "device-lost", 1]);
  await controller.handle(generate(1));
  assert.equal(posted.at(-1).type, "result");
});

test("any other exception arrives as internal, and a failed manifest is fetched again", async () => {
  const { controller, posted, plan } = setUp();
  plan.openFailures.push(new TypeError("x is undefined"));
  await controller.handle(START);
  assert.deepEqual([posted.at(-1).code, posted.at(-1).message], ["internal", "TypeError: x is undefined"]);
  await controller.handle(START);
  assert.equal(posted.at(-1).type, "ready");
});

test("a model is opened once, and another one when its manifest is named", async () => {
  const { controller, plan } = setUp();
  await controller.handle({ type: "inspect", manifestUrl: START.manifestUrl });
  await controller.handle(START);
  await controller.handle({ type: "inspect", manifestUrl: "/models/y.json" });
  await controller.handle({ ...START, manifestUrl: "/models/y.json" });
  assert.deepEqual(plan.opened, [START.manifestUrl, "/models/y.json"]);
  assert.deepEqual([plan.loads, plan.destroyed], [2, 1]);
});
