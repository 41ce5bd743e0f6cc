/** The models' states and what was done with them, in the page's words. No DOM. */

import { isWhole } from "./actions.js";

/**
 * @typedef {import("../i18n.js").I18n} I18n
 * @typedef {import("../../model_state.js").ModelState} ModelState
 * @typedef {import("../../models_protocol.js").ModelProgress} ModelProgress
 */

const REVISION_CHARACTERS = 8;
/** A server that sends nothing for so long is worth a word. */
const QUIET_SECONDS = 4;

/** @param {I18n} i18n @param {ModelState} model @returns {string} */
export function factsText(i18n, { weights, bytes, revision }) {
  return i18n.t("models.facts", { format: i18n.t(`models.format.${weights}`), bytes: i18n.bytes(bytes), revision: revision.slice(0, REVISION_CHARACTERS) });
}

/** @param {ModelState} model @param {boolean} chosen @returns {string[]} keys of short words, the most important first */
export function badgeKeys(model, chosen) {
  const keys = [];
  if (chosen) keys.push("models.badge.chosen");
  if (model.damaged.length > 0) keys.push("models.badge.damaged");
  if (model.replaces !== null && !isWhole(model)) keys.push("models.badge.update");
  else if (!model.installed) keys.push("models.badge.absent");
  else keys.push(isWhole(model) ? "models.badge.installed" : "models.badge.partial");
  return keys;
}

/** @param {I18n} i18n @param {ModelState} model @param {boolean} replaced whether the site has a newer revision @returns {string[]} sentences */
export function stateTexts(i18n, model, replaced) {
  const { t } = bound(i18n);
  const [here, total, missing] = [model.hereBytes, model.bytes, model.missingBytes].map((bytes) => i18n.bytes(bytes));
  const values = { here: here ?? "", total: total ?? "", missing: missing ?? "" };
  const texts = [];
  if (isWhole(model)) {
    texts.push(model.verified === null ? t("models.state.unverified") : t("models.state.verified", { date: i18n.date(model.verified) }));
  } else if (model.replaces !== null) texts.push(t("models.state.update", values));
  else if (!model.installed) texts.push(t(model.hereBytes > 0 ? "models.state.absent_shared" : "models.state.absent", values));
  else if (model.damaged.length > 0) texts.push(t("models.state.damaged", { count: model.damaged.length }));
  else texts.push(t(`models.state.${model.paused ? "paused" : model.interrupted ? "interrupted" : "partial"}`, values));
  if (replaced) texts.push(t("models.state.replaced"));
  else if (model.installed && !model.offered) texts.push(t(isWhole(model) ? "models.state.foreign" : "models.state.foreign_partial"));
  if (model.installed && model.ownBytes < model.hereBytes) texts.push(t("models.state.shared", { bytes: i18n.bytes(model.hereBytes - model.ownBytes) }));
  return texts;
}

/**
 * @param {I18n} i18n
 * @param {ModelProgress} progress
 * @param {{ perSecond: number, secondsLeft: number } | undefined} rate
 * @returns {string} amount, rate and time left
 */
export function progressText(i18n, { bytes, totalBytes }, rate) {
  const amount = i18n.t("models.progress.amount", { done: i18n.bytes(bytes), total: i18n.bytes(totalBytes) });
  if (!rate || bytes === totalBytes) return amount;
  const rated = i18n.t("models.progress.rate", { amount, rate: i18n.bytes(rate.perSecond) });
  return i18n.t("models.progress.left", { rated, duration: timeLeft(i18n, rate.secondsLeft) });
}

/** @param {I18n} i18n @param {ModelProgress} progress @param {boolean} remote whether a server is waited for @returns {string} "" while all is well */
export function troubleText(i18n, { idleSeconds, problem }, remote) {
  if (problem) return i18n.t("models.progress.again", { problem });
  if (!remote || idleSeconds < QUIET_SECONDS) return "";
  const count = Math.round(idleSeconds);
  return i18n.t("models.progress.quiet", { count });
}

/** @param {I18n} i18n @param {string} name @param {{ files: number, damaged: string[], missing: number }} found @returns {string} */
export function verifiedText(i18n, name, { files, damaged, missing }) {
  if (damaged.length > 0) return i18n.t("models.done.damaged", { name, count: damaged.length });
  if (missing > 0) return i18n.t("models.done.missing", { name, count: missing });
  return i18n.t("models.done.verified", { name, count: files });
}

/**
 * @param {I18n} i18n
 * @param {{ name: string, files: number, damaged: string[], missing: number }} result
 * @returns {string[]} sentences
 */
export function importedTexts(i18n, { name, files, damaged, missing }) {
  const texts = [missing === 0 ? i18n.t("models.done.imported", { name, count: files }) : i18n.t("models.done.missing", { name, count: missing })];
  if (damaged.length > 0) texts.push(i18n.t("models.done.left_out", { count: damaged.length, paths: damaged.slice(0, 3).join(", ") }));
  return texts;
}

/** @param {I18n} i18n @param {number} seconds @returns {string} no more exact than it can be */
function timeLeft(i18n, seconds) {
  if (seconds < 60) return i18n.t("models.left.soon");
  if (seconds < 3600) return i18n.t("models.left.minutes", { count: Math.ceil(seconds / 60) });
  return i18n.t("models.left.hours", { count: Math.ceil(seconds / 3600) });
}

/** @param {I18n} i18n @returns {{ t: I18n["t"] }} */
function bound(i18n) {
  return { t: i18n.t.bind(i18n) };
}
