/**
 * Kinds of work in words: "linear.q4.b32" is a matrix product, of weights in some form.
 */

/** Operators whose names have words. */
const WORK = new Set(["linear", "attention", "conv2d", "rms_norm", "layer_norm", "group_norm", "qk_norm_rope", "swiglu", "copy",
  "unpack_latents", "preview_latents", "to_rgba"]);

/** @param {import("../i18n.js").I18n} i18n @param {string} kind "linear.q4.b32" @returns {string} */
export function workName(i18n, kind) {
  const [operator = "", ...form] = kind.split(".");
  const words = WORK.has(operator) ? i18n.t(`diagnosis.work.${operator}`) : operator;
  return form.length > 0 ? `${words} \u2068${form.join(" ")}\u2069` : words;
}
