/**
 * Stages, memory and the GPU in the page's words. No DOM.
 */

import { flopsText } from "../wording.js";

/** @typedef {import("../i18n.js").I18n} I18n */
/** @typedef {import("../../protocol.js").Progress} Progress */
/** @typedef {import("../../protocol.js").ReadyInfo} ReadyInfo */

/** @param {I18n} i18n @param {Progress} progress @returns {string} what is going on */
export function stageTitle(i18n, { stage, step, steps }) {
  return i18n.t(`make.stage.${stage}`, { step: Math.min(step + 1, steps), steps });
}

/**
 * @param {I18n} i18n
 * @param {Progress} progress
 * @param {number} seconds since this work began
 * @returns {string} the numbers below the title
 */
export function stageDetail(i18n, { stage, step, steps, fraction, bytes = 0, totalBytes = 0, bytesPerSecond = 0 }, seconds) {
  const amount = i18n.t("make.detail.amount", { bytes: i18n.bytes(bytes), total: i18n.bytes(totalBytes) });
  if (stage === "loading" && bytesPerSecond > 0) return i18n.t("make.detail.rate", { amount, rate: i18n.bytes(bytesPerSecond) });
  if (stage === "tuning") return i18n.t("make.detail.tuning", { step, steps });
  if (stage !== "download") return i18n.percent(fraction);
  if (seconds < 3 || bytes === 0) return amount;
  const remaining = (seconds * (totalBytes - bytes)) / bytes;
  if (remaining < 60) return i18n.t("make.detail.soon", { amount });
  return i18n.t("make.detail.minutes", { amount, count: Math.ceil(remaining / 60) });
}

/**
 * @param {I18n} i18n
 * @param {Pick<import("../../protocol.js").InspectInfo, "missingBytes"|"laterBytes"|"persistent">} info
 * @returns {string} what is downloaded beside the first picture's part, "" when nothing is
 */
export function laterText(i18n, { missingBytes, laterBytes, persistent }) {
  if (laterBytes === 0) return "";
  const key = !persistent ? "make.later.needed" : missingBytes > 0 ? "make.later.first" : "make.later.next";
  return i18n.t(key, { bytes: i18n.bytes(laterBytes) });
}

/** @param {I18n} i18n @param {import("../../protocol.js").BackgroundState} state @returns {string} one line about the rest of the model */
export function backgroundText(i18n, { bytes, totalBytes, done, problem }) {
  if (done) return i18n.t("make.background.done");
  if (problem) return i18n.t("make.background.stopped", { problem });
  return i18n.t("make.background.running", { bytes: i18n.bytes(bytes), total: i18n.bytes(totalBytes) });
}

/** @param {I18n} i18n @param {import("../../protocol.js").MemoryNeeds} needs @returns {string} what a picture needs of the GPU's memory */
export function memoryText(i18n, { least, whole, budget, refusal }) {
  if (refusal) return refusal;
  if (whole <= budget) return i18n.t("make.memory.whole", { whole: i18n.bytes(whole) });
  return i18n.t("make.memory.least", { least: i18n.bytes(least), whole: i18n.bytes(whole) });
}

/** @param {I18n} i18n @param {Omit<ReadyInfo, "kernels">} info @returns {string} what the model runs on */
export function deviceText(i18n, { vendor, architecture, description, precision, fallback, persistent }) {
  const name = description || [vendor, architecture].filter(Boolean).join(" ") || "GPU";
  const parts = [i18n.t("make.device.runs", { name, bits: precision === "f16" ? "16" : "32" })];
  if (fallback) parts.push(i18n.t("make.device.software"));
  else if (precision === "f32") parts.push(i18n.t("make.device.no_f16"));
  if (!persistent) parts.push(i18n.t("make.device.no_storage"));
  return parts.join(" ");
}

/** @param {I18n} i18n @param {ReadyInfo["kernels"]} kernels @returns {string} one line about what was measured */
export function kernelsText(i18n, { kinds, seconds }) {
  const timed = kinds.some(({ candidates }) => candidates.some(({ tflops }) => tflops > 0));
  if (!timed) return i18n.t("make.kernels.none");
  const count = kinds.reduce((sum, kind) => sum + kind.candidates.length, 0);
  return i18n.t("make.kernels.chosen", { count, duration: i18n.duration(seconds) });
}

/**
 * @param {I18n} i18n
 * @param {import("../../protocol.js").KernelReport["candidates"][number]} candidate
 * @returns {string} how fast and how exact it is, or why it is not used
 */
export function candidateText(i18n, { tflops, error, dropped }) {
  if (dropped !== "") return dropped;
  const rate = tflops > 0 ? flopsText(tflops) : i18n.t("make.kernels.not_timed");
  return i18n.t("make.kernels.candidate", { rate, error: error.toExponential(1) });
}

/** @param {string} shaped "linear.q4.b32.f16.1536x3072" @param {string} kind "linear.q4.b32.f16" @returns {string} "1536 x 3072" */
export function shapeText(shaped, kind) {
  return shaped.slice(kind.length + 1).replace("x", " x ");
}
