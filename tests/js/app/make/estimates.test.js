import assert from "node:assert/strict";
import { test } from "node:test";
import { Rates, pictureSeconds } from "../../../../src_js/app/make/rates.js";
import { StageClock } from "../../../../src_js/app/make/stage_clock.js";
import { leftText, secondsLeft } from "../../../../src_js/app/make/time_left.js";
import { Store } from "../../../../src_js/app/store.js";
import { words } from "../../support/words.js";

/** @typedef {import("../../../../src_js/protocol.js").Progress} Progress */

const FLOPS = { text_encoder: 1e12, transformer: 4e12, vae_decoder: 2e12 };

/** @param {Map<string, string>} [items] */
function storeOf(items = new Map()) {
  return new Store(() => ({
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
  }));
}

/** @param {Progress["stage"]} stage @param {number} step @param {number} steps @returns {Progress} */
const at = (stage, step, steps) => ({ stage, step, steps, fraction: 0 });

/**
 * A picture as its progress comes: text, loading, steps with two reports each, decoding.
 * @param {{ text: number, loading: number, steps: number[], decode: number }} took seconds
 * @returns {[number, Progress][]} and when, the end last
 */
function picture({ text, loading, steps, decode }) {
  let now = 5;
  /** @type {[number, Progress][]} */
  const told = [[now, at("text_encoder", 0, steps.length)]];
  now += text;
  told.push([now, { ...at("loading", 0, steps.length), bytes: 0, totalBytes: loading * 1e9, bytesPerSecond: 1e9 }]);
  now += loading;
  told.push([now, at("transformer", 0, steps.length)]);
  steps.forEach((seconds, i) => {
    told.push([now + seconds / 2, at("transformer", i, steps.length)]);
    now += seconds;
    told.push([now, at("transformer", i + 1, steps.length)]);
  });
  told.push([now, at("vae_decoder", steps.length, steps.length)]);
  now += decode;
  told.push([now, at("vae_decoder", steps.length, steps.length)]);
  return told;
}

test("stages are measured without loading; a step is the median", () => {
  const clock = new StageClock();
  const told = picture({ text: 2, loading: 7, steps: [9, 4, 4, 4], decode: 3 });
  for (const [now, progress] of told) clock.observe(progress, now);
  clock.end(/** @type {number} */ (told.at(-1)?.[0]));
  assert.deepEqual(clock.measured, { text_encoder: 2, transformer: 4, vae_decoder: 3 });
});

test("steps that were not seen one by one share their time, and a picture without steps measures nothing", () => {
  const clock = new StageClock();
  clock.observe(at("transformer", 0, 4), 0);
  clock.observe(at("vae_decoder", 4, 4), 8);
  clock.end(9);
  assert.deepEqual(clock.measured, { text_encoder: 0, transformer: 2, vae_decoder: 1 });
  assert.equal(new StageClock().measured, null);
});

test("after a lost GPU the time of the loss counts to no step", () => {
  const clock = new StageClock();
  clock.observe(at("transformer", 0, 3), 0);
  clock.observe(at("transformer", 1, 3), 4);
  clock.restart(1, 50);
  clock.observe(at("transformer", 1, 3), 60);
  clock.observe(at("transformer", 2, 3), 64);
  assert.equal(clock.stepSeconds, 4);
});

test("nobody guesses: without a step seen there is no number, while downloading and tuning neither", () => {
  const clock = new StageClock();
  const unknown = { expected: null, flops: FLOPS };
  for (const [now, progress] of picture({ text: 1, loading: 1, steps: [2, 2], decode: 1 }).slice(0, 4)) {
    clock.observe(progress, now);
    assert.equal(secondsLeft(progress, clock, unknown, now), null);
  }
  const expected = { text_encoder: 1, transformer: 2, vae_decoder: 1 };
  assert.equal(secondsLeft(at("download", 0, 2), new StageClock(), { expected, flops: FLOPS }, 0), null);
  assert.equal(secondsLeft(at("tuning", 0, 2), new StageClock(), { expected, flops: FLOPS }, 0), null);
});

test("with earlier pictures known it is right from the start and counts down", () => {
  const took = { text: 2, loading: 3, steps: [4, 4, 4, 4], decode: 5 };
  const expected = { text_encoder: 2, transformer: 4, vae_decoder: 5 };
  const told = picture(took);
  const end = /** @type {number} */ (told.at(-1)?.[0]);
  const clock = new StageClock();
  for (const [now, progress] of told) {
    clock.observe(progress, now);
    const left = /** @type {number} */ (secondsLeft(progress, clock, { expected, flops: FLOPS }, now));
    const loading = progress.stage === "text_encoder" ? took.loading : 0;          // nobody knows of it before it begins
    const overdue = progress.stage === "vae_decoder" ? 0.1 * took.decode : 0;      // at its very end
    assert.ok(Math.abs(left + loading - (end - now)) <= overdue + 0.01, `${progress.stage} ${progress.step}: ${left} for ${end - now}`);
  }
});

test("with wrong expectations and uneven steps it is within a third after two steps, and never below nothing", () => {
  let seed = 1;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  for (let trial = 0; trial < 50; trial++) {
    const steps = Array.from({ length: 4 + Math.floor(random() * 20) }, () => 3 * (0.85 + 0.3 * random()));
    const told = picture({ text: 2, loading: 1, steps, decode: 1.5 });
    const end = /** @type {number} */ (told.at(-1)?.[0]);
    const clock = new StageClock();
    const expected = random() < 0.5 ? { text_encoder: 9, transformer: 12, vae_decoder: 1.8 } : null;
    for (const [now, progress] of told) {
      clock.observe(progress, now);
      const left = secondsLeft(progress, clock, { expected, flops: FLOPS }, now);
      if (progress.stage !== "transformer" || progress.step < 2) continue;
      const truth = end - now;
      assert.ok(left !== null && left >= 0 && Math.abs(left - truth) <= 0.34 * truth + 0.6, `${left} for ${truth}`);
    }
  }
});

test("what takes longer than it should is not over at once", () => {
  const clock = new StageClock();
  const expected = { text_encoder: 1, transformer: 1, vae_decoder: 2 };
  clock.observe(at("vae_decoder", 2, 2), 0);
  const left = [0, 1, 2, 10].map((now) => secondsLeft(at("vae_decoder", 2, 2), clock, { expected, flops: null }, now));
  assert.deepEqual(left, [2, 1, 0.2, 1]);
});

test("what is left is told in a grain that can be trusted", () => {
  const english = words();
  assert.deepEqual([0, 2.9, 3.1, 11, 56, 58, 61, 400].map((seconds) => leftText(english, seconds)), ["a moment left", "a moment left",
    "about 4 seconds left", "about 15 seconds left", "about 60 seconds left", "about 1 minute left", "about 2 minutes left", "about 7 minutes left"]);
});

test("rates: the same size as measured, another by its arithmetic from the nearest, nothing before", () => {
  const rates = new Rates(storeOf());
  assert.equal(rates.predict("tiny on a", FLOPS), null);
  rates.note("tiny on a", { width: 512, height: 512 }, { text_encoder: 1, transformer: 4, vae_decoder: 2 }, FLOPS);
  rates.note("tiny on a", { width: 1024, height: 1024 }, { text_encoder: 0, transformer: 20, vae_decoder: 9 }, { text_encoder: 1e12, transformer: 2e13, vae_decoder: 8e12 });
  assert.deepEqual(rates.predict("tiny on a", FLOPS), { text_encoder: 1, transformer: 4, vae_decoder: 2 });
  assert.deepEqual(rates.predict("tiny on a", { text_encoder: 1e12, transformer: 2e12, vae_decoder: 1e12 }), { text_encoder: 1, transformer: 2, vae_decoder: 1 });
  assert.equal(rates.predict("tiny on a", { text_encoder: 1e12, transformer: 1e13, vae_decoder: 4e12 })?.transformer, 10);
  assert.equal(rates.predict("tiny on b", FLOPS), null);
  assert.equal(rates.predict("tiny on a", { ...FLOPS, transformer: 3.9e14 })?.transformer, 390);
  assert.equal(rates.predict("tiny on a", { ...FLOPS, transformer: 4.1e14 }), null, "too far from anything measured");
  assert.equal(rates.predict("tiny on a", { ...FLOPS, vae_decoder: 9e10 }), null);
  assert.equal(pictureSeconds({ text_encoder: 1, transformer: 4, vae_decoder: 2 }, 4), 19);
});

test("rates follow a GPU that changes, keep the text's time when a prompt was known, and survive a visit", () => {
  const items = new Map();
  const rates = new Rates(storeOf(items));
  const size = { width: 64, height: 64 };
  rates.note("m", size, { text_encoder: 2, transformer: 10, vae_decoder: 1 }, FLOPS);
  rates.note("m", size, { text_encoder: 0, transformer: 5, vae_decoder: 1 }, FLOPS);
  assert.deepEqual(rates.predict("m", FLOPS), { text_encoder: 2, transformer: 8, vae_decoder: 1 });
  assert.deepEqual(new Rates(storeOf(items)).predict("m", FLOPS), rates.predict("m", FLOPS));
});

test("rates stay few, the oldest go, and strange storage does no harm", () => {
  const items = new Map();
  const rates = new Rates(storeOf(items));
  const seconds = { text_encoder: 1, transformer: 1, vae_decoder: 1 };
  for (let i = 1; i <= 60; i++) rates.note(`machine ${i % 10}`, { width: 16 * i, height: 16 }, seconds, FLOPS);
  for (let i = 1; i <= 60; i++) rates.note("machine", { width: 16 * i, height: 16 }, seconds, FLOPS);
  const stored = JSON.parse(items.get("kleinbild.rates") ?? "");
  assert.equal(Object.keys(stored).length, 6);
  assert.deepEqual(Object.keys(stored.machine).length, 24);
  for (const text of ["", "[1]", "{nothing", '{"m":5}', '{"m":{"16x16":{"seconds":{"transformer":-1},"flops":{}}}}', '{"m":null}', '{"m":{"a":{"seconds":{"text_encoder":1,"transformer":"x","vae_decoder":1},"flops":{"text_encoder":1,"transformer":1,"vae_decoder":1}}}}']) {
    items.set("kleinbild.rates", text);
    assert.equal(new Rates(storeOf(items)).predict("m", FLOPS), null, text);
  }
});
