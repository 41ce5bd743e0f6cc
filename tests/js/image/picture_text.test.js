import assert from "node:assert/strict";
import { test } from "node:test";

import { encodePng } from "../../../src_js/image/png.js";
import { checkRecord, pictureText, readPictureFile } from "../../../src_js/image/picture_text.js";
import { VERSION } from "../../../src_js/version.js";
import { blob, chunk, internationalText, png } from "../support/png_file.js";
import { testRandom } from "../support/random.js";

const random = testRandom("picture_text.test.js");
const SETTINGS = { prompt: "a fox", width: 32, height: 16, seed: 5n, steps: 2, latents: null };
const MADE = { model: "klein-4b-q4", revision: "abc", precision: "f16" };
const RECORD = {
  schema: 1, prompt: "a fox", width: 32, height: 16, seed: "5", steps: 2, ...MADE, version: VERSION, seconds: { transformer: 1.235 },
};

test("the settings in the form that image tools read, and all that is known in our own", () => {
  assert.deepEqual(pictureText(SETTINGS, MADE, { transformer: 1.23456 }), {
    text: {
      Software: `Kleinbild ${VERSION}`,
      parameters: `a fox\nSteps: 2, Sampler: Euler, CFG scale: 1, Seed: 5, Size: 32x16, Model: klein-4b-q4, Version: Kleinbild ${VERSION}`,
    },
    json: { kleinbild: RECORD },
  });
  const given = pictureText({ ...SETTINGS, latents: new Float32Array(256) }, MADE, {});
  assert.match(given.text["parameters"] ?? "", /, Latents: given, Size/);
  assert.equal(given.json["kleinbild"]?.seed, null);
});

test("any picture's settings come back from its file", async () => {
  const parts = ["fox", " ", "\n", "\u6771\u4eac", "\u{1f600}", "\0", "\ud800", "\u202e", "\u0645\u0631\u062d\u0628\u0627", '"', "\\", "<script>",
    "Negative prompt: x", "\nSteps: 1, Seed: 2, Size: 3x3", "\u00e9", "\r\n"];
  for (let round = 0; round < 60; round++) {
    const prompt = Array.from({ length: random.integer(30) }, () => parts[random.integer(parts.length)]).join("");
    const [width, height] = [1 + random.integer(40), 1 + random.integer(40)];
    const seed = (BigInt(random.integer(2 ** 32)) << 32n) | BigInt(random.integer(2 ** 32));
    const settings = { prompt, width, height, seed, steps: 1 + random.integer(100), latents: null };
    const made = { model: "m\u00e9", revision: "", precision: "f32" };
    const rgba = Uint8Array.from({ length: width * height * 4 }, () => random.integer(256));
    const bytes = await encodePng({ width, height, rgba, ...pictureText(settings, made, { "a b": 0, vae: 1e-9 }) });
    const file = await readPictureFile(blob(Buffer.from(bytes)));
    assert.deepEqual([file.width, file.height], [width, height]);
    assert.deepEqual(file.record, {
      schema: 1, prompt, width, height, seed: String(seed), steps: settings.steps, ...made, version: VERSION, seconds: { "a b": 0, vae: 0 },
    });
    assert.deepEqual(file.text, {
      prompt, width: `${width}`, height: `${height}`, seed: `${seed}`, steps: `${settings.steps}`, model: made.model,
    });
  }
});

test("the longest prompt there may be fits, whatever it is written with", async () => {
  for (const character of ["x", "\u6771", "\u0001", "\ud800"]) {
    const prompt = character.repeat(100_000);
    const bytes = await encodePng({ width: 1, height: 1, rgba: new Uint8Array(4), ...pictureText({ ...SETTINGS, prompt }, MADE, {}) });
    assert.equal((await readPictureFile(blob(Buffer.from(bytes)))).record?.prompt, prompt);
  }
});

test("a file of another tool gives what it tells", async () => {
  const parameters = "a cat\nNegative prompt: dogs\nSteps: 30, Sampler: Euler a, CFG scale: 7, Seed: 77, Size: 512x768, Model: sdxl";
  assert.deepEqual(await readPictureFile(blob(png([chunk("tEXt", `parameters\0${parameters}`)]))), {
    width: 2, height: 2, record: null, text: { prompt: "a cat", width: "512", height: "768", seed: "77", steps: "30", model: "sdxl" },
  });
  const few = await readPictureFile(blob(png([internationalText("parameters", "\u6771\nA: 1, B: 2, Size: huge", { compressed: true })])));
  assert.deepEqual(few.text, { prompt: "\u6771", width: "", height: "", seed: "", steps: "", model: "" });
});

test("a file that tells nothing has no text", async () => {
  for (const chunks of [[], [chunk("tEXt", "Software\0Paint")], [chunk("tEXt", "parameters\0words only")], [internationalText("kleinbild", "{}")]]) {
    assert.deepEqual(await readPictureFile(blob(png(chunks))), { width: 2, height: 2, record: null, text: null });
  }
});

test("a record that is not of this schema leaves the word to the other text", async () => {
  const other = chunk("tEXt", "parameters\0p\nSteps: 1, Seed: 2, Size: 16x16");
  for (const text of ["", "{", "null", "[]", '{"schema":1}', JSON.stringify({ ...RECORD, schema: 2 }), "[".repeat(200_000)]) {
    const file = await readPictureFile(blob(png([internationalText("kleinbild", text), other])));
    assert.deepEqual([file.record, file.text?.prompt], [null, "p"], text.slice(0, 20));
  }
});

test("a record is taken only where every field of it is right, and nothing else with it", () => {
  assert.deepEqual(checkRecord({ ...RECORD, more: 1 }), RECORD);
  assert.notEqual(checkRecord({ ...RECORD, seed: null }), null);
  /** @type {Record<string, unknown[]>} */
  const wrong = {
    schema: ["1", 0, null],
    prompt: [null, 5, "x".repeat(100_001)],
    width: [0, -1, 1.5, "32", 65536, NaN],
    height: [undefined, 1e9],
    steps: [0, "2", 65536],
    seed: [5, "", "-1", "1e5", "5 ", "123456789012345678901", undefined],
    model: [null, {}, "x".repeat(201)],
    revision: [undefined, 1],
    precision: [1],
    version: [[]],
    seconds: [null, [], "1", { a: -1 }, { a: "1" }, { a: Infinity }, { ["x".repeat(201)]: 1 }, Object.fromEntries(Array.from({ length: 33 }, (_, i) => [i, 1]))],
  };
  for (const [field, values] of Object.entries(wrong)) {
    for (const value of values) assert.equal(checkRecord({ ...RECORD, [field]: value }), null, `${field}: ${String(value)}`);
  }
});
