/** The models' worker: one thing at a time, news that are spaced, stops that reach the work, failures as messages. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Page } from "../../../src_js/storage/export.js";
import { ModelsController } from "../../../src_js/worker/models.js";
import { FakeSite, makeModel, openLibrary } from "../storage/models.js";

const MODEL = makeModel("tiny-q4-a");

async function setUp() {
  const site = new FakeSite([MODEL]);
  const { library, weights } = await openLibrary(site);
  /** @type {any[]} */
  const posted = [];
  const controller = new ModelsController({
    library: async () => library,
    page: new Page(new URL("http://localhost/v/b/"), site.fetch),
    post: (message) => void posted.push(message),
  });
  return { site, weights, posted, controller, last: () => posted.at(-1) };
}

test("work is told from the first byte to the last, and its end once", async () => {
  const { controller, posted, last } = await setUp();
  await controller.handle({ type: "install", job: 1, id: "tiny-q4-a", replaces: "" });
  assert.deepEqual(last(), { type: "done", job: 1, result: {} });
  const progress = posted.filter(({ type }) => type === "progress");
  assert.equal(posted.length, progress.length + 1);
  assert.equal(progress.at(-1).bytes, progress.at(-1).totalBytes);
  assert.deepEqual(progress.map(({ bytes }) => bytes), progress.map(({ bytes }) => bytes).sort((a, b) => a - b));
  await controller.handle({ type: "list", job: 2 });
  assert.equal(last().inventory.models[0].missingFiles, 0);
  await controller.handle({ type: "verify", job: 3, id: "tiny-q4-a" });
  assert.deepEqual(last().result, { verified: { files: MODEL.files.length, damaged: [], missing: 0 } });
  await controller.handle({ type: "remove", job: 4, id: "tiny-q4-a" });
  await controller.handle({ type: "clean", job: 5 });
  await controller.handle({ type: "verify", job: 6, id: "tiny-q4-a" });
  assert.deepEqual([last().type, last().job, last().code], ["error", 6, "incomplete"]);
});

test("one thing is done at a time; lists are free; a stop is told as a pause or not", async () => {
  const { site, controller, posted, last } = await setUp();
  for (const pause of [true, false]) {
    for (const { file } of MODEL.files) site.answers.set(file.path, ["hang"]);
    const installing = controller.handle({ type: "install", job: 1, id: "tiny-q4-a", replaces: "" });
    await new Promise((resolve) => setTimeout(resolve, 20));
    await controller.handle({ type: "clean", job: 2 });
    assert.match(last().message, /One thing at a time/);
    await controller.handle({ type: "list", job: 3 });
    assert.equal(last().type, "listed");
    await controller.handle({ type: "stop", job: 9, pause: true });
    assert.ok(!posted.some(({ code }) => code === "cancelled"), "another job's stop");
    await controller.handle({ type: "stop", job: 1, pause });
    await installing;
    assert.deepEqual([last().type, last().code], ["error", "cancelled"]);
    await controller.handle({ type: "list", job: 4 });
    const [model] = last().inventory.models;
    assert.deepEqual([model.paused, model.interrupted], [pause, !pause]);
    posted.length = 0;
  }
});

test("while nothing comes, the page is told for how long", async (context) => {
  context.mock.timers.enable({ apis: ["setInterval"] });
  const { site, controller, posted } = await setUp();
  const [first, ...others] = MODEL.files;
  for (const { file } of others) site.answers.set(file.path, ["hang"]);
  assert.ok(first);
  const installing = controller.handle({ type: "install", job: 1, id: "tiny-q4-a", replaces: "" });
  await new Promise((resolve) => setTimeout(resolve, 60));
  const before = posted.length;
  context.mock.timers.tick(3000);
  const quiet = posted.slice(before);
  assert.equal(quiet.length, 3);
  assert.ok(quiet.every(({ type, idleSeconds }) => type === "progress" && idleSeconds > 0));
  await controller.handle({ type: "stop", job: 1, pause: true });
  await installing;
});
