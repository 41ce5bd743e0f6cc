/**
 * The sections of the diagnosis that show facts: GPU, memory, storage, page. Kernels have a section of their own (kernels_section.js).
 */

import { element } from "../elements.js";
import { bytesOf } from "./storage_count.js";
import { fillList, fillTable, number } from "./tables.js";

/**
 * @typedef {import("./facts.js").Facts} Facts
 * @typedef {import("../i18n.js").I18n} I18n
 * @typedef {import("./tables.js").Cell} Cell
 */

/** Limits that decide something for people, and whether they count bytes. */
const LIMITS = Object.freeze({
  maxBufferSize: true, maxStorageBufferBindingSize: true, maxComputeWorkgroupStorageSize: true, maxComputeInvocationsPerWorkgroup: false,
  maxStorageBuffersPerShaderStage: false,
});
/** Folders of the store that have words. */
const FOLDERS = new Set(["weights", "gallery", "prompts", "kernels", "models"]);

/** @param {string} id */
const part = (id) => element(`diagnosis-${id}`, HTMLElement);

/** @param {Facts} facts @param {I18n} i18n */
export function showFacts(facts, i18n) {
  showGpu(facts, i18n);
  showMemory(facts, i18n);
  showStorage(facts, i18n);
  showPage(facts, i18n);
}

/** @param {Facts} facts @param {I18n} i18n */
function showGpu({ adapter, gpu, webgpu, sizes }, i18n) {
  const t = (/** @type {string} */ key, values = {}) => i18n.t(`diagnosis.${key}`, values);
  part("limits").hidden = !adapter;
  if (!adapter) return fillList(part("gpu"), [[t("gpu.name"), t(webgpu === "missing" ? "gpu.missing" : "gpu.no_adapter")]]);
  const { vendor, architecture, device, description, fallback, features, limits, languageFeatures } = adapter;
  const name = description || [vendor, architecture, device].filter(Boolean).join(" ");
  const [least = 0, most = 0] = gpu?.device.subgroupSizes ?? [];
  const [first] = sizes;
  const memory = gpu?.device.memoryBytes ? i18n.bytes(gpu.device.memoryBytes)
    : first ? t("gpu.memory_unknown", { budget: i18n.bytes(first.needs.budget) }) : t("unknown");
  fillList(part("gpu"), [
    [t("gpu.name"), name ? { text: name, code: true } : t("unknown")],
    [t("gpu.kind"), t(fallback ? "gpu.software" : "gpu.hardware")],
    ...(gpu ? [/** @type {const} */ ([t("gpu.precision"), t(`gpu.${gpu.device.precision}`)])] : []),
    [t("gpu.subgroups"), most > 0 ? t("gpu.subgroup_sizes", { least, most }) : t("none")],
    [t("gpu.matrices"), gpu && gpu.device.matrixShapes.length > 0 ? { text: gpu.device.matrixShapes.join(" "), code: true } : t("none")],
    [t("gpu.timing"), t(features.includes("timestamp-query") ? "yes" : "no")],
    [t("gpu.memory"), memory],
  ]);
  fillTable(part("limits-rows"), Object.entries(LIMITS).map(([limit, counted]) => {
    const key = `limit.${limit.replace(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`)}`;
    const value = limits[limit] ?? 0;
    return [t(key), number(counted ? i18n.bytes(value) : i18n.number(value)), t(`${key}.why`)];
  }));
  fillList(part("all-limits"), [
    ...Object.entries(limits).map(([limit, value]) => /** @type {[string, string]} */ ([limit, `${value}`])),
    ["features", features.join(" ")], ["WGSL", languageFeatures.join(" ")],
  ]);
}

/** @param {Facts} facts @param {I18n} i18n */
function showMemory({ sizes }, i18n) {
  const [first] = sizes;
  part("memory").hidden = !first;
  part("memory-text").textContent = first
    ? i18n.t("diagnosis.memory.lead", { budget: i18n.bytes(first.needs.budget) }) : i18n.t("diagnosis.memory.unknown");
  fillTable(part("memory-rows"), sizes.map(({ width, height, needs: { least, whole, budget, refusal } }) => {
    const fits = refusal ? "refused" : whole <= budget ? "whole_fits" : "in_parts";
    const state = { text: i18n.t(`diagnosis.memory.${fits}`), className: refusal ? "facts__bad" : "" };
    return [{ text: `${width} × ${height}`, code: true }, number(i18n.bytes(least)), number(i18n.bytes(whole)), state];
  }));
}

/** @param {Facts} facts @param {I18n} i18n */
function showStorage({ storage: { available, estimate, kept, persisted } }, i18n) {
  const t = (/** @type {string} */ key, values = {}) => i18n.t(`diagnosis.storage.${key}`, values);
  part("storage").hidden = !available;
  part("storage-text").textContent = t(available ? "lead" : "none");
  const row = (/** @type {string} */ name, /** @type {number} */ files, /** @type {number} */ bytes) => (
    [name, number(i18n.number(files)), number(i18n.bytes(bytes))]);
  fillTable(part("storage-rows"), [
    ...kept.map(({ name, files, bytes }) => row(FOLDERS.has(name) ? t(name) : name || t("other"), files, bytes)),
    row(t("total"), kept.reduce((sum, { files }) => sum + files, 0), bytesOf(kept)),
  ]);
  fillList(part("storage-facts"), !available ? [] : [
    [t("estimate"), estimate
      ? t("estimate_text", { used: i18n.bytes(estimate.usage), quota: i18n.bytes(estimate.quota) }) : i18n.t("diagnosis.unknown")],
    [t("persisted"), i18n.t(persisted ? "diagnosis.yes" : "diagnosis.no")],
  ]);
}

/** @param {Facts} facts @param {I18n} i18n */
function showPage({ page, versions, gpu, platform, offline }, i18n) {
  const t = (/** @type {string} */ key, values = {}) => i18n.t(`diagnosis.page.${key}`, values);
  const yes = (/** @type {boolean} */ is) => i18n.t(is ? "diagnosis.yes" : "diagnosis.no");
  fillList(part("page"), [
    [t("version"), t("version_text", versions)],
    ...(gpu ? [/** @type {const} */ ([t("model"), { text: `${gpu.model.id} ${gpu.model.revision.slice(0, 12)}`, code: true }])] : []),
    [t("browser"), { text: `${platform.browser} ${platform.version || ""}`.trim() || "?", code: true }],
    [t("system"), { text: platform.system, code: true }],
    [t("secure"), yes(page.secure)],
    [t("isolated"), yes(page.isolated)],
    [t("installed"), yes(page.installed)],
    [t("worker"), t(`worker.${offline.state}`)],
    [t("caches"), i18n.number(offline.caches.length)],
  ]);
}
