import assert from "node:assert/strict";
import { test } from "node:test";
import { Studio } from "../../../../src_js/app/make/studio.js";
import { KleinbildError } from "../../../../src_js/errors.js";

const SETTINGS = { prompt: "a fox", width: 32, height: 16, seed: 5n, steps: 2, latents: null };
const INFO = /** @type {any} */ ({ model: "tiny" });

/** A studio whose client follows `plan` and whose views write down what they are told. */
function setUp() {
  /** @type {string[]} */
  const log = [];
  /** @type {boolean[]} */
  const told = [];
  /** @type {unknown[][]} */
  const noted = [];
  const note = (/** @type {string} */ name) => (/** @type {any} */ value = undefined) => void log.push(value?.code ? `${name} ${value.code}` : name);
  /** @type {{ start: Error[], generate: Error[], forget: Error[], missing: number[], planning: Promise<void>[], listeners: ((options: import("../../../../src_js/app/worker_client.js").Listeners) => void)[] }} */
  const plan = { listeners: [], planning: [], start: [], generate: [], forget: [], missing: [] };
  const throwNext = (/** @type {Error[]} */ errors) => {
    const error = errors.shift();
    if (error) throw error;
  };
  const client = {
    onFailure: /** @type {any} */ (undefined),
    onBackground: /** @type {any} */ (undefined),
    inspect: async () => ({ totalBytes: 9, missingBytes: plan.missing.shift() ?? 0, laterBytes: 5, persistent: true, model: "tiny", notice: {}, examples: [], sizes: [], defaults: { width: 16, height: 16, steps: 4 } }),
    async plan(/** @type {{ picture: { width: number } }} */ { picture }) {
      log.push(`plan ${picture.width}`);
      await plan.planning.shift();
      return { least: picture.width, whole: 2, budget: 3, refusal: "", flops: { text_encoder: 1, transformer: 1, vae_decoder: 1 } };
    },
    async start(/** @type {{ background?: boolean }} */ { background }) {
      log.push(background ? "start" : "start without background");
      throwNext(plan.start);
      return INFO;
    },
    async generate(/** @type {unknown} */ _, /** @type {import("../../../../src_js/app/worker_client.js").Listeners & { keepPrompt?: boolean }} */ options = {}) {
      log.push(options.keepPrompt ? "generate" : "generate and forget");
      plan.listeners.shift()?.(options);
      throwNext(plan.generate);
      return /** @type {any} */ ({ png: new ArrayBuffer(3) });
    },
    async forgetPrompts() {
      log.push("forget");
      throwNext(plan.forget);
    },
    cancel: () => void log.push("client.cancel"),
  };
  const frame = {
    begin: note("begin"), showProgress: note("progress"), showPreview: note("preview"), showPicture: note("picture"), showFailure: note("failure"),
    showIdle: note("idle"), showCancelling: note("cancelling"), sayResumed: note("resumed"), setShape() {}, bringIntoView() {}, elapsed: 0,
  };
  const rates = {
    note: (/** @type {unknown[]} */ ...args) => void noted.push(args),
    predict: (/** @type {string} */ machine) => (machine === "tiny on a GPU" ? { text_encoder: 1, transformer: 2, vae_decoder: 3 } : null),
  };
  const studio = new Studio(client, "/models/x.json", rates, {
    form: { setBusy: (busy) => void log.push(`busy ${busy}`), setMissing: ({ missingBytes, laterBytes }) => void log.push(`missing ${missingBytes}, ${laterBytes} later`),
      setCancelling() {}, memoryBudget: 5e9 },
    frame,
    showModel: note("model"),
    roll: { add: note("add"), mark() {}, setEnabled() {}, next: 1 },
    showReady: note("ready"),
    showBackground: ({ bytes }) => void log.push(`background ${bytes}`),
    pictureMade(png, settings) {
      log.push(`made ${png.length} bytes of ${settings.prompt}`);
      return "blob:1";
    },
    tellBusy: (busy) => void told.push(busy),
    keepStorage: note("persist"),
  });
  return { studio, client, plan, log, told, noted, frame };
}

test("nothing is downloaded before the first picture; the bytes are told", async () => {
  const { studio, plan, log } = setUp();
  plan.missing.push(1234);
  await studio.inspect();
  assert.deepEqual(log, ["missing 1234, 5 later", "model"]);
});

test("the first picture starts the model, the second does not", async () => {
  const { studio, log, told } = setUp();
  await studio.make(SETTINGS);
  assert.deepEqual(told, [true, false], "the other views hear of it");
  assert.deepEqual(log, ["busy true", "plan 32", "begin", "persist", "start", "missing 0, 0 later", "ready", "generate", "made 3 bytes of a fox", "add", "picture", "busy false"]);
  log.length = 0;
  await studio.make(SETTINGS);
  assert.deepEqual(log, ["busy true", "begin", "generate", "made 3 bytes of a fox", "add", "picture", "busy false"]);
});

test("what is downloaded in the background is shown, also while a picture is made", async () => {
  const { studio, client, log } = setUp();
  const making = studio.make(SETTINGS);
  client.onBackground({ bytes: 3, totalBytes: 9, done: false, problem: "" });
  assert.equal(log.at(-1), "background 3");
  await making;
});

test("a failed start is told and can be tried again", async () => {
  const { studio, plan, log } = setUp();
  plan.start.push(new KleinbildError("download-failed", "no connection"));
  plan.missing.push(77);
  await studio.make(SETTINGS);
  assert.deepEqual(log.slice(-3), ["failure download-failed", "busy false", "missing 77, 5 later"]);
  log.length = 0;
  await studio.make(SETTINGS);
  assert.ok(log.includes("start") && log.includes("picture"));
});

test("another model is used from the next picture on, also when it is chosen while one is made", async () => {
  const { studio, log } = setUp();
  await studio.make(SETTINGS);
  log.length = 0;
  await studio.useModel("/models/other.json");
  assert.ok(log.some((line) => line.startsWith("missing")) && log.includes("model"));
  log.length = 0;
  const making = studio.make(SETTINGS);
  await studio.useModel("/models/third.json");
  assert.ok(!log.includes("model"), "not while a picture is made");
  await making;
  assert.ok(log.includes("start") && log.includes("model"));
  log.length = 0;
  await studio.make(SETTINGS);
  assert.ok(log.includes("start"), "the third model is not started yet");
});

test("a cancelled picture leaves the one before it", async () => {
  const { studio, plan, log } = setUp();
  plan.generate.push(new KleinbildError("cancelled", ""));
  await studio.make(SETTINGS);
  assert.ok(log.includes("idle"));
  await studio.make(SETTINGS);
  log.length = 0;
  plan.generate.push(new KleinbildError("cancelled", ""));
  await studio.make(SETTINGS);
  assert.deepEqual(log, ["busy true", "begin", "generate", "picture", "busy false"]);
});

test("cancel only while a picture is made, and the page says so at once", async () => {
  const { studio, log } = setUp();
  studio.cancel();
  const making = studio.make(SETTINGS);
  studio.cancel();
  assert.deepEqual(log.slice(-2), ["cancelling", "client.cancel"]);
  await making;
  assert.equal(log.filter((entry) => entry === "client.cancel").length, 1);
});

test("a size is planned once, and again with another budget or after a failure", async () => {
  const { studio, client, log } = setUp();
  const picture = { width: 16, height: 16, steps: 1 };
  await studio.inspect();
  studio.adapter = "a GPU";
  log.length = 0;
  const [plan] = await Promise.all([studio.plan(picture), studio.plan(picture)]);
  assert.deepEqual([plan?.needs.least, plan?.seconds?.transformer], [16, 2]);
  studio.adapter = "another GPU";
  assert.equal((await studio.plan(picture))?.seconds, null);
  studio.views.form = { ...studio.views.form, memoryBudget: 6e9 };
  await studio.plan(picture);
  assert.deepEqual(log, ["plan 16", "plan 16"]);
  const { plan: works } = client;
  client.plan = () => Promise.reject(new KleinbildError("no-adapter", ""));
  assert.equal(await studio.plan({ ...picture, width: 32 }), null);
  client.plan = works;
  assert.ok(await studio.plan({ ...picture, width: 32 }));
});

test("what a picture took is noted by model and GPU; previews and lost GPUs reach the frame", async () => {
  const { studio, plan, log, noted, frame } = setUp();
  await studio.inspect();
  studio.adapter = "a GPU";
  plan.listeners.push(({ onProgress, onPreview, onResume }) => {
    const at = (/** @type {"text_encoder"|"transformer"|"vae_decoder"} */ stage, /** @type {number} */ step, /** @type {number} */ now) => {
      frame.elapsed = now;
      onProgress?.({ stage, step, steps: 2, fraction: 0 });
    };
    at("text_encoder", 0, 1);
    at("transformer", 0, 2);
    at("transformer", 1, 6);
    onPreview?.({ step: 1, width: 1, height: 1, rgba: new Uint8ClampedArray(4) });
    onResume?.({ step: 1, losses: 1 });
    at("transformer", 1, 20);
    at("vae_decoder", 2, 24);
    frame.elapsed = 27;
  });
  await studio.make(SETTINGS);
  assert.deepEqual(noted, [["tiny on a GPU", SETTINGS, { text_encoder: 1, transformer: 4, vae_decoder: 3 }, { text_encoder: 1, transformer: 1, vae_decoder: 1 }]]);
  assert.ok(log.includes("preview") && log.includes("resumed"));
});

test("any exception is told, and a device lost while idle too", async () => {
  const { studio, client, plan, log } = setUp();
  plan.generate.push(new TypeError("x"));
  await studio.make(SETTINGS);
  assert.ok(log.includes("failure internal"));
  client.onFailure(new KleinbildError("device-lost", "gone"));
  assert.equal(log.at(-1), "failure device-lost");
});

test("a prompt that is not to be kept is made without a trace; forgetting is passed on, and its failure told", async () => {
  const { studio, plan, log } = setUp();
  await studio.make(SETTINGS, false);
  assert.ok(log.includes("generate and forget") && !log.includes("generate"));
  await studio.forgetPrompts();
  assert.equal(log.at(-1), "forget");
  plan.forget.push(new KleinbildError("internal", "locked"));
  await studio.forgetPrompts();
  assert.equal(log.at(-1), "failure internal");
});


test("a guest's picture is shown while it is made and kept nowhere; a failure is the guest's alone", async () => {
  const { studio, plan, log, noted } = setUp();
  await studio.make(SETTINGS);
  noted.length = log.length = 0;
  /** @type {unknown[]} */
  const got = [];
  const guest = {
    manifestUrl: "/models/x.json", memoryBudget: null,
    onProgress: () => void got.push("progress"), onPreview: () => void got.push("preview"),
    onResult: (/** @type {import("../../../../src_js/app/worker_client.js").Result} */ { png }) => void got.push(png.byteLength),
  };
  plan.listeners.push(({ onProgress, onPreview }) => {
    onProgress?.({ stage: "vae_decoder", step: 2, steps: 2, fraction: 1 });
    onPreview?.({ step: 1, width: 1, height: 1, rgba: new Uint8ClampedArray(4) });
  });
  assert.equal(await studio.make(SETTINGS, false, guest), null);
  assert.deepEqual(got, ["progress", "preview", 3]);
  assert.deepEqual(log, ["busy true", "begin", "generate and forget", "progress", "preview", "picture", "busy false"], "then the own one again");
  assert.deepEqual(noted, []);
  log.length = 0;
  plan.generate.push(new KleinbildError("out-of-memory", ""));
  assert.equal((await studio.make(SETTINGS, false, guest))?.code, "out-of-memory");
  assert.deepEqual(log, ["busy true", "begin", "generate and forget", "picture", "busy false"]);
});

test("a guest's picture is of the server's model, and the own one of the chosen model after it", async () => {
  const { studio, client, log } = setUp();
  /** @type {string[]} */
  const started = [];
  const { start } = client;
  client.start = (/** @type {any} */ options) => {
    started.push(options.manifestUrl);
    return start(options);
  };
  await studio.make(SETTINGS);
  log.length = 0;
  const guest = { manifestUrl: "/models/server.json", memoryBudget: null, onResult() {} };
  await studio.make(SETTINGS, false, guest);
  await studio.make(SETTINGS, false, guest);
  assert.ok(!log.includes("ready") && !log.includes("plan 32"), "what the page says is of its own model");
  assert.equal(log.at(-1), "missing 0, 5 later");
  await studio.make(SETTINGS);
  assert.deepEqual(started, ["/models/x.json", "/models/server.json", "/models/x.json"]);
  assert.ok(log.includes("ready"));
});
