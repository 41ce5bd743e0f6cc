/**
 * Stages, memory and the GPU in the page's words. No DOM.
 */

import { pictureSeconds } from "./rates.js";

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
 * @param {number | null} [stepSeconds] of a denoising step, once known
 * @returns {string} the numbers below the title
 */
export function stageDetail(i18n, { stage, step, steps, fraction, bytes = 0, totalBytes = 0, bytesPerSecond = 0 }, seconds, stepSeconds = null) {
  const amount = i18n.t("make.detail.amount", { bytes: i18n.bytes(bytes), total: i18n.bytes(totalBytes) });
  if (stage === "loading" && bytesPerSecond > 0) return i18n.t("make.detail.rate", { amount, rate: i18n.bytes(bytesPerSecond) });
  if (stage === "tuning") return i18n.t("make.detail.tuning", { step, steps });
  if (stage === "transformer" && stepSeconds !== null) {
    return i18n.t("make.detail.step", { percent: i18n.percent(fraction), duration: stepDuration(i18n, stepSeconds) });
  }
  if (stage !== "download") return i18n.percent(fraction);
  if (seconds < 3 || bytes === 0) return amount;
  const remaining = (seconds * (totalBytes - bytes)) / bytes;
  if (remaining < 60) return i18n.t("make.detail.soon", { amount });
  return i18n.t("make.detail.minutes", { amount, count: Math.ceil(remaining / 60) });
}

/** @param {I18n} i18n @param {number} seconds @returns {string} with the digits that a step deserves */
function stepDuration(i18n, seconds) {
  return seconds < 1 ? i18n.t("shell.seconds", { n: i18n.number(seconds, { maximumSignificantDigits: 2 }) }) : i18n.duration(seconds);
}

/** @param {I18n} i18n @param {number} seconds @returns {string} about how long: as exact as a prediction can be */
export function roughDuration(i18n, seconds) {
  const digits = { maximumSignificantDigits: seconds < 10 ? 1 : 2 };
  if (seconds < 59.5) return i18n.t("make.about.seconds", { n: i18n.number(Math.max(seconds, 0.1), digits) });
  return i18n.t("make.about.minutes", { n: i18n.number(seconds / 60, seconds < 570 ? digits : { maximumFractionDigits: 0 }) });
}

/** @param {I18n} i18n @param {import("./stage_clock.js").StageSeconds | null} seconds @param {number} steps @returns {string} "" before anything was measured */
export function timeText(i18n, seconds, steps) {
  return seconds ? i18n.t("make.time", { duration: roughDuration(i18n, pictureSeconds(seconds, steps)) }) : "";
}

/** @param {{ width: number, height: number }} size @returns {string} isolated: the width stands first in every language */
export function sizeText({ width, height }) {
  return `\u2066${width} \u00d7 ${height}\u2069`;
}

/** A prompt may be a book: what the page shows of it. */
const SHORT_CHARACTERS = 300;

/** @param {string} prompt @returns {string} its beginning */
export function shortPrompt(prompt) {
  const characters = prompt.slice(0, 2 * SHORT_CHARACTERS).match(/./gsu) ?? [];
  return characters.length <= SHORT_CHARACTERS && prompt.length <= 2 * SHORT_CHARACTERS ? prompt : `${characters.slice(0, SHORT_CHARACTERS).join("")}\u2026`;
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

/** @param {I18n} i18n @param {Omit<import("../../protocol.js").MemoryNeeds, "flops">} needs @returns {string} what a picture needs of the GPU's memory */
export function memoryText(i18n, { least, whole, budget, refusal, largest }) {
  if (refusal) {
    const why = i18n.t(least > budget ? "make.memory.refused" : "make.memory.too_large_piece", { least: i18n.bytes(least), budget: i18n.bytes(budget) });
    return largest ? `${why} ${i18n.t("make.memory.largest", { size: `${largest.width} \u00d7 ${largest.height}` })}` : why;
  }
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
