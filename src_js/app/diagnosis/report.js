/**
 * The diagnosis as plain text, to be sent to whoever helps: in English and of one form whatever language the page speaks, so that it can
 * be read and searched. It holds facts of machine, browser and page only; no prompt, no picture, no file's name.
 */

import { findingsOf } from "./findings.js";
import { bytesOf } from "./storage_count.js";

/** @typedef {import("./facts.js").Facts} Facts */

/** @param {Facts} facts @returns {string} lines, the last one ended */
export function reportText(facts) {
  const { platform, page, versions, hardware, problems } = facts;
  const sections = [
    section("Kleinbild diagnosis", [
      ["time", new Date(facts.time).toISOString()],
      ["version", `${versions.version}, build ${versions.build}`],
      ["model", facts.gpu ? `${facts.gpu.model.id} (${facts.gpu.model.name}), revision ${facts.gpu.model.revision}` : "unknown"],
      ["browser", `${platform.browser || "unknown"} ${platform.version || ""}`.trim()],
      ["user agent", page.userAgent],
      ["system", `${platform.system}${platform.mobile ? ", mobile" : ""}`],
      ["cores", `${hardware.cores}`],
      ["memory", hardware.memoryGib === null ? "not told" : `${hardware.memoryGib} GiB or more, as the browser tells it`],
      ["page", [page.secure ? "secure" : "NOT secure", page.isolated ? "cross-origin isolated" : "NOT cross-origin isolated",
        page.installed ? "installed" : "in a tab"].join(", ")],
    ]),
    section("Findings", findingsOf(facts).map(({ id, level, values, bytes, work = [] }) => (
      [level, [id, plain({ ...values, ...bytes }), ...work].filter(Boolean).join(" ")]))),
    section("GPU", gpuRows(facts)),
    section("Kernels", kernelRows(facts)),
    section("Self-check", checkRows(facts)),
    section("Memory", facts.sizes.map(({ width, height, needs }) => [`${width}x${height}`,
      `least ${mega(needs.least)}, whole ${mega(needs.whole)}, budget ${mega(needs.budget)}${needs.refusal ? `, REFUSED: ${needs.refusal}` : ""}`])),
    section("Storage", storageRows(facts)),
    section("Offline", [
      ["service worker", `${facts.offline.state}, ${facts.offline.controlled ? "serves this page" : "does not serve this page"}`],
      ...facts.offline.caches.map(({ name, files }) => /** @type {[string, string]} */ ([name, `${files} files`])),
    ]),
    section("Not found out", problems.map((problem) => ["problem", problem])),
  ];
  return sections.filter((text) => text !== "").join("\n");
}

/** @param {string} title @param {(readonly [string, string])[]} rows @returns {string} "" without rows */
function section(title, rows) {
  if (rows.length === 0) return "";
  return [title, "-".repeat(title.length), ...rows.map(([name, value]) => `${name}: ${oneLine(value)}`), ""].join("\n");
}

/** @param {Facts} facts @returns {[string, string][]} */
function gpuRows({ webgpu, adapter, gpu }) {
  if (!adapter) return [["webgpu", webgpu === "missing" ? "not offered by the browser" : "no adapter"]];
  const { vendor, architecture, device, description, fallback, f16, features, limits, languageFeatures } = adapter;
  return [
    ["adapter", [vendor, architecture, device, description].filter(Boolean).join(" ") || "not told"],
    ["kind", fallback ? "SOFTWARE" : "hardware"],
    ["shader-f16", f16 ? "yes" : "no"],
    ...(gpu ? /** @type {[string, string][]} */ ([
      ["kernels compute in", gpu.device.precision],
      ["subgroups", gpu.device.subgroupSizes.join(" to ")],
      ["subgroup matrices", gpu.device.matrixShapes.join(" ") || "none"],
      ["memory", gpu.device.memoryBytes ? mega(gpu.device.memoryBytes) : "not told"],
    ]) : []),
    ["features", features.join(" ")],
    ["wgsl", languageFeatures.join(" ")],
    ...Object.entries(limits).map(([name, value]) => /** @type {[string, string]} */ ([name, `${value}`])),
  ];
}

/** @param {Facts} facts @returns {[string, string][]} */
function kernelRows({ kernels }) {
  if (!kernels) return [["measured", "not yet"]];
  return [
    ["measured", `in ${kernels.seconds.toFixed(1)} s`],
    ...kernels.faults.map((fault) => /** @type {[string, string]} */ (["fault", fault])),
    ...kernels.kinds.flatMap(({ kind, chosen, problem, candidates }) => [
      ...(problem ? [/** @type {[string, string]} */ (["PROBLEM", problem])] : []),
      ...candidates.map(({ name, tflops, error, dropped }) => /** @type {[string, string]} */ ([
        `${kind} ${name}${name === chosen ? " (chosen)" : ""}`,
        dropped || `${(1000 * tflops).toPrecision(3)} GFLOP/s, error ${error.toExponential(1)}`,
      ])),
    ]),
  ];
}

/** @param {Facts} facts @returns {[string, string][]} */
function checkRows({ check }) {
  if (!check) return [["checked", "not yet"]];
  return [
    ["checked", `${check.checks.length} kernels in ${check.seconds.toFixed(1)} s`],
    ...check.faults.map((fault) => /** @type {[string, string]} */ (["fault", fault])),
    ...check.checks.map(({ kind, name, chosen, error, limit, problem }) => /** @type {[string, string]} */ ([
      `${[kind, name].filter(Boolean).join(" ")}${chosen ? " (chosen)" : ""}`,
      problem ? `DID NOT RUN: ${problem}` : `${error > limit ? "WRONG" : "right"}, error ${error.toExponential(1)} of ${limit.toExponential(1)}`,
    ])),
  ];
}

/** @param {Facts} facts @returns {[string, string][]} */
function storageRows({ storage, model }) {
  if (!storage.available) return [["files", "the browser gives this page none"]];
  const { estimate, kept, persisted } = storage;
  return [
    ["counted", `${mega(bytesOf(kept))} in ${kept.reduce((sum, { files }) => sum + files, 0)} files`],
    ...kept.map(({ name, files, bytes }) => /** @type {[string, string]} */ ([`  ${name || "other"}`, `${mega(bytes)} in ${files} files`])),
    ["browser's estimate", estimate ? `${mega(estimate.usage)} used of ${mega(estimate.quota)}` : "none"],
    ["kept for certain", persisted ? "yes" : "no"],
    ...(model ? [/** @type {[string, string]} */ (["model", `${mega(model.missingBytes)} of ${mega(model.totalBytes)} missing, ${mega(model.laterBytes)} for later`])] : []),
  ];
}

/** @param {number} bytes */
function mega(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** @param {Record<string, string | number>} values */
function plain(values) {
  return Object.entries(values).map(([name, value]) => `${name}=${value}`).join(" ");
}

/** Drivers' messages have line breaks. @param {string} text */
function oneLine(text) {
  return text.replace(/\s+/g, " ").trim();
}
