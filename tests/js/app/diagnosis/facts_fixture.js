/** Facts of a machine on which everything works, and a way to take something away. */

/** @typedef {import("../../../../src_js/app/diagnosis/facts.js").Facts} Facts */

/** @param {Partial<import("../../../../src_js/protocol.js").MemoryNeeds>} [needs] */
export const memory = (needs = {}) => ({
  least: 2.6e9, whole: 4.5e9, budget: 8.25e9, refusal: "", flops: { text_encoder: 1e12, transformer: 5e12, vae_decoder: 1e12 }, ...needs,
});

/** @type {Facts} */
const GOOD = {
  time: Date.UTC(2026, 0, 2, 3, 4, 5),
  platform: { system: "linux", engine: "chromium", browser: "Chromium", version: 156, mobile: false },
  page: { secure: true, isolated: true, origin: "http://127.0.0.1:8080", installed: false, languages: ["en"], userAgent: "Mozilla/5.0 Chrome/156" },
  versions: { version: "0.1.0", build: "0123456789ab" },
  hardware: { cores: 8, memoryGib: 8 },
  webgpu: "ok",
  adapter: {
    vendor: "nvidia", architecture: "hopper", device: "", description: "", fallback: false, f16: true,
    features: ["shader-f16", "subgroups"], limits: { maxBufferSize: 2 ** 32 }, languageFeatures: ["packed_4x8_integer_dot_product"],
  },
  gpu: {
    device: { vendor: "nvidia", architecture: "hopper", description: "", precision: "f16", f16: true, fallback: false,
      features: ["subgroups"], subgroupSizes: [32, 32], matrixShapes: [], limits: { maxBufferSize: 2 ** 32 } },
    kernels: null,
    model: { id: "klein", name: "FLUX.2 Klein 4B", revision: "0".repeat(64) },
  },
  kernels: {
    kinds: [{
      kind: "linear.q4.b32", chosen: "wide", problem: "",
      candidates: [{ name: "wide", family: "plain", tflops: 41.2, error: 2.3e-4, dropped: "" }], shapes: [],
    }],
    faults: [], seconds: 6,
  },
  check: null,
  sizes: [{ width: 256, height: 256, needs: memory() }, { width: 2048, height: 2048, needs: memory({ least: 7e9, whole: 8e9 }) }],
  model: { totalBytes: 2.9e9, missingBytes: 0, laterBytes: 0 },
  storage: { available: true, persisted: true, estimate: { quota: 13e9, usage: 3.1e9 }, kept: [{ name: "weights", files: 60, bytes: 2.9e9 }] },
  offline: { state: "active", controlled: true, caches: [{ name: "kleinbild-0123456789ab", files: 170 }] },
  problems: [],
};

/** @param {Partial<Facts>} [changes] @returns {Facts} */
export const facts = (changes = {}) => ({ ...structuredClone(GOOD), ...changes });

/** @param {Partial<NonNullable<Facts["adapter"]>>} changes @returns {Facts} */
export const withAdapter = (changes) => facts({ adapter: { .../** @type {NonNullable<Facts["adapter"]>} */ (facts().adapter), ...changes } });
