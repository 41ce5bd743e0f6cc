/** Candidates built, compared and timed for real, right and deliberately wrong ones, on Dawn. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fillRandom, poison, randomValues } from "../../../../src_js/engine/synthetic/inputs.js";
import { relativeError, errorLimit } from "../../../../src_js/engine/tuning/probe.js";
import { tuneKernels } from "../../../../src_js/engine/tuning/tuner.js";
import { TuningRig } from "../../../../src_js/engine/tuning/rig.js";
import { openEngine } from "../../support/gpu.js";
import { at, matmul, rounded } from "../../support/reference.js";
import { testRandom } from "../../support/random.js";
import "../../support/tensors.js";                            // makes lavapipe compile quickly

/**
 * @typedef {import("../../../../src_js/engine/candidates.js").Candidate} Candidate
 * @typedef {import("../../../../src_js/engine/tuning/tuner.js").Workload} Workload
 */

const random = testRandom("tuning/rig.test.js");
const KIND = "linear.f32";

/** @param {string} name @param {Partial<Candidate>} more @returns {Candidate} */
const candidate = (name, more) => ({ name, family: "plain", constants: { ROWS: 64 }, flags: [], kernel: "trial", ...more });

/** Adds up a row of products an invocation: plain enough to be the reference. */
const TRIAL = `
struct Params { rows: u32, columns: u32, inner: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<A>;
@group(0) @binding(2) var<storage, read_write> out: array<C>;
@group(0) @binding(3) var<storage, read> w: array<f32>;

@compute @workgroup_size(ROWS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let last = p.rows * p.columns;
//#if UNFINISHED
  if (id.x + 1u >= last) { return; }
//#else
  if (id.x >= last) { return; }
//#endif
  let row = id.x / p.columns;
  let column = id.x % p.columns;
  var sum = 0.0;
//#if LOSES_THE_LAST
  for (var k = 0u; k + 1u < p.inner; k++) {
//#else
  for (var k = 0u; k < p.inner; k++) {
//#endif
    sum += f32(a[row * p.inner + k]) * w[column * p.inner + k];
  }
//#if DOES_NOT_COMPILE
  sum += nowhere;
//#endif
  out[id.x] = C(sum);
}`;

const GOOD = [candidate("rows 64", {}), candidate("rows 32", { constants: { ROWS: 32 } })];
const BAD = [
  candidate("wrong", { flags: ["LOSES_THE_LAST"] }), candidate("unfinished", { flags: ["UNFINISHED"] }),
  candidate("broken", { flags: ["DOES_NOT_COMPILE"] }), candidate("too large", { constants: { ROWS: 1 << 20 } }),
  candidate("missing", { kernel: "no_such_kernel" }), candidate("unbound", { flags: ["WITHOUT_WEIGHT"] }),
];

for (const precision of /** @type {const} */ (["f32", "f16"])) {
  describe(`tuning rig, precision ${precision}`, () => {
    /** @type {import("../../../../src_js/engine/engine.js").Engine} */
    let engine;
    before(async () => {
      engine = await openEngine(precision);
      /** @type {Map<string, string>} */ (engine.sources).set("trial", TRIAL);
    });
    after(() => engine.destroy());

    /** @param {{m: number, n: number, k: number}} size @param {Candidate[]} candidates */
    function trial({ m, n, k }, candidates) {
      /** @type {Workload} */
      const workload = {
        shape: `${m} x ${k} to ${n}`, share: 1,
        record(program) {
          const { kernel = "", constants, flags } = program.engine.tuning.pick(KIND, candidates);
          const [a, w, out] = [program.tensor(m, k), program.tensor(n, k, "f32"), program.tensor(m, n)];
          program.dispatch({
            variant: { kernel, constants, flags, types: { A: a.dtype, C: out.dtype } },
            uints: [m, n, k], bindings: { 1: a, 2: out, ...(flags.includes("WITHOUT_WEIGHT") ? {} : { 3: w }) },
            workgroups: [Math.ceil((m * n) / 32), 1], flops: 2 * m * n * k,
          });
          return { out, fill: () => [a, w].forEach((tensor, seed) => fillRandom(program.engine, tensor, seed)) };
        },
      };
      const expected = () => matmul(randomValues(m * k, 0), randomValues(n * k, 1), { m, n, k });
      return { workload, expected };
    }

    test("wrong, unfinished and broken candidates are dropped, a right one wins, the engine lives on", async () => {
      const candidates = [...GOOD, ...BAD];
      const small = trial({ m: 3 + random.integer(9), n: 5 + random.integer(30), k: 7 + random.integer(30) }, candidates);
      const large = trial({ m: 40, n: 56, k: 64 }, candidates);
      const probes = [{ ...small.workload, expected: small.expected }, large.workload];
      /** @type {string[]} */
      const tried = [];
      const other = trial({ m: 24, n: 56, k: 64 }, candidates);
      const shapes = [large, other].map(({ workload }, i) => ({ kind: `${KIND}.${[40, 24][i]}x56`, workload }));
      const report = await tuneKernels(engine, [{ kind: KIND, candidates, probes, timed: [large.workload], shapes }], {
        onTrial: async (_, name) => void tried.push(name),
      });
      const rows = Object.fromEntries(report.kinds[0]?.candidates.map((row) => [row.name, row]) ?? []);
      assert.deepEqual(tried.slice(0, candidates.length), candidates.map(({ name }) => name));
      assert.deepEqual(report.kinds[0]?.shapes.map(({ kind }) => kind), shapes.map(({ kind }) => kind));
      const finalists = tried.slice(candidates.length);
      assert.ok(finalists.length > 0 && finalists.every((name) => GOOD.some((good) => good.name === name)), `${finalists}`);
      for (const { name } of GOOD) {
        assert.equal(rows[name]?.dropped, "");
        assert.ok(rows[name].error <= errorLimit(KIND, precision) && rows[name].tflops > 0, JSON.stringify(rows[name]));
      }
      for (const name of ["wrong", "unfinished"]) assert.match(rows[name]?.dropped ?? "", /computes wrong/, name);
      for (const name of ["broken", "too large", "missing", "unbound"]) assert.match(rows[name]?.dropped ?? "", /does not run/, name);
      assert.ok(GOOD.some(({ name }) => name === report.kinds[0]?.chosen));
      // this compiler may forget to zero what has no initialiser (it does, at the time of writing), but nothing else
      assert.ok(report.faults.every((fault) => fault.includes("without initialiser")), `${report.faults}`);
      engine.check();
      assert.equal(engine.tuning.pick(KIND, candidates).name, report.kinds[0]?.chosen);
    });

    test("what candidates are compared with is itself right, and all memory comes back", async () => {
      const { workload, expected } = trial({ m: 7, n: 9, k: 16 }, GOOD);
      const rig = new TuningRig(engine);
      const job = { kind: KIND, candidates: GOOD, probes: [{ ...workload, expected }], timed: [] };
      const before = engine.memory.bytes;
      assert.ok((await rig.checkReference(job)) <= errorLimit(KIND, "f32"));
      const wrong = { ...job, probes: [{ ...workload, expected: () => expected().map((value) => value * 1.01) }] };
      assert.ok((await rig.checkReference(wrong)) > errorLimit(KIND, "f32"));
      assert.ok((await rig.check(job, GOOD[1] ?? assert.fail())) <= errorLimit(KIND, precision));
      await rig.time(job, GOOD[0] ?? assert.fail(), workload, Infinity);
      assert.equal(engine.memory.bytes, before);
      rig.close();
      assert.ok(engine.memory.bytes < before, "the clock's buffers");
    });

    test("made-up values are the same in every type, poison is NaN everywhere", async () => {
      const program = engine.program("values");
      const count = 5 + 2 * random.integer(50);
      const filled = [program.tensor(3, count, "f32"), program.tensor(3, count, "f16")];
      const poisoned = [program.tensor(3, count, "f32"), program.tensor(3, count, "f16")];
      await program.build();
      for (const tensor of filled) {
        fillRandom(engine, tensor, 2);
        assert.deepEqual(Float64Array.from(await engine.read(tensor)), randomValues(3 * count, 2));
      }
      for (const tensor of poisoned) {
        poison(engine, tensor);
        assert.ok((await engine.read(tensor)).every(Number.isNaN));
      }
      const values = randomValues(3 * count, 2);
      assert.deepEqual(values, rounded(values, "f16"));
      assert.notDeepEqual(values, randomValues(3 * count, 1));
      program.destroy();
    });
  });
}

test("the error is relative, and one misplaced element among many is seen", () => {
  const reference = random.normals(10_000, 3);
  assert.equal(relativeError(reference, reference), 0);
  const scaled = relativeError(reference.map((value) => value * 1.001), reference);
  assert.ok(Math.abs(scaled - 1e-3) < 1e-9, `${scaled}`);
  const spoiled = (/** @type {number} */ value) => reference.map((old, i) => (i === 77 ? value : old));
  assert.ok(relativeError(spoiled(at(reference, 77) + 3), reference) > 2e-2);
  for (const value of [NaN, Infinity]) assert.equal(relativeError(spoiled(value), reference), Infinity);
  assert.equal(relativeError(reference.subarray(1), reference), Infinity);
  assert.equal(relativeError([1, 0], [0, 0]), Infinity);
});
