/**
 * Benchmark figures in words, the same in every language, as the command line has them. No DOM.
 */

import { flopsText, formatBytes, threeDigits } from "./wording.js";

/** @typedef {import("../bench_protocol.js").Row} Row */
/** @typedef {import("../bench_protocol.js").Group} Group */

/** In the order in which they are shown. @type {readonly Group[]} */
export const GROUPS = ["picture", "stage", "page", "start", "memory", "peak", "kernel"];

/** @param {number} seconds @returns {string} three digits with a unit that suits */
export function timeText(seconds) {
  if (seconds >= 100) return `${seconds.toFixed(0)}\u00a0s`;
  if (seconds >= 1) return `${seconds.toPrecision(3)}\u00a0s`;
  if (seconds >= 1e-3) return `${(1e3 * seconds).toPrecision(3)}\u00a0ms`;
  return `${(1e6 * seconds).toPrecision(3)}\u00a0\u00b5s`;
}

/** @param {Row} row @returns {{value: string, rate: string, share: string}} "" for what was not measured */
export function rowText({ seconds, bytes, tflops, gigabytesPerSecond, percent }) {
  const value = seconds !== undefined ? timeText(seconds) : bytes !== undefined ? formatBytes(bytes).replace(" ", "\u00a0") : "";
  const rate = tflops !== undefined ? flopsText(tflops) : gigabytesPerSecond !== undefined ? `${threeDigits(gigabytesPerSecond)} GB/s` : "";
  return { value, rate, share: percent === undefined ? "" : `${percent.toFixed(percent < 10 ? 1 : 0)}\u00a0%` };
}

/** @param {import("../bench_protocol.js").BenchResult} result @returns {string} which GPU, and what it ran */
export function machineText({ machine: { adapter, browser }, precision, options }) {
  const gpu = [adapter.vendor, adapter.architecture, adapter.description].filter((word) => word !== "").join(" ") || "unnamed GPU";
  const weights = options.format === "q4" ? `q4 weights in blocks of ${options.blockSize}` : `${options.format} weights`;
  const shapes = options.model === "small" ? "small test shapes" : "shapes of FLUX.2 Klein 4B";
  return [gpu, precision, weights, shapes, browser].filter((word) => word !== "").join(" \u00b7 ");
}
