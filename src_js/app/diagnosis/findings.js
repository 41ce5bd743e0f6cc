/**
 * From facts to findings: what will not work here, or only with limits, and what to do about it. Facts in, data out: the words are in
 * the catalogues, and collecting is facts.js's.
 */

import { newerDriver, steps, withoutGpu, withoutWebgpu } from "./advice.js";

/**
 * @typedef {import("./facts.js").Facts} Facts
 * @typedef {import("./advice.js").Step} Step
 */

/**
 * stop: no right picture can be made; limit: some things do not work, or slowly; hint: good to know.
 * @typedef {"stop"|"limit"|"hint"} Level
 */

/**
 * @typedef {object} Finding its words are diagnosis.finding.<id>.title and .text
 * @property {string} id
 * @property {Level} level
 * @property {Step[]} steps what to do, the most likely help first
 * @property {Record<string, string | number>} [values] for its words and those of its steps
 * @property {Record<string, number>} [bytes] likewise, amounts of memory
 * @property {string[]} [work] likewise, kinds of work: "linear.q4.b32"
 */

/** A machine with so little memory has no room for the model beside a browser. GiB, as navigator.deviceMemory counts. */
const LEAST_DEVICE_MEMORY = 8;
/** Marketing name and chip of the board, where the driver tells them. */
const BC250 = /bc-?250|gfx1013|cyan.?skillfish/i;

/** Every finding there is, worst first: the order in which they are told. */
export const FINDINGS = Object.freeze(/** @type {const} */ ([
  "insecure-page", "no-webgpu", "no-adapter", "kernels-wrong", "no-size-fits", "software", "phone", "sizes", "no-f16", "no-storage",
  "storage-short", "no-offline", "parts", "bc250", "maybe-bc250", "kernels-left-out", "compiler-fault", "no-subgroups", "not-isolated",
  "not-persisted", "other-browser",
]));

/** @param {Facts} facts @returns {Finding[]} worst first */
export function findingsOf(facts) {
  const found = [...ofBrowser(facts), ...ofGpu(facts), ...ofKernels(facts), ...ofMemory(facts), ...ofStorage(facts), ...ofPage(facts)];
  return FINDINGS.flatMap((id) => found.filter((finding) => finding.id === id));
}

/** @param {Finding[]} findings @returns {Level | "good"} the worst */
export function verdict(findings) {
  for (const level of /** @type {const} */ (["stop", "limit"])) if (findings.some((finding) => finding.level === level)) return level;
  return "good";
}

/** @param {Facts} facts @returns {Finding[]} */
function ofBrowser({ platform, webgpu, page, hardware }) {
  /** @type {Finding[]} */
  const found = [];
  if (webgpu === "missing" && !page.secure) {
    const port = new URL(page.origin).port;
    const local = `http://localhost${port ? `:${port}` : ""}/`;
    found.push({ id: "insecure-page", level: "stop", values: { origin: page.origin, local }, steps: steps("addressLocal", "addressHttps") });
  } else if (webgpu === "missing") {
    found.push({ id: "no-webgpu", level: "stop", steps: withoutWebgpu(platform) });
  } else if (webgpu === "no-adapter") {
    found.push({ id: "no-adapter", level: "stop", steps: withoutGpu(platform) });
  } else if (platform.engine !== "chromium") {
    found.push({ id: "other-browser", level: "hint", steps: steps("useChromium") });
  }
  const little = hardware.memoryGib !== null && hardware.memoryGib < LEAST_DEVICE_MEMORY;
  if (platform.mobile || little) {
    found.push({ id: "phone", level: "limit", steps: platform.system === "ios" ? steps("ios") : steps("smaller", "closeOthers") });
  }
  return found;
}

/** @param {Facts} facts @returns {Finding[]} */
function ofGpu({ adapter, platform }) {
  if (!adapter) return [];
  /** @type {Finding[]} */
  const found = [];
  const { vendor, architecture, description, device } = adapter;
  if (adapter.fallback) return [{ id: "software", level: "limit", steps: withoutGpu(platform) }];
  if (!adapter.f16) found.push({ id: "no-f16", level: "limit", steps: newerDriver(platform) });
  if (!adapter.features.includes("subgroups")) found.push({ id: "no-subgroups", level: "hint", steps: newerDriver(platform) });
  const memory = steps("bc250Mesa", "bc250CarveOut", "bc250Pages", "bc250Kiosk", "bc250Budget");
  if (BC250.test(`${architecture} ${description} ${device}`)) found.push({ id: "bc250", level: "hint", steps: memory });
  else if (platform.system === "linux" && vendor === "amd" && /^(rdna-?1|gfx10\d*|)$/i.test(architecture)) {
    found.push({ id: "maybe-bc250", level: "hint", steps: memory });
  }
  return found;
}

/** @param {Facts} facts @returns {Finding[]} */
function ofKernels({ kernels, check, platform }) {
  const bad = new Set((kernels?.kinds ?? []).filter(({ problem }) => problem !== "").map(({ kind }) => kind));
  for (const { kind, chosen, error, limit, problem } of check?.checks ?? []) {
    if (chosen && (problem !== "" || error > limit)) bad.add(kind);
  }
  const faults = [...new Set([...(kernels?.faults ?? []), ...(check?.faults ?? [])])];
  const dropped = (kernels?.kinds ?? []).flatMap(({ candidates }) => candidates.filter((candidate) => candidate.dropped !== ""));
  /** @type {Finding[]} */
  const found = [];
  if (bad.size > 0) {
    const advice = [...newerDriver(platform), ...steps("recentBrowser", "report")];
    found.push({ id: "kernels-wrong", level: "stop", work: [...bad], steps: advice });
  } else if (dropped.length > 0) {
    found.push({ id: "kernels-left-out", level: "hint", values: { count: dropped.length }, steps: [] });
  }
  if (faults.length > 0) found.push({ id: "compiler-fault", level: "hint", steps: [] });
  return found;
}

/** @param {Facts} facts @returns {Finding[]} */
function ofMemory({ sizes }) {
  const [first] = sizes;
  if (!first) return [];
  const { budget, whole } = first.needs;
  const fitting = sizes.filter(({ needs }) => needs.refusal === "");
  const largest = fitting.at(-1);
  if (!largest) {
    return [{ id: "no-size-fits", level: "stop", bytes: { budget }, steps: steps("budget", "closeOthers") }];
  }
  /** @type {Finding[]} */
  const found = [];
  if (fitting.length < sizes.length) {
    const size = `${largest.width} × ${largest.height}`;
    found.push({ id: "sizes", level: "limit", values: { size }, bytes: { budget }, steps: steps("smaller", "budget") });
  }
  if (whole > budget) found.push({ id: "parts", level: "limit", bytes: { whole, budget }, steps: steps("budget", "closeOthers") });
  return found;
}

/** @param {Facts} facts @returns {Finding[]} */
function ofStorage({ storage, model }) {
  if (!storage.available) return [{ id: "no-storage", level: "limit", steps: steps("leavePrivate", "allowStorage") }];
  /** @type {Finding[]} */
  const found = [];
  const { quota, usage } = storage.estimate ?? {};
  const missing = model?.missingBytes ?? 0;
  if (quota !== undefined && usage !== undefined && missing > quota - usage) {
    const bytes = { missing, free: Math.max(0, quota - usage) };
    found.push({ id: "storage-short", level: "limit", bytes, steps: steps("freeDisk") });
  }
  if (!storage.persisted) found.push({ id: "not-persisted", level: "hint", steps: steps("install") });
  return found;
}

/** @param {Facts} facts @returns {Finding[]} */
function ofPage({ page, offline }) {
  /** @type {Finding[]} */
  const found = [];
  if (offline.state === "none" && page.secure) found.push({ id: "no-offline", level: "limit", steps: steps("reloadOnce", "leavePrivate") });
  if (!page.isolated) found.push({ id: "not-isolated", level: "hint", steps: steps("headers") });
  return found;
}
