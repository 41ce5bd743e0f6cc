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
  const note = (/** @type {string} */ name) => (/** @type {any} */ value = undefined) => void log.push(value?.code ? `${name} ${value.code}` : name);
  /** @type {{ start: Error[], generate: Error[], forget: Error[], missing: number[], planning: Promise<void>[] }} */
  const plan = { planning: [], start: [], generate: [], forget: [], missing: [] };
  const throwNext = (/** @type {Error[]} */ errors) => {
    const error = errors.shift();
    if (error) throw error;
  };
  const client = {
    onFailure: /** @type {any} */ (undefined),
    onBackground: /** @type {any} */ (undefined),
    inspect: async () => ({ totalBytes: 9, missingBytes: plan.missing.shift() ?? 0, laterBytes: 5, persistent: true, defaults: { width: 16, height: 16, steps: 4 } }),
    async plan(/** @type {{ picture: { width: number } }} */ { picture }) {
      log.push(`plan ${picture.width}`);
      await plan.planning.shift();
      return { least: picture.width, whole: 2, budget: 3, refusal: "" };
    },
    async start(/** @type {{ background?: boolean }} */ { background }) {
      log.push(background ? "start" : "start without background");
      throwNext(plan.start);
      return INFO;
    },
    async generate(/** @type {unknown} */ _, /** @type {{ keepPrompt?: boolean }} */ { keepPrompt } = {}) {
      log.push(keepPrompt ? "generate" : "generate and forget");
      throwNext(plan.generate);
      return /** @type {any} */ ({ png: new ArrayBuffer(3) });
    },
    async forgetPrompts() {
      log.push("forget");
      throwNext(plan.forget);
    },
    cancel: () => void log.push("client.cancel"),
  };
  const studio = new Studio(client, "/models/x.json", {
    form: { setBusy: (busy) => void log.push(`busy ${busy}`), setMissing: ({ missingBytes, laterBytes }) => void log.push(`missing ${missingBytes}, ${laterBytes} later`), showDefaults: note("defaults"),
      showMemory: (needs) => void log.push(`memory ${needs?.least}`), memoryBudget: 5e9 },
    frame: {
      begin: note("begin"), showProgress: note("progress"), showPicture: note("picture"), showFailure: note("failure"),
      showIdle: note("idle"), setShape() {}, bringIntoView() {}, elapsed: 0,
    },
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
  return { studio, client, plan, log, told };
}

test("nothing is downloaded before the first picture; the bytes are told", async () => {
  const { studio, plan, log } = setUp();
  plan.missing.push(1234);
  await studio.inspect();
  assert.deepEqual(log, ["missing 1234, 5 later", "defaults"]);
});

test("the first picture starts the model, the second does not", async () => {
  const { studio, log, told } = setUp();
  await studio.make(SETTINGS);
  assert.deepEqual(told, [true, false], "the other views hear of it");
  assert.deepEqual(log, ["busy true", "begin", "persist", "start", "missing 0, 0 later", "ready", "generate", "made 3 bytes of a fox", "add", "picture", "busy false"]);
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

test("one picture at a time, and cancel only while one is made", async () => {
  const { studio, log } = setUp();
  studio.cancel();
  const first = studio.make(SETTINGS);
  const second = studio.make(SETTINGS);
  studio.cancel();
  await Promise.all([first, second]);
  assert.equal(log.filter((entry) => entry === "generate").length, 1);
  assert.equal(log.filter((entry) => entry === "client.cancel").length, 1);
});

test("what the latest size needs is shown, whatever the order of the answers, and failures are not", async () => {
  const { studio, client, plan, log } = setUp();
  /** @type {() => void} */
  let answer = () => {};
  plan.planning.push(new Promise((resolve) => (answer = resolve)));
  const first = studio.plan({ width: 16, height: 16, steps: 1 });
  await studio.plan({ width: 32, height: 16, steps: 1 });
  answer();
  await first;
  assert.deepEqual(log, ["plan 16", "plan 32", "memory 32"]);
  log.length = 0;
  client.plan = () => Promise.reject(new KleinbildError("no-adapter", ""));
  await studio.plan({ width: 16, height: 16, steps: 1 });
  assert.deepEqual(log, ["memory undefined"]);
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

