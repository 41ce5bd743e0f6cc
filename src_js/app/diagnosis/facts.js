/**
 * Collects what the diagnosis is made of: from the browser, from the worker, from what is stored. Whatever one of them refuses is left
 * out and stops no other: the diagnosis must work where nothing else does. No prompt and no picture is ever among the facts.
 */

import { asKleinbildError } from "../../errors.js";
import { countStorage } from "./storage_count.js";
import { readPlatform } from "./platform.js";

/**
 * @typedef {object} AdapterFacts
 * @property {string} vendor
 * @property {string} architecture
 * @property {string} device
 * @property {string} description
 * @property {boolean} fallback whether it is a software adapter
 * @property {boolean} f16
 * @property {string[]} features
 * @property {Record<string, number>} limits
 * @property {string[]} languageFeatures of WGSL
 *
 * @typedef {{ width: number, height: number, needs: import("../../protocol.js").MemoryNeeds }} SizeFacts
 *
 * @typedef {object} StorageFacts
 * @property {boolean} available whether the browser gives the page files of its own
 * @property {boolean} persisted whether it promises to keep them
 * @property {{ quota: number, usage: number } | null} estimate the browser's
 * @property {import("./storage_count.js").Kept[]} kept counted
 *
 * @typedef {object} OfflineFacts
 * @property {"none"|"installing"|"waiting"|"active"} state of the service worker; waiting: a new version does
 * @property {boolean} controlled whether it serves this page
 * @property {{ name: string, files: number }[]} caches kept versions of the page
 *
 * @typedef {object} Facts
 * @property {number} time of collecting, ms since 1970
 * @property {import("./platform.js").Platform} platform
 * @property {{ secure: boolean, isolated: boolean, origin: string, installed: boolean, languages: readonly string[], userAgent: string }} page
 * @property {{ version: string, build: string }} versions
 * @property {{ cores: number, memoryGib: number | null }} hardware memoryGib: as the browser tells it, rounded and at most 8
 *   in some browsers
 * @property {"ok"|"missing"|"no-adapter"} webgpu
 * @property {AdapterFacts | null} adapter
 * @property {import("../../protocol.js").GpuFacts | null} gpu as the worker opens it
 * @property {import("../../protocol.js").ReadyInfo["kernels"] | null} kernels as measured
 * @property {import("../../protocol.js").SelfCheckReport | null} check
 * @property {SizeFacts[]} sizes the smallest first
 * @property {{ totalBytes: number, missingBytes: number, laterBytes: number } | null} model
 * @property {StorageFacts} storage
 * @property {OfflineFacts} offline
 * @property {string[]} problems what could not be found out, in English
 */

/** Sizes whose memory is told. */
export const SIZES = /** @type {const} */ ([[256, 256], [512, 512], [768, 512], [1024, 1024], [1536, 1024], [2048, 2048]]);

/**
 * @typedef {object} Sources
 * @property {Pick<import("../worker_client.js").WorkerClient, "inspect"|"plan"|"diagnose">} client
 * @property {string} manifestUrl
 * @property {{ version: string, build: string }} versions
 * @property {number | null} memoryBudget bytes, as the user set it
 * @property {Navigator} navigator
 * @property {Pick<Window, "isSecureContext"|"crossOriginIsolated"|"matchMedia"|"caches"> & { location: Pick<Location, "origin"> }} window
 */

/** @param {Sources} sources @returns {Promise<Facts>} never rejected */
export async function collectFacts(sources) {
  const { navigator, window, client, manifestUrl, memoryBudget, versions } = sources;
  /** @type {string[]} */
  const problems = [];
  /** @template T @param {string} what @param {T} instead @param {() => T | Promise<T>} find @returns {Promise<T>} */
  const attempt = async (what, instead, find) => {
    try {
      return await find();
    } catch (caught) {
      problems.push(`${what}: ${asKleinbildError(caught).message}`);
      return instead;
    }
  };
  const asked = { manifestUrl, precision: /** @type {const} */ ("auto") };
  const adapter = await attempt("GPU", null, () => adapterFacts(navigator.gpu));
  const gpu = adapter ? await attempt("Worker", null, () => client.diagnose(asked)) : null;
  const model = await attempt("Model", null, () => client.inspect(manifestUrl));
  const sizes = !adapter ? [] : await attempt("Memory", [], () => Promise.all(SIZES.map(async ([width, height]) => (
    { width, height, needs: await client.plan({ ...asked, memoryBudget, picture: { width, height, steps: model?.defaults.steps ?? 1 } }) }))));
  const deviceMemory = /** @type {{ deviceMemory?: number }} */ (navigator).deviceMemory;
  return {
    time: Date.now(),
    platform: readPlatform(navigator),
    page: {
      secure: window.isSecureContext, isolated: window.crossOriginIsolated === true, origin: window.location.origin,
      installed: window.matchMedia("(display-mode: standalone)").matches, languages: navigator.languages, userAgent: navigator.userAgent,
    },
    versions,
    hardware: { cores: navigator.hardwareConcurrency, memoryGib: deviceMemory ?? null },
    webgpu: !navigator.gpu ? "missing" : adapter ? "ok" : "no-adapter",
    adapter: adapter && { ...adapter, fallback: gpu?.device.fallback ?? adapter.fallback },
    gpu,
    kernels: gpu?.kernels ?? null,
    check: null,
    sizes,
    model,
    storage: await storageFacts(navigator.storage, attempt),
    offline: await attempt("Service worker", { state: "none", controlled: false, caches: [] }, () => offlineFacts(navigator.serviceWorker, window.caches)),
    problems,
  };
}

/** @param {GPU | undefined} gpu @returns {Promise<AdapterFacts | null>} */
async function adapterFacts(gpu) {
  const adapter = await gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!gpu || !adapter) return null;
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  /** @type {Record<string, number>} */
  const limits = {};
  for (const name in adapter.limits) {
    const value = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (adapter.limits))[name];
    if (typeof value === "number") limits[name] = value;
  }
  return {
    vendor, architecture, device, description, limits,
    fallback: isFallbackAdapter === true,
    f16: adapter.features.has("shader-f16"),
    features: [...adapter.features].sort(),
    languageFeatures: [...gpu.wgslLanguageFeatures ?? []].sort(),
  };
}

/**
 * @param {StorageManager | undefined} storage
 * @param {<T>(what: string, instead: T, find: () => T | Promise<T>) => Promise<T>} attempt
 * @returns {Promise<StorageFacts>}
 */
async function storageFacts(storage, attempt) {
  const none = { available: false, persisted: false, estimate: null, kept: [] };
  if (!storage) return none;
  const root = await attempt("Storage", null, () => storage.getDirectory());
  if (!root) return none;
  const estimate = await attempt("Estimate", null, async () => {
    const { quota, usage } = await storage.estimate();
    return quota === undefined || usage === undefined ? null : { quota, usage };
  });
  return {
    available: true,
    persisted: await attempt("Persistence", false, () => storage.persisted()),
    estimate,
    kept: await attempt("Stored files", [], () => countStorage(root)),
  };
}

/** @param {ServiceWorkerContainer | undefined} container @param {CacheStorage | undefined} caches @returns {Promise<OfflineFacts>} */
async function offlineFacts(container, caches) {
  const registration = await container?.getRegistration("/");
  const state = !registration ? "none" : registration.waiting ? "waiting" : registration.active ? "active" : "installing";
  const names = registration && caches ? (await caches.keys()).filter((name) => name.startsWith("kleinbild-")) : [];
  const kept = await Promise.all(names.map(async (name) => ({ name, files: (await (await caches?.open(name))?.keys())?.length ?? 0 })));
  return { state, controlled: container?.controller != null, caches: kept };
}
