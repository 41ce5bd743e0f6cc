/**
 * The settings of a picture as people type them: reading, checking and remembering. The rules are the command
 * line's: sides are floored to multiples of 16 with a notice, the seed is a 64-bit whole number. No DOM here;
 * form.js shows it.
 */

import { MAX_SEED, MAX_SIDE, MAX_STEPS, MIN_SIDE, SIDE_MULTIPLE, floorSide } from "../protocol.js";

/** @typedef {import("../protocol.js").Settings} Settings */
/** @typedef {"prompt"|"width"|"height"|"seed"|"steps"} FieldName */

/**
 * What the form's fields hold, as text.
 * @typedef {Record<FieldName, string> & { newSeed: boolean, keepPrompts: boolean, memory?: string }} FieldValues keepPrompts: what
 *   belongs to a prompt may stay on this device; memory: GPU memory in GB, empty for what the GPU's facts suggest
 */

/**
 * @typedef {object} ReadSettings
 * @property {Settings | null} settings null when there are errors
 * @property {Partial<Record<FieldName, string>>} errors what is wrong, by field
 * @property {Partial<Record<FieldName, string>>} notices what was corrected, by field
 */

const STORAGE_KEY = "kleinbild.settings";
/** A seed that people can read out to each other; the field itself takes all 64 bits. */
const DICE_BITS = 32;
const MIN_MEMORY_GB = 0.5;
const MAX_MEMORY_GB = 1024;

/** @param {FieldValues} values @returns {ReadSettings} */
export function readSettings(values) {
  /** @type {ReadSettings["errors"]} */
  const errors = {};
  /** @type {ReadSettings["notices"]} */
  const notices = {};
  const prompt = values.prompt.trim();
  if (prompt === "") errors.prompt = "Describe the picture first.";

  /** @param {"width"|"height"} name */
  const side = (name) => {
    const asked = wholeNumber(values[name]);
    if (asked === null || asked < BigInt(MIN_SIDE) || asked > BigInt(MAX_SIDE)) {
      errors[name] = `A whole number from ${MIN_SIDE} to ${MAX_SIDE}.`;
      return 0;
    }
    const floored = floorSide(Number(asked));
    if (floored !== Number(asked)) {
      notices[name] = `Sides are multiples of ${SIDE_MULTIPLE}: ${asked} becomes ${floored}.`;
    }
    return floored;
  };
  const width = side("width");
  const height = side("height");

  const steps = wholeNumber(values.steps);
  if (steps === null || steps < 1n || steps > BigInt(MAX_STEPS)) errors.steps = `A whole number from 1 to ${MAX_STEPS}.`;
  const seed = wholeNumber(values.seed);
  if (seed === null || seed > MAX_SEED) errors.seed = `A whole number from 0 to ${MAX_SEED}.`;

  if (Object.keys(errors).length > 0 || seed === null) return { settings: null, errors, notices };
  return { settings: { prompt, width, height, seed, steps: Number(steps), latents: null }, errors, notices };
}

/**
 * @param {string} text GB of GPU memory, or nothing
 * @returns {{ bytes: number | null, error: string }} null for nothing, or with an error
 */
export function readMemoryBudget(text) {
  if (text.trim() === "") return { bytes: null, error: "" };
  const gigabytes = Number(text);
  if (!(gigabytes >= MIN_MEMORY_GB && gigabytes <= MAX_MEMORY_GB)) {
    return { bytes: null, error: `A number of GB from ${MIN_MEMORY_GB} to ${MAX_MEMORY_GB}, or nothing.` };
  }
  return { bytes: Math.floor(gigabytes * 1e9), error: "" };
}

/** @param {string} text @returns {bigint | null} null unless `text` is decimal digits */
function wholeNumber(text) {
  const digits = text.trim();
  return /^[0-9]{1,20}$/.test(digits) ? BigInt(digits) : null;
}

/** @returns {bigint} a random seed of 32 bits */
export function diceSeed() {
  return BigInt.asUintN(DICE_BITS, crypto.getRandomValues(new BigUint64Array(1))[0] ?? 0n);
}

/**
 * @param {Pick<Storage, "getItem">} storage
 * @returns {Partial<FieldValues>} {} when there is nothing, or nothing usable
 */
export function recallSettings(storage) {
  try {
    const stored = JSON.parse(storage.getItem(STORAGE_KEY) ?? "{}");
    /** @type {Partial<FieldValues>} */
    const values = {};
    for (const name of /** @type {(FieldName | "memory")[]} */ (["prompt", "width", "height", "seed", "steps", "memory"])) {
      if (typeof stored?.[name] === "string") values[name] = stored[name];
    }
    for (const name of /** @type {const} */ (["newSeed", "keepPrompts"])) {
      if (typeof stored?.[name] === "boolean") values[name] = stored[name];
    }
    return values;
  } catch {
    // Storage may be forbidden, or hold another version's text: the defaults serve.
    return {};
  }
}

/** @param {Pick<Storage, "setItem">} storage @param {FieldValues} values the prompt is left out where prompts are not to be kept */
export function rememberSettings(storage, values) {
  try {
    const { prompt, ...others } = values;
    storage.setItem(STORAGE_KEY, JSON.stringify(values.keepPrompts ? { prompt, ...others } : others));
  } catch {
    // Forbidden or full: the next visit starts from the defaults.
  }
}
