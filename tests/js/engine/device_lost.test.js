/** What a run, a read and the page are told when the device goes away, and what they are not told after a failure. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { copy } from "../../../src_js/engine/ops/elementwise.js";
import { KleinbildError } from "../../../src_js/errors.js";
import { openEngine } from "../support/gpu.js";

/** @param {string} code */
const hasCode = (code) => (/** @type {unknown} */ error) => error instanceof KleinbildError && error.code === code;

/** @param {import("../../../src_js/engine/engine.js").Engine} engine @param {number} copies */
async function copies(engine, copies) {
  const program = engine.program("copies");
  const [from, to] = [program.tensor(100, 100, "f32"), program.tensor(100, 100, "f32")];
  for (let i = 0; i < copies; i++) copy(program, from, to);
  await program.build();
  return { program, to };
}

test("a destroyed device fails runs and reads, and every later one", async () => {
  const engine = await openEngine("f32");
  const { program, to } = await copies(engine, 1);
  await engine.run(program);
  engine.device.destroy();
  await assert.rejects(engine.run(program), hasCode("device-lost"));
  await assert.rejects(engine.read(to), hasCode("device-lost"));
  await assert.rejects(engine.run(program), hasCode("device-lost"));
});

test("a read that is under way when the device goes fails as lost", async () => {
  const engine = await openEngine("f32");
  const { to } = await copies(engine, 1);
  const read = engine.read(to);
  engine.device.destroy();
  await assert.rejects(read, hasCode("device-lost"));
});

test("a device that goes amid a run fails the run", async () => {
  const engine = await openEngine("f32");
  const { program } = await copies(engine, 2000);
  await assert.rejects(engine.run(program, { onProgress: () => engine.device.destroy() }), hasCode("device-lost"));
});

test("no progress is reported once a run has failed", async () => {
  const engine = await openEngine("f32");
  const { program } = await copies(engine, 2000);
  const abort = new AbortController();
  let failed = false;
  let late = 0;
  const onProgress = () => {
    abort.abort();
    if (failed) late++;
  };
  await assert.rejects(engine.run(program, { signal: abort.signal, onProgress }), hasCode("cancelled"));
  failed = true;
  await engine.device.queue.onSubmittedWorkDone();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(late, 0);
  program.destroy();
  engine.destroy();
});
