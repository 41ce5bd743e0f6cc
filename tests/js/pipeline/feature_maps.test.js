/** Feature maps in bands: rows go where they belong, and the decoder draws the same picture from bands as from whole maps. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { groupStatistics } from "../../../src_js/engine/ops/norms.js";
import { fillStage } from "../../../src_js/engine/synthetic/weights.js";
import { newMap } from "../../../src_js/pipeline/feature_maps.js";
import { vaeDecoderProgram } from "../../../src_js/pipeline/stages.js";
import { syntheticManifest } from "../../../src_js/synthetic_manifest.js";
import { openEngine } from "../support/gpu.js";
import { testRandom } from "../support/random.js";
import { assertClose, at } from "../support/reference.js";

const random = testRandom("feature_maps.test.js");
const config = JSON.parse(readFileSync(new URL("../../../src_js/bench/small.json", import.meta.url), "utf8"));

describe("feature maps in bands", () => {
  /** @type {import("../../../src_js/engine/engine.js").Engine} */
  let engine;
  before(async () => {
    engine = await openEngine("f32");
  });
  after(() => engine.destroy());

  test("gathered rows are the map's, scattered ones arrive, wherever bands meet", async () => {
    for (let round = 0; round < 6; round++) {
      const [width, height, channels] = [1 + random.integer(9), 1 + random.integer(20), 4 * (1 + random.integer(3))];
      const begin = random.integer(height);
      const end = begin + 1 + random.integer(height - begin);
      const program = engine.program("rows");
      const from = newMap(program, { width, height, channels }, 1 + random.integer(height));
      const to = newMap(program, { width, height, channels }, 1 + random.integer(7));
      const rows = from.gather(program, begin, end);
      const skipped = random.integer(end - begin);
      to.scatter(program, begin + skipped, end, rows, skipped);
      await program.build();
      const values = Float32Array.from(random.normals(width * height * channels));
      let offset = 0;
      for (const band of from.bands) {
        engine.upload(band, values.subarray(offset, (offset += band.rows * channels)));
        assert.ok(band.rows % width === 0);
      }
      assert.equal(offset, values.length);
      await engine.run(program);
      const row = width * channels;
      assert.deepEqual(await engine.read(rows.tensor), values.subarray(begin * row, end * row));
      /** @type {number[]} */
      const arrived = [];
      for (const band of to.bands) arrived.push(...await engine.read(band));
      assert.deepEqual(arrived, Array.from(values, (value, i) => (i >= (begin + skipped) * row && i < end * row ? value : 0)));
      program.destroy();
    }
  });

  test("statistics of all bands are those of the map", async () => {
    for (const [width, height, channels, groups, bandRows, mean] of /** @type {const} */ ([
      [5, 7, 16, 4, 3, 0], [33, 41, 32, 8, 12, 20], [64, 50, 8, 2, 16, -3], [3, 2, 4, 1, 1, 0],
    ])) {
      const program = engine.program("statistics");
      const map = newMap(program, { width, height, channels }, bandRows);
      const statistics = groupStatistics(program, map.maps, { groups, eps: 1e-6 });
      await program.build();
      const values = Float32Array.from(random.normals(width * height * channels, 2, mean));
      let offset = 0;
      for (const band of map.bands) engine.upload(band, values.subarray(offset, (offset += band.rows * channels)));
      await engine.run(program);
      const expected = Array.from({ length: groups }, (_, group) => {
        const members = Array.from(values).filter((__, i) => Math.floor((i % channels) / (channels / groups)) === group);
        const center = members.reduce((a, b) => a + b, 0) / members.length;
        const variance = members.reduce((sum, value) => sum + (value - center) ** 2, 0) / members.length;
        return [center, 1 / Math.sqrt(variance + 1e-6)];
      }).flat();
      const name = `${height} rows in bands of ${bandRows}`;
      assertClose(Float64Array.from(await engine.read(statistics)), Float64Array.from(expected), { rms: 1e-5, dtype: "f32" }, name);
      program.destroy();
    }
  });

  test("the decoder draws from bands what it draws from whole maps", async () => {
    const [rows, columns] = [3, 4];
    const weights = await fillStage(engine, syntheticManifest(config, { format: "f32" }), "vae_decoder");
    const latents = engine.tensor(rows * columns, config.transformer.in_channels, "f32");
    engine.upload(latents, Float32Array.from(random.normals(latents.rows * latents.columns)));
    /** @param {number} mapBytes */
    const draw = async (mapBytes) => {
      const program = engine.program("decoder");
      const { decoded, rgba } = vaeDecoderProgram(program, config, weights, { latents, rows, columns, mapBytes });
      const { dispatches: { length } } = program;
      await program.build();
      await engine.run(program);
      const pixels = new Uint8Array(await engine.readBytes(rgba.buffer, 0, rgba.rows * 4));
      const result = { length, decoded: Float64Array.from(await engine.read(decoded)), rgba: pixels };
      program.destroy();
      return result;
    };
    const whole = await draw(Infinity);
    assert.ok(whole.decoded.some((value) => value !== 0));
    const side = columns * 16;
    // a few rows, a single one, and bands for the largest maps only
    for (const mapBytes of [7 * side * 16 * 4, 1, 30 * side * 16 * 4]) {
      const banded = await draw(mapBytes);
      assert.ok(banded.length > whole.length, "bands take more dispatches");
      assertClose(banded.decoded, whole.decoded, { rms: 1e-5, dtype: "f32" }, `bands of ${mapBytes} bytes`);
      assert.ok(banded.rgba.every((value, i) => Math.abs(value - at(whole.rgba, i)) <= 1));
    }
    engine.release(latents);
    weights.destroy();
  });
});
