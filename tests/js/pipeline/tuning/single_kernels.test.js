/** The whole self-check of a small model on Dawn: every kernel is covered, right ones pass, a wrong one does not. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { KERNEL_FILES } from "../../../../src_js/engine/kernel_source.js";
import { selfCheck } from "../../../../src_js/engine/tuning/self_check.js";
import { openTuningJobs } from "../../../../src_js/pipeline/tuning/jobs.js";
import { singleKernels } from "../../../../src_js/pipeline/tuning/single_kernels.js";
import { syntheticManifest } from "../../../../src_js/synthetic_manifest.js";
import { openEngine } from "../../support/gpu.js";
import "../../support/tensors.js";                            // makes lavapipe compile quickly

const CONFIG = JSON.parse(readFileSync(new URL("../../../../src_js/bench/small.json", import.meta.url), "utf8"));
/** What measures, makes weights up, or looks for the compiler's faults: no part of a picture. */
const NO_PICTURE = /^(peak_|random_|probe_)/;

for (const precision of /** @type {const} */ (["f32", "f16"])) {
  describe(`operators with one kernel, precision ${precision}`, () => {
    /** @type {import("../../../../src_js/engine/engine.js").Engine} */
    let engine;
    before(async () => {
      engine = await openEngine(precision);
    });
    after(() => engine.destroy());

    test("all are right, and none of their memory stays", async () => {
      const before = engine.memory.bytes;
      const { checks } = await selfCheck(engine, { jobs: [], singles: singleKernels(CONFIG) });
      for (const { kind, error, limit, problem } of checks) assert.ok(error <= limit, `${kind}: ${error} of ${limit} ${problem}`);
      assert.ok(checks.length >= 9);
      assert.equal(engine.memory.bytes, before);
    });

    test("a kernel that is a little wrong is seen", async () => {
      const sources = /** @type {Map<string, string>} */ (engine.sources);
      for (const [name, from, to] of /** @type {const} */ ([
        ["rms_norm", "p.eps", "p.eps + 0.01"], ["to_rgba", "* 255.0", "* 254.0"], ["swiglu", "exp(-", "exp("],
      ])) {
        const source = sources.get(name) ?? assert.fail();
        assert.ok(source.includes(from), `${name}.wgsl has ${from}`);
        const other = await openEngine(precision);
        /** @type {Map<string, string>} */ (other.sources).set(name, source.replace(from, to));
        const singles = singleKernels(CONFIG).filter(({ kind }) => kind === name);
        const [check] = (await selfCheck(other, { jobs: [], singles })).checks;
        other.destroy();
        assert.ok(check && check.problem === "" && check.error > check.limit, `${name}: ${check?.error} ${check?.problem}`);
      }
    });

    /** @type {Set<string>} */
    const seen = new Set();

    test("every kernel file that draws pictures is checked", async () => {
      const work = await openTuningJobs(engine, syntheticManifest(CONFIG, { format: "q4", blockSize: 32 }), { brief: false });
      work.close();
      const recorded = [...singleKernels(CONFIG).map(({ workload }) => workload), ...work.jobs.flatMap(({ probes }) => probes)];
      for (const workload of recorded) {
        const program = engine.program("recorded");
        workload.record(program);
        for (const { variant } of program.dispatches) seen.add(variant.kernel);
      }
      for (const { candidates } of work.jobs) for (const { kernel } of candidates) if (kernel) seen.add(kernel);
      const included = new Set([...engine.sources.values()].flatMap((text) => [...text.matchAll(/^\s*\/\/#include (\w+)/gm)].map(([, name]) => name)));
      const missing = KERNEL_FILES.filter((name) => !included.has(name) && !NO_PICTURE.test(name) && !seen.has(name));
      const offered = (/** @type {string} */ name) => precision === "f16" || !/_packed$|_halves$/.test(name);
      assert.deepEqual(missing.filter((name) => offered(name) && !/_matrix$/.test(name)), [], "but for those that this GPU cannot run");
    });
  });
}
