/** The memory that pictures of the real model really take, on a GPU on paper: what was predicted, and never more than the budget. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { readMadeUp, syntheticVocabulary } from "../../../src_js/bench/synthetic_prompt.js";
import { memoryNeeds } from "../../../src_js/pipeline/budget.js";
import { Generator } from "../../../src_js/pipeline/generator.js";
import { sigmas } from "../../../src_js/pipeline/scheduler.js";
import { syntheticManifest } from "../../../src_js/synthetic_manifest.js";
import { deviceInfo } from "../support/device_info.js";
import { paperEngine, paperStage } from "../support/paper_device.js";
import { testRandom } from "../support/random.js";

const random = testRandom("memory.test.js");
const config = JSON.parse(readFileSync(new URL("../../../src_js/bench/klein4b.json", import.meta.url), "utf8"));
const manifest = syntheticManifest(config, { format: "q4", blockSize: 32 });
/** Knows the modulations of two steps at 512x512. */
const tabled = syntheticManifest(config, { format: "q4", blockSize: 32, tableSigmas: [...sigmas(1024, 2).subarray(0, 2)] });

/** @param {Partial<import("../../../src_js/engine/device.js").DeviceInfo>} [facts] @param {import("../../../src_js/manifest.js").Manifest} [of] */
function setUp(facts, of = manifest) {
  const { engine, device } = paperEngine(deviceInfo(facts));
  const generator = new Generator({ engine, manifest: of, vocabulary: syntheticVocabulary(config), readShard: readMadeUp });
  /** @type {string[]} */
  const loads = [];
  generator.residency.begin = (...of) => {
    loads.push(of[2]);
    return paperStage(...of);
  };
  const draw = (/** @type {number} */ width, /** @type {number} */ height, /** @type {number} */ memoryBudget, observer = {}) => (
    generator.generate({ prompt: "a fox", width, height, seed: 1n, steps: 2, latents: null }, { memoryBudget, ...observer }));
  return { engine, device, generator, loads, draw };
}

describe("memory of the 4B model's pictures", () => {
  test("with room for all it is what was predicted, and the second picture loads nothing", async () => {
    const { engine, device, generator, loads, draw } = setUp();
    for (const [width, height] of /** @type {const} */ ([[512, 512], [1024, 1024], [272, 704]])) {
      const plan = generator.plan({ width, height, steps: 2 }, 1e11);
      engine.memory.resetPeak();
      device.dispatches = 0;
      await draw(width, height, 1e11);
      assert.equal(engine.memory.peakBytes, memoryNeeds(plan).whole, `${width}x${height}`);
      const { text_encoder: encoder, modulation, prelude, step, vae_decoder: decoder } = plan.programs;
      assert.equal(device.dispatches, encoder.dispatches + (modulation?.dispatches ?? NaN) + prelude.dispatches + 2 * step.dispatches + decoder.dispatches);
    }
    assert.deepEqual(loads, ["text_encoder", "modulation", "transformer", "vae_decoder"]);
    const weights = Object.values(generator.plan({ width: 512, height: 512, steps: 2 }).weightBytes).reduce((a, b) => a + b);
    assert.equal(engine.memory.bytes, weights, "between pictures only weights are there");
    generator.residency.clear();
    assert.equal(engine.memory.bytes, 0);
  });

  test("modulations that the table knows are read, and their weights neither loaded nor counted", async () => {
    const { engine, device, generator, loads, draw } = setUp({}, tabled);
    const plan = generator.plan({ width: 512, height: 512, steps: 2 }, 1e11);
    await draw(512, 512, 1e11);
    assert.equal(engine.memory.peakBytes, memoryNeeds(plan).whole);
    assert.deepEqual(loads, ["text_encoder", "transformer", "vae_decoder"]);
    const { text_encoder: encoder, prelude, step, vae_decoder: decoder } = plan.programs;
    assert.equal(device.dispatches, encoder.dispatches + prelude.dispatches + 2 * step.dispatches + decoder.dispatches);
    const other = generator.plan({ width: 272, height: 704, steps: 2 }, 1e11);
    engine.memory.resetPeak();
    await draw(272, 704, 1e11);
    assert.equal(engine.memory.peakBytes, memoryNeeds(other).whole);
    assert.deepEqual(loads.slice(3), ["modulation"]);
    const { least } = memoryNeeds(plan);
    engine.memory.resetPeak();
    await draw(512, 512, least);
    assert.ok(engine.memory.peakBytes <= memoryNeeds(other).whole && engine.memory.bytes <= least, "what another size left made room");
  });

  test("previews take what was predicted, however little is left, and only where they fit", async () => {
    const { engine, device, generator, loads, draw } = setUp();
    let shown = 0;
    const observer = { onPreview: () => void (shown += 1) };
    const size = { width: 512, height: 768, steps: 2 };
    const plan = generator.plan(size, 1e11, true);
    await draw(512, 768, 1e11, observer);
    assert.equal(engine.memory.peakBytes, memoryNeeds(plan).whole);
    const { text_encoder: encoder, modulation, prelude, step, preview, vae_decoder: decoder } = plan.programs;
    assert.equal(device.dispatches, encoder.dispatches + (modulation?.dispatches ?? NaN) + prelude.dispatches + 2 * step.dispatches
      + (preview?.dispatches ?? NaN) + decoder.dispatches);
    assert.equal(shown, 1);
    const { least } = memoryNeeds(plan);
    loads.length = 0;
    for (const [budget, count] of /** @type {const} */ ([[least, 2], [least - 1, 2], [least, 3]])) {
      generator.residency.clear();
      engine.memory.resetPeak();
      await draw(512, 768, budget, observer);
      assert.ok(engine.memory.peakBytes <= budget, `${engine.memory.peakBytes} of ${budget}`);
      assert.equal(shown, count);
    }
    assert.ok(loads.filter((stage) => stage === "vae_decoder").length >= 3);
  });

  test("any budget that a picture fits is kept, down to its last byte", async () => {
    for (let round = 0; round < 4; round++) {
      const { engine, generator, loads, draw } = setUp();
      const [width, height] = [16 * (8 + random.integer(57)), 16 * (8 + random.integer(57))];
      const { least, whole } = memoryNeeds(generator.plan({ width, height, steps: 2 }, 1e11));
      const budget = round === 0 ? least : least + Math.floor(random.next() * (whole - least));
      for (let picture = 0; picture < 2; picture++) {
        engine.memory.resetPeak();
        await draw(width, height, budget);
        assert.ok(engine.memory.peakBytes <= budget, `${width}x${height} in ${budget}: ${engine.memory.peakBytes}`);
      }
      assert.ok(loads.length > 3, "something had to go");
    }
  });

  test("where whole maps do not fit the GPU's buffers or the budget, the decoder's lie in bands", async () => {
    const limits = { ...deviceInfo().limits, maxStorageBufferBindingSize: 3e8, maxBufferSize: 3e8 };
    const { engine, generator, draw } = setUp({ limits });
    const plan = generator.plan({ width: 1024, height: 1024, steps: 2 }, 1e11);
    assert.ok(plan.mapBytes < Infinity);
    await draw(1024, 1024, 1e11);
    assert.equal(engine.memory.peakBytes, memoryNeeds(plan).whole);

    const tight = setUp();
    const size = { width: 2048, height: 2048, steps: 2 };
    const budget = memoryNeeds(tight.generator.plan(size, 1e11)).least - 1;
    assert.ok(tight.generator.plan(size, budget).mapBytes < Infinity);
    await tight.draw(2048, 2048, budget);
    assert.ok(tight.engine.memory.peakBytes <= budget);
  });

  test("a size that does not fit is refused before anything is loaded, and leaves what is there", async () => {
    const { engine, loads, draw } = setUp();
    await assert.rejects(draw(1024, 1024, 2.4e9), { code: "too-large" });
    assert.equal(engine.memory.peakBytes, 0);
    await draw(256, 256, 8e9);
    const [before, loaded] = [engine.memory.bytes, loads.length];
    await assert.rejects(draw(1024, 1024, 2.4e9), { code: "too-large" });
    assert.deepEqual([engine.memory.bytes, loads.length], [before, loaded]);
  });
});
