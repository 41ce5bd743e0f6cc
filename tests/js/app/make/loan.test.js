import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { Loan } from "../../../../src_js/app/make/loan.js";
import { PictureQueue } from "../../../../src_js/app/make/queue.js";
import { QueueRunner } from "../../../../src_js/app/make/queue_runner.js";
import { KleinbildError } from "../../../../src_js/errors.js";

const OFFER = { token: "t".repeat(43), lent: true };
const JOB = { type: "job", prompt: "a hare", width: 16, height: 16, seed: "7", steps: 2, memoryBudget: null, preview: false, trace: false, latents: false };
const OWN = { prompt: "own", width: 16, height: 16, steps: 1, seeds: ["1", "2", "3"], keepPrompt: true };

/** The server's end of one conversation. */
class FakeChannel {
  /** @type {any[]} */
  sent = [];
  /** @type {((code: number) => void) | undefined} */
  onClosed;
  closed = false;
  /** @type {any[]} */
  #frames = [];
  /** @type {((frame: any) => void) | undefined} */
  #wake;

  /** @param {any} message */
  say(message) {
    this.#frames.push(message);
    this.#wake?.(undefined);
  }

  /** @param {number} code */
  hangUp(code) {
    if (this.closed) return;
    this.closed = true;
    this.#wake?.(undefined);
    this.onClosed?.(code);
  }

  close = () => this.hangUp(1005);
  async receiveMessage() {
    while (this.#frames.length === 0) {
      if (this.closed) throw new KleinbildError("cancelled", "The server went away.");
      await new Promise((resolve) => (this.#wake = resolve));
    }
    return this.#frames.shift();
  }
  receiveBytes = () => Promise.reject(new Error("no latents come"));
  send = (/** @type {any} */ message) => void this.sent.push(message);
  sendBytes = (/** @type {any} */ data) => void this.sent.push(data);
}

const settled = async () => {
  for (let i = 0; i < 40; i++) await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
};

/** A page with a queue of its own; every picture waits for `finish`. */
function setUp() {
  /** @type {FakeChannel[]} */
  const channels = [];
  /** @type {string[]} */
  const states = [];
  /** @type {unknown[]} */
  const kept = [];
  /** @type {string[]} */
  const made = [];
  /** @type {((error: KleinbildError | null) => void)[]} */
  const finishers = [];
  const studio = {
    adapter: "a GPU",
    /** @param {any} settings @param {any} keepPrompt @param {any} guest @returns {Promise<KleinbildError | null>} */
    async make(settings, keepPrompt, guest) {
      made.push(`${settings.prompt} ${settings.seed}`);
      if (guest) {
        assert.deepEqual([keepPrompt, guest.manifestUrl], [false, "/models/x.json"]);
        guest.onProgress({ stage: "transformer", step: 1, steps: 2, fraction: 0.5 });
        guest.onPreview?.({ step: 1, width: 1, height: 1, rgba: new Uint8ClampedArray(4).fill(255) });
      }
      const error = await new Promise((resolve) => finishers.push(resolve));
      if (!error && guest) guest.onResult({ width: 16, height: 16, png: new ArrayBuffer(3), seconds: {} });
      return error;
    },
    cancel: () => finishers.shift()?.(new KleinbildError("cancelled", "")),
  };
  const queue = new PictureQueue(null, () => {});
  const runner = new QueueRunner(queue, (settings, keepPrompt) => studio.make(settings, keepPrompt, undefined), () => {});
  const loan = new Loan({
    manifestUrl: "/models/x.json", studio, runner,
    plan: () => Promise.reject(new Error("not told")),
    open: (token) => {
      assert.equal(token, OFFER.token);
      return /** @type {any} */ (channels[channels.push(new FakeChannel()) - 1]);
    },
    show: (state) => states.at(-1) !== state && states.push(state),
    keep: (offer) => kept.push(offer),
  });
  const accept = async () => {
    channels.at(-1)?.say({ type: "start", precision: "auto" });
    await settled();
    return /** @type {FakeChannel} */ (channels.at(-1));
  };
  const finish = async () => {
    finishers.shift()?.(null);
    await settled();
  };
  return { loan, channels, states, kept, made, queue, runner, accept, finish };
}

/** Types of what was sent, binary frames by name. @param {FakeChannel} channel */
const types = ({ sent }) => sent.map((message) => (message.type ?? "bytes") + (message.code ? ` ${message.code}` : ""));

afterEach(() => mock.timers.reset());

test("the server's picture is made and sent, and the page says so", async () => {
  const { loan, states, made, accept, finish } = setUp();
  loan.setHold("here");
  loan.take(OFFER);
  const channel = await accept();
  assert.deepEqual(channel.sent, [{ type: "info", text: "a GPU, auto" }]);
  channel.say({ ...JOB, job: 1, preview: true });
  await settled();
  await finish();
  while (!types(channel).includes("result")) await new Promise((resolve) => setTimeout(resolve, 1));   // a preview becomes a PNG first
  assert.deepEqual(made, ["a hare 7"]);
  assert.deepEqual(types(channel), ["info", "progress", "preview", "bytes", "result", "bytes"]);
  assert.deepEqual(states, ["none", "on", "making", "on"]);
});

test("own pictures and the server's take turns, one of it between two of them; a pause stops only the own ones", async () => {
  const { loan, made, queue, runner, accept, finish } = setUp();
  loan.setHold("here");
  loan.take(OFFER);
  const channel = await accept();
  queue.add([OWN]);
  void runner.run();
  for (const job of [1, 2, 3]) {
    channel.say({ ...JOB, job, seed: `${job}0` });
    await settled();
    if (job === 3) queue.paused = true;
    await finish();                                                      // an own one
    await finish();                                                      // the server's
  }
  assert.deepEqual(made, ["own 1", "a hare 10", "own 2", "a hare 20", "own 3", "a hare 30"]);
  channel.say({ ...JOB, job: 4, seed: "40" });
  await settled();
  assert.equal(made.at(-1), "a hare 40");
  await finish();
  assert.equal(types(channel).filter((type) => type === "result").length, 4);
});

test("a cancel ends the server's picture and no other", async () => {
  const { loan, made, queue, runner, accept, finish } = setUp();
  loan.setHold("here");
  loan.take(OFFER);
  const channel = await accept();
  queue.add([{ ...OWN, seeds: ["1"] }]);
  void runner.run();
  channel.say({ ...JOB, job: 1 });
  channel.say({ type: "cancel", job: 1 });
  await settled();
  assert.deepEqual(types(channel), ["info", "error cancelled"], "while it waits for its turn");
  assert.equal(runner.running, true);
  await finish();
  assert.deepEqual([made, queue.length], [["own 1"], 0]);
  channel.say({ ...JOB, job: 2 });
  await settled();
  channel.say({ type: "cancel", job: 2 });
  await settled();
  await finish();
  assert.equal(types(channel).at(-1), "error cancelled", "in the making");
  channel.say({ type: "cancel", job: 2 });                               // too late, and let be
  await settled();
  assert.equal(made.length, 2);
});

test("a picture waits while kernels are measured, and can be cancelled then", async () => {
  const { loan, made, runner, accept, finish } = setUp();
  loan.setHold("here");
  loan.take(OFFER);
  const channel = await accept();
  runner.hold(true);
  channel.say({ ...JOB, job: 1 });
  channel.say({ type: "cancel", job: 1 });
  await settled();
  assert.deepEqual([made, types(channel)], [[], ["info", "error cancelled"]]);
  channel.say({ ...JOB, job: 2 });
  await settled();
  assert.deepEqual(made, []);
  runner.hold(false);
  await settled();
  await finish();
  assert.equal(types(channel).at(-2), "result");
});

test("the page comes back to a server that was away, and forgets one that knows it no more", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { loan, channels, states, kept, accept } = setUp();
  loan.setHold("here");
  loan.take(OFFER);
  const channel = await accept();
  channel.hangUp(1006);
  assert.equal(states.at(-1), "away");
  for (const wait of [1000, 2000, 4000, 8000, 16000, 30000, 30000]) {
    mock.timers.tick(wait - 1);
    assert.equal(channels.at(-1)?.closed, true, "it is not asked too often");
    mock.timers.tick(1);
    assert.equal(channels.at(-1)?.closed, false);
    channels.at(-1)?.hangUp(1006);
  }
  mock.timers.tick(30000);
  assert.deepEqual(kept, []);
  channels.at(-1)?.hangUp(4001);
  assert.deepEqual([states.at(-1), kept], ["none", [undefined]]);
  mock.timers.tick(60000);
  assert.equal(channels.at(-1)?.closed, true);
});

test("a server that is none is not asked again; one of another build, or with another page, is told", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  for (const [code, state, again] of /** @type {[number, string, boolean][]} */ ([[1006, "none", false], [4002, "old", false], [4003, "none", true]])) {
    const { loan, channels, states } = setUp();
    loan.setHold("here");
    loan.take(OFFER);
    channels[0]?.hangUp(code);
    mock.timers.tick(1000);
    assert.deepEqual([states.at(-1), channels.length], [state, again ? 2 : 1]);
  }
});

test("somebody stops lending, and begins again", async () => {
  const { loan, channels, states, kept, accept } = setUp();
  loan.setHold("here");
  loan.take(OFFER);
  const channel = await accept();
  channel.say({ ...JOB, job: 1 });
  await settled();
  loan.lend(false);
  await settled();
  assert.deepEqual([states.at(-1), channel.closed, kept], ["off", true, [{ ...OFFER, lent: false }]]);
  loan.lend(true);
  assert.equal(channels.length, 2);
  await accept();
  assert.equal(states.at(-1), "on");
});

test("the tab that has the GPU lends it; one that hands it over takes no further picture", async () => {
  const { loan, channels, states, made, accept, finish } = setUp();
  loan.setHold("away");
  loan.take(OFFER);
  assert.deepEqual([channels.length, states.at(-1)], [0, "none"]);
  loan.setHold("here");
  const channel = await accept();
  channel.say({ ...JOB, job: 1 });
  await settled();
  loan.setHold("finishing");
  await finish();
  assert.equal(types(channel).at(-2), "result");
  channel.say({ ...JOB, job: 2 });
  await settled();
  assert.deepEqual([made.length, channel.closed], [1, false]);
  loan.setHold("away");
  await settled();
  assert.deepEqual([made.length, channel.closed, types(channel).at(-2)], [1, true, "result"]);
});
