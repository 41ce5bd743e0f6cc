/** What is measured for a model: the shapes that cost most, and probes whose worked-out results the plain kernels meet. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { errorLimit } from "../../../../src_js/engine/tuning/probe.js";
import { TuningRig } from "../../../../src_js/engine/tuning/rig.js";
import { jobsOf, openSubjects, openTuningJobs } from "../../../../src_js/pipeline/tuning/jobs.js";
import { attentionShapes, convShapes, linearShapes } from "../../../../src_js/pipeline/tuning/shapes.js";
import { syntheticManifest } from "../../../../src_js/synthetic_manifest.js";
import { tuneKernels } from "../../../../src_js/engine/tuning/tuner.js";
import { deviceInfo } from "../../support/device_info.js";
import { openEngine } from "../../support/gpu.js";
import { paperEngine } from "../../support/paper_device.js";
import { testRandom } from "../../support/random.js";
import "../../support/tensors.js";                            // makes lavapipe compile quickly

const random = testRandom("tuning/jobs.test.js");

/** @param {string} name @returns {import("../../../../src_js/manifest.js").ModelConfig} */
const config = (name) => JSON.parse(readFileSync(new URL(`../../../../src_js/bench/${name}.json`, import.meta.url), "utf8"));

describe("shapes of the 4B model", () => {
  const side = () => 16 * (16 + random.integer(49));
  const size = { default_width: side(), default_height: side(), default_steps: 1 + random.integer(8) };
  const model = { ...config("klein4b"), ...size };
  const manifest = syntheticManifest(model, { format: "q4", blockSize: 32 });
  const picture = (size.default_width / 16) * (size.default_height / 16);
  const text = model.prompt.text_seq_len;

  test("linears: the costliest of the picture first, then every shape that matters in a usual picture", () => {
    const shapes = linearShapes(manifest);
    const [first, ...others] = shapes;
    assert.deepEqual([first?.columns, first?.rows, first?.leads], [27648, text + picture, true]);
    assert.equal(first?.share, model.transformer.num_single_layers * size.default_steps);
    assert.ok(others.every(({ leads }) => !leads), "all weights are stored alike");
    assert.ok(shapes.every(({ entries }) => entries.every(({ format }) => format === "q4")), "what runs once a picture, in f32, is left out");
    const near = (/** @type {number} */ columns, /** @type {number} */ rows) => (
      shapes.some((shape) => shape.columns === columns && Math.max(shape.rows / rows, rows / shape.rows) <= 1.25));
    for (const side of [256, 512, 1024]) {
      const tokens = (side / 16) ** 2;
      assert.ok(near(27648, text + tokens) && near(3072, text + tokens), `${side}: single blocks work on text and picture together`);
      if (side > 256) assert.ok(near(3072, tokens), `${side}: double blocks on each apart`);
    }
    assert.ok(near(18432, 4096) && near(18432, 1024) && near(3072, 512));
    const hidden = shapes.find(({ columns }) => columns === 3072);
    assert.deepEqual(hidden?.entries.map(({ shape }) => shape), [[3072, 12288], [3072, 9216], [3072, 3072]]);
    assert.ok(shapes.every(({ columns }) => columns > 1024), "keys and values of the text encoder are too little to matter");
    for (const [i, { columns, rows }] of shapes.entries()) {
      assert.ok(!shapes.slice(i + 1).some((other) => other.columns === columns && Math.max(other.rows / rows, rows / other.rows) <= 1.25));
    }
  });

  test("each way of storing has a shape that leads, however little it is", () => {
    const some = /\.1\.attn\.to_q\.weight$/;
    const tensors = manifest.tensors.map((entry) => (
      some.test(entry.name) ? { ...entry, format: /** @type {const} */ ("f16"), block_size: 0 } : entry));
    const mixed = { ...manifest, tensors };
    const leading = linearShapes(mixed).filter(({ leads }) => leads);
    assert.deepEqual(leading.map(({ columns, entries }) => [columns, entries[0]?.format]), [[27648, "q4"], [3072, "f16"]]);
  });

  test("linears as jobs: one, with all candidates on the shape that leads and a choice for each shape; few measurements", async () => {
    const matrix = {
      features: ["subgroups", "chromium-experimental-subgroup-matrix"], subgroupSizes: /** @type {[number, number]} */ ([32, 32]),
      matrixShapes: ["f16-f32-16x16x16"],
    };
    for (const [facts, side, most] of /** @type {const} */ ([[{}, 512, 81], [{}, 1024, 81], [matrix, 512, 97]])) {
      const { engine } = paperEngine(deviceInfo(facts));
      const usual = syntheticManifest({ ...config("klein4b"), default_width: side, default_height: side }, { format: "q4", blockSize: 32 });
      const { jobs, close } = await openTuningJobs(engine, usual);
      try {
        const linears = jobs.filter(({ kind }) => kind.startsWith("linear."));
        assert.deepEqual(linears.map(({ kind }) => kind), ["linear.q4.b32.f16"]);
        const [{ candidates, timed, shapes = [] } = assert.fail()] = linears;
        assert.deepEqual(timed.map(({ shape }) => shape), ["512 x 3072 to 27648"], "cut: every candidate does it");
        assert.deepEqual(shapes.map(({ kind }) => kind.split(".").at(-1)).sort(), [
          "1024x18432", "1024x3072", "1536x27648", "1536x3072", "256x3072", "4608x3072", "512x18432", "512x2560", "512x27648", "512x3072",
          "512x9728", "768x27648", "768x3072",
        ]);
        assert.ok(shapes.some(({ workload }) => workload.shape === "1536 x 12288 to 3072"), "of most arithmetic");
        assert.ok(shapes.some(({ workload }) => workload.shape === "4608 x 9216 to 3072"), "or less, but whole");
        let measured = 0;
        await tuneKernels(engine, linears, {
          rig: {
            compile() {}, faults: async () => [], checkReference: async () => 0, check: async () => 0, close() {},
            time: async () => ({ seconds: 1 + measured++ / 1e4, whole: true, flops: 1e12 }),
          },
        });
        assert.ok(measured <= most && measured >= candidates.length + 6 * 12, `${measured} measurements`);
      } finally {
        close();
      }
      assert.equal(engine.memory.bytes, 0);
    }
  });

  test("two convolutions of each kernel, doubling or not, at the sizes of their maps", () => {
    const shapes = convShapes(manifest);
    const { default_width: width, default_height: height } = size;
    /** @param {number} kernel @param {boolean} upsample */
    const of = (kernel, upsample) => shapes.filter((shape) => shape.entry.shape[2] === kernel && shape.upsample === upsample);
    assert.deepEqual([of(3, false), of(3, true), of(1, false), of(1, true)].map(({ length }) => length), [2, 2, 2, 0]);
    const [first] = of(3, false);
    assert.deepEqual([first?.entry.shape, first?.width, first?.height], [[512, 512, 3, 3], width / 4, height / 4], "six times, in the second block");
    assert.ok(of(3, true).some((shape) => shape.width === width / 2 && shape.height === height / 2), "the last doubling makes every pixel");
    for (const shape of shapes) {
      const scale = width / shape.width;
      assert.ok([1, 2, 4, 8].includes(scale) && shape.height === height / scale, JSON.stringify([shape.width, shape.height]));
    }
  });

  test("attention of all three models", () => {
    const [transformer, encoder, vae] = attentionShapes(manifest);
    assert.deepEqual([transformer?.queries, transformer?.headDim, transformer?.causal, transformer?.share],
      [text + picture, 128, false, 25 * size.default_steps]);
    assert.deepEqual([encoder?.queries, encoder?.headDim, encoder?.causal, encoder?.heads, encoder?.kvHeads], [text, 128, true, 32, 8]);
    assert.deepEqual([vae?.queries, vae?.headDim, vae?.heads], [4 * picture, 512, 1]);
  });
});

for (const precision of /** @type {const} */ (["f32", "f16"])) {
  describe(`jobs, precision ${precision}`, () => {
    /** @type {import("../../../../src_js/engine/engine.js").Engine} */
    let engine;
    before(async () => {
      engine = await openEngine(precision);
    });
    after(() => engine.destroy());

    const storages = /** @type {const} */ ([
      { format: "q4", blockSize: 16, zeroPoints: true }, { format: "q4", blockSize: 32 }, { format: "f16" }, { format: "f32" },
    ]);

    test("what probes must give is what the plain kernels give", async () => {
      const storage = storages[random.integer(storages.length)] ?? assert.fail();
      const before = engine.memory.bytes;
      const { fallback } = engine.info;
      engine.info.fallback = false;                        // as on a GPU: everything
      const rig = new TuningRig(engine);
      const { subjects, close } = await openSubjects(engine, syntheticManifest(config("small"), storage));
      engine.info.fallback = fallback;
      try {
        assert.ok(subjects.length > 6 && subjects.every(({ timed }) => timed.length > 0));
        const compared = subjects.filter(({ probes }) => probes.length > 0);
        assert.ok(compared.length > 6);
        for (const { probes, timed } of compared) {
          const label = `${JSON.stringify(storage)}: ${timed[0]?.shape}`;
          assert.equal(probes.filter(({ expected }) => expected).length, 1, label);
          const error = await rig.checkReference({ kind: "", candidates: [], probes, timed: [] });
          assert.ok(error <= errorLimit("attention", "f32"), `${label}: error ${error}`);
        }
      } finally {
        rig.close();
        close();
      }
      assert.equal(engine.memory.bytes, before);
    });

    test("every kind begins with a plain kernel that needs nothing special, and tells its candidates apart", async () => {
      const { fallback } = engine.info;
      engine.info.fallback = false;
      const { jobs, close } = await openTuningJobs(engine, syntheticManifest(config("small"), storages[1]));
      engine.info.fallback = fallback;
      close();
      assert.deepEqual([...new Set(jobs.map(({ kind }) => kind.split(".")[0]))].sort(), ["attention", "conv2d", "linear"]);
      for (const { kind, candidates } of jobs) {
        const names = candidates.map(({ name }) => name);
        assert.equal(new Set(names).size, names.length, `${kind}: ${names}`);
        const [first] = candidates;
        const { features = [], workgroupStorage = 0, invocations = 0, ...others } = first?.needs ?? {};
        assert.ok(first?.family === "plain" && features.length === 0 && workgroupStorage <= 16384 && invocations <= 256, kind);
        assert.deepEqual(Object.keys(others), [], kind);
      }
    });

    test("a software adapter gets one small probe and nothing to time", async () => {
      const manifest = syntheticManifest(config("small"), storages[1]);
      const { subjects, close } = await openSubjects(engine, manifest);
      assert.deepEqual(subjects.map(({ probes, timed }) => [probes.length, timed.length]), [[1, 0]]);
      close();
      const { jobs, close: closeJobs } = await openTuningJobs(engine, manifest);
      assert.ok(jobs.every(({ timed }) => timed.length === 0));
      closeJobs();
    });

    test("subjects are sorted by the kind that their true shapes ask for, with all candidates that any of them is offered", () => {
      const candidates = ["a", "b", "c"].map((name) => ({ name, family: /** @type {const} */ ("plain"), constants: {}, flags: [] }));
      /** @param {string} shape @param {string | undefined} kind @param {number[]} offered */
      const workload = (shape, kind, ...offered) => ({
        shape, share: 1,
        record: (/** @type {import("../../../../src_js/engine/program.js").Program} */ program) => {
          if (kind) program.engine.tuning.pick(kind, offered.map((i) => candidates[i] ?? assert.fail()));
          return { out: program.tensor(1, 1), fill: () => {} };
        },
      });
      const jobs = jobsOf(engine, [
        { probes: [workload("1", "x.small", 0)], timed: [workload("2", "x", 0, 2), workload("3", "y", 0)] },
        { probes: [workload("4", undefined)], timed: [workload("5", "x", 1)] },
        { probes: [workload("6", "x")], timed: [workload("7", undefined)] },
        { probes: [workload("8", "z", 2)], timed: [] },
        { probes: [workload("9", "s.1x1", 0)], timed: [workload("10", "s.8x2", 0)] },
        { probes: [], timed: [workload("11", "s.8x3", 1)] },
        { probes: [], timed: [workload("12", "s.8x3", 2), workload("13", "s.8x2", 0)] },
        { probes: [workload("14", "t.1x1", 0)], timed: [] },
      ]);
      const list = (/** @type {readonly {shape: string}[]} */ shapes) => shapes.map(({ shape }) => shape).join();
      assert.deepEqual(jobs.map(({ kind, candidates: all, probes, timed, shapes = [] }) => [
        kind, all.map(({ name }) => name).join(), list(probes), list(timed),
        shapes.map(({ kind: shaped, workload: { shape } }) => `${shaped} ${shape}`).join(),
      ]), [
        ["x", "a,c,b", "1,4", "2,5", ""], ["y", "a", "1", "3", ""], ["z", "c", "8", "", ""],
        ["s", "a,b,c", "9", "10", "s.8x2 10,s.8x3 11"], ["t", "a", "14", "", ""],
      ]);
    });
  });
}
