/**
 * Settings that come from outside, from a link or a picture's file, as text that anybody may have written: what may stand in the form,
 * and what is left out. Nothing here starts a picture.
 */

import { MAX_PROMPT_CHARACTERS, MAX_SEED, MAX_SIDE, MAX_STEPS, MIN_SIDE, floorSide } from "../protocol.js";

/** @typedef {"prompt"|"width"|"height"|"seed"|"steps"} SettingName */
/** @typedef {{ prompt?: string, width?: number, height?: number, seed?: bigint, steps?: number }} SomeSettings those that were told */

/**
 * @typedef {object} Restored
 * @property {SomeSettings} settings
 * @property {SettingName[]} ignored what was told and cannot be
 * @property {boolean} cleaned whether hidden characters were taken out of the prompt
 */

/**
 * Control characters but tab and line feed, those that reorder or hide other text (but not the marks that right-to-left text needs), and
 * halves of characters.
 */
const HIDDEN = /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]|\p{Surrogate}/gu;

/**
 * @param {Partial<Record<SettingName, string | null>>} told as text; empty or null: not told
 * @returns {Restored}
 */
export function checkRestored(told) {
  /** @type {Restored} */
  const restored = { settings: {}, ignored: [], cleaned: false };
  const { settings, ignored } = restored;
  if (told.prompt) {
    const lines = told.prompt.replace(/\r\n?/g, "\n");
    const prompt = lines.replace(HIDDEN, "");
    restored.cleaned = prompt !== lines;
    if (prompt.length > MAX_PROMPT_CHARACTERS) ignored.push("prompt");
    else settings.prompt = prompt;
  }
  for (const name of /** @type {const} */ (["width", "height"])) {
    if (!told[name]) continue;
    const side = wholeNumber(told[name], MIN_SIDE, BigInt(MAX_SIDE));
    if (side === null) ignored.push(name);
    else settings[name] = floorSide(Number(side));
  }
  if (told.seed) {
    const seed = wholeNumber(told.seed, 0, MAX_SEED);
    if (seed === null) ignored.push("seed");
    else settings.seed = seed;
  }
  if (told.steps) {
    const steps = wholeNumber(told.steps, 1, BigInt(MAX_STEPS));
    if (steps === null) ignored.push("steps");
    else settings.steps = Number(steps);
  }
  return restored;
}

/** @param {string} text @param {number} least @param {bigint} most @returns {bigint | null} */
function wholeNumber(text, least, most) {
  if (!/^[0-9]{1,20}$/.test(text)) return null;
  const value = BigInt(text);
  return value >= BigInt(least) && value <= most ? value : null;
}
