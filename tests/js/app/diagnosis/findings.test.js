/** What is found on each kind of machine, and that every finding and step has words in every language. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { STEPS, newerDriver, withoutGpu, withoutWebgpu } from "../../../../src_js/app/diagnosis/advice.js";
import { FINDINGS, findingsOf, verdict } from "../../../../src_js/app/diagnosis/findings.js";
import { facts, memory, withAdapter } from "./facts_fixture.js";

/** @typedef {import("../../../../src_js/app/diagnosis/platform.js").Platform} Platform */

/** @param {ReturnType<typeof facts>} of */
const ids = (of) => findingsOf(of).map(({ id }) => id);
/** @param {Partial<Platform>} changes @returns {Platform} */
const platform = (changes) => ({ system: "linux", engine: "chromium", browser: "", version: 156, mobile: false, ...changes });
/** @param {{key: string}[]} list */
const keys = (list) => list.map(({ key }) => key);
const SYSTEMS = /** @type {const} */ (["android", "chromeos", "ios", "linux", "mac", "windows", "other"]);

test("nothing is found where everything works", () => {
  assert.deepEqual(findingsOf(facts()), []);
  assert.equal(verdict([]), "good");
});

describe("advice for each platform", () => {
  test("Linux: flags for AMD and for the others, the driver, and who may use it", () => {
    const linux = withoutGpu(platform({}));
    assert.deepEqual(keys(linux), ["linux-amd", "linux-others", "linux-flags", "linux-driver", "linux-group", "gpu-page", "blocklist"]);
    assert.equal(linux[0]?.code, "chromium --enable-unsafe-webgpu --ozone-platform=x11 --use-angle=vulkan --enable-features=Vulkan,VulkanFromANGLE");
    assert.deepEqual(keys(withoutWebgpu(platform({ version: 100 }))).slice(0, 2), ["recent-browser", "linux-amd"]);
  });

  test("Windows, macOS, ChromeOS and Android each get their own", () => {
    assert.deepEqual(keys(withoutGpu(platform({ system: "windows" }))).slice(0, 3), ["acceleration", "windows-driver", "windows-remote"]);
    assert.deepEqual(keys(withoutGpu(platform({ system: "mac" }))), ["acceleration", "mac-update", "gpu-page"]);
    assert.deepEqual(keys(withoutGpu(platform({ system: "chromeos" }))), ["chromeos-update", "chromeos-flags", "gpu-page"]);
    assert.deepEqual(keys(withoutGpu(platform({ system: "android" }))).slice(0, 2), ["android-version", "android-memory"]);
  });

  test("Firefox and Safari: another browser first, then their own way, and no word of Chromium's pages", () => {
    assert.deepEqual(keys(withoutWebgpu(platform({ engine: "firefox", version: 130 }))),
      ["use-chromium", "firefox-version", "linux-driver", "linux-group"]);
    assert.ok(keys(withoutWebgpu(platform({ engine: "firefox", version: 145 }))).includes("firefox-config"));
    assert.deepEqual(keys(withoutWebgpu(platform({ engine: "safari", system: "mac", version: 17 }))), ["use-chromium", "safari-version", "mac-update"]);
    for (const system of SYSTEMS) {
      for (const engine of /** @type {const} */ (["firefox", "safari"])) {
        const told = [...withoutWebgpu(platform({ engine, system, version: 145 })), ...withoutGpu(platform({ engine, system }))];
        assert.ok(!told.some(({ code = "" }) => code.startsWith("chrom")), `${engine} on ${system}`);
      }
    }
  });

  test("an iPhone is told to take a computer; every system gets something", () => {
    assert.deepEqual(keys(withoutWebgpu(platform({ engine: "safari", system: "ios", version: 26 }))), ["ios"]);
    assert.deepEqual(keys(withoutWebgpu(platform({ engine: "safari", system: "ios", version: 17 }))), ["safari-version", "ios"]);
    for (const system of SYSTEMS) {
      for (const engine of /** @type {const} */ (["chromium", "firefox", "safari", "other"])) {
        assert.ok(withoutWebgpu(platform({ system, engine })).length > 0, `${system} ${engine}`);
      }
      assert.ok(withoutGpu(platform({ system })).length > 0 && newerDriver(platform({ system })).length > 0, system);
    }
  });
});

test("no WebGPU, no adapter, or an address that hides it", () => {
  const none = { webgpu: /** @type {const} */ ("missing"), adapter: null, gpu: null, kernels: null, sizes: [] };
  assert.deepEqual(ids(facts(none)), ["no-webgpu"]);
  assert.deepEqual(ids(facts({ ...none, webgpu: "no-adapter" })), ["no-adapter"]);
  const page = { ...facts().page, secure: false, origin: "http://192.168.1.5:8080" };
  const [finding] = findingsOf(facts({ ...none, page, offline: { state: "none", controlled: false, caches: [] } }));
  assert.equal(finding?.id, "insecure-page");
  assert.deepEqual(finding?.values, { origin: "http://192.168.1.5:8080", local: "http://localhost:8080/" });
  assert.equal(verdict(findingsOf(facts(none))), "stop");
});

test("software, no 16 bits, no subgroups", () => {
  assert.deepEqual(ids(withAdapter({ fallback: true, f16: false, features: [] })), ["software"]);
  assert.deepEqual(ids(withAdapter({ f16: false, features: [] })), ["no-f16", "no-subgroups"]);
  assert.equal(verdict(findingsOf(withAdapter({ f16: false }))), "limit");
  assert.equal(verdict(findingsOf(withAdapter({ features: [] }))), "good", "a hint changes no verdict");
});

test("the BC-250, told by its driver or only likely", () => {
  for (const name of ["AMD BC-250 (RADV GFX1013)", "AMD Radeon Graphics (RADV GFX1013)", "cyan_skillfish"]) {
    assert.deepEqual(ids(withAdapter({ vendor: "amd", description: name })), ["bc250"], name);
  }
  assert.deepEqual(ids(withAdapter({ vendor: "amd", architecture: "rdna-1" })), ["maybe-bc250"]);
  assert.deepEqual(ids(withAdapter({ vendor: "amd", architecture: "" })), ["maybe-bc250"]);
  for (const architecture of ["rdna-2", "rdna-3", "gcn-5"]) assert.deepEqual(ids(withAdapter({ vendor: "amd", architecture })), [], architecture);
  const [finding] = findingsOf(withAdapter({ description: "BC250" }));
  assert.ok(finding?.steps.some(({ code }) => code === "ttm.pages_limit=3145728"));
});

test("kernels: wrong ones stop, left out ones are a hint, a self-check counts as well", () => {
  const { kernels } = facts();
  const [kind] = kernels?.kinds ?? [];
  assert.ok(kernels && kind);
  const dropped = { name: "matrix", family: /** @type {const} */ ("matrix"), tflops: 0, error: 1e9, dropped: "computes wrong" };
  assert.deepEqual(ids(facts({ kernels: { ...kernels, kinds: [{ ...kind, candidates: [...kind.candidates, dropped] }] } })), ["kernels-left-out"]);
  const wrong = findingsOf(facts({ kernels: { ...kernels, kinds: [{ ...kind, problem: "none is right" }] } }));
  assert.deepEqual([wrong[0]?.id, wrong[0]?.work], ["kernels-wrong", ["linear.q4.b32"]]);
  const check = { kind: "swiglu", name: "", chosen: true, error: 1e-6, limit: 2e-5, problem: "" };
  const report = (/** @type {Partial<typeof check>} */ changes) => facts({ check: { checks: [{ ...check, ...changes }], faults: [], seconds: 1 } });
  assert.deepEqual(ids(report({})), []);
  assert.deepEqual(ids(report({ error: 0.1 })), ["kernels-wrong"]);
  assert.deepEqual(ids(report({ problem: "does not compile" })), ["kernels-wrong"]);
  assert.deepEqual(ids(report({ error: 0.1, chosen: false })), [], "another one serves");
  assert.deepEqual(ids(facts({ kernels: { ...kernels, faults: ["a fault"] } })), ["compiler-fault"]);
});

test("memory: sizes that do not fit, a model in parts, no size at all", () => {
  const sizes = (/** @type {ReturnType<typeof memory>[]} */ ...needs) => facts({ sizes: needs.map((one, i) => ({ width: 256 << i, height: 256, needs: one })) });
  const refused = memory({ refusal: "too large" });
  const [finding] = findingsOf(sizes(memory(), memory(), refused));
  assert.deepEqual([finding?.id, finding?.values, finding?.bytes], ["sizes", { size: "512 × 256" }, { budget: 8.25e9 }]);
  assert.deepEqual(ids(sizes(refused, refused)), ["no-size-fits"]);
  assert.deepEqual(ids(sizes(memory({ whole: 9e9 }))), ["parts"]);
  assert.deepEqual(ids(facts({ hardware: { cores: 8, memoryGib: 4 } })), ["phone"]);
  assert.deepEqual(ids(facts({ platform: platform({ system: "android", mobile: true }) })), ["phone"]);
  assert.deepEqual(ids(facts({ hardware: { cores: 8, memoryGib: null } })), []);
});

test("storage and the page itself", () => {
  const { storage, page, offline } = facts();
  assert.deepEqual(ids(facts({ storage: { ...storage, available: false } })), ["no-storage"]);
  assert.deepEqual(ids(facts({ storage: { ...storage, persisted: false } })), ["not-persisted"]);
  const short = facts({ storage: { ...storage, estimate: { quota: 2e9, usage: 1e9 } }, model: { totalBytes: 3e9, missingBytes: 2.5e9, laterBytes: 0 } });
  assert.deepEqual(findingsOf(short).map(({ id, bytes }) => [id, bytes]), [["storage-short", { missing: 2.5e9, free: 1e9 }]]);
  assert.deepEqual(ids(facts({ page: { ...page, isolated: false } })), ["not-isolated"]);
  assert.deepEqual(ids(facts({ offline: { ...offline, state: "none" } })), ["no-offline"]);
  assert.deepEqual(ids(facts({ platform: platform({ engine: "firefox", version: 150 }) })), ["other-browser"]);
});

for (const language of ["en", "de", "ar"]) {
  test(`every finding and every step has words in ${language}`, () => {
    const words = JSON.parse(readFileSync(new URL(`../../../../site/i18n/${language}/diagnosis.json`, import.meta.url), "utf8"));
    const wanted = [...FINDINGS.flatMap((id) => [`finding.${id}.title`, `finding.${id}.text`]), ...Object.values(STEPS).map(({ key }) => `step.${key}`)];
    assert.deepEqual(wanted.filter((key) => !words[`diagnosis.${key}`]), []);
  });
}
