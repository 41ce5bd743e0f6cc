/**
 * The settings of a picture as people type them: reading, checking and remembering. The rules are the command
 * line's: sides are floored to multiples of 16 with a notice, the seed is a 64-bit whole number. No DOM here;
 * form.js shows it.
 */

import { MAX_SEED, MAX_SIDE, MAX_STEPS, MIN_SIDE, SIDE_MULTIPLE, floorSide } from "../../protocol.js";

/** @typedef {import("../../protocol.js").Settings} Settings */
/** @typedef {"prompt"|"width"|"height"|"seed"|"steps"} FieldName */

/**
 * What the form's fields hold, as text.
 * @typedef {Record<FieldName, string> & { newSeed: boolean, keepPrompts: boolean, memory?: string }} FieldValues keepPrompts: what
 *   belongs to a prompt may stay on this device; memory: GPU memory in GB, empty for what the GPU's facts suggest
 */

/** What to say at a field: a key of the catalogue and what stands in its holes. @typedef {[key: string, values?: import("../i18n.js").Values]} Remark */

/**
 * @typedef {object} ReadSettings
 * @property {Settings | null} settings null when there are errors
 * @property {Partial<Record<FieldName, Remark>>} errors what is wrong, by field
 * @property {Partial<Record<FieldName, Remark>>} notices what was corrected, by field
 */

const SETTING = "settings";
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
  if (prompt === "") errors.prompt = ["make.error.prompt"];

  /** @param {"width"|"height"} name */
  const side = (name) => {
    const asked = wholeNumber(values[name]);
    if (asked === null || asked < BigInt(MIN_SIDE) || asked > BigInt(MAX_SIDE)) {
      errors[name] = ["make.error.whole", { least: `${MIN_SIDE}`, most: `${MAX_SIDE}` }];
      return 0;
    }
    const floored = floorSide(Number(asked));
    if (floored !== Number(asked)) {
      notices[name] = ["make.notice.side", { multiple: `${SIDE_MULTIPLE}`, asked: `${asked}`, floored: `${floored}` }];
    }
    return floored;
  };
  const width = side("width");
  const height = side("height");

  const steps = wholeNumber(values.steps);
  if (steps === null || steps < 1n || steps > BigInt(MAX_STEPS)) {
    errors.steps = ["make.error.whole", { least: "1", most: `${MAX_STEPS}` }];
  }
  const seed = wholeNumber(values.seed);
  if (seed === null || seed > MAX_SEED) errors.seed = ["make.error.whole", { least: "0", most: `${MAX_SEED}` }];

  if (Object.keys(errors).length > 0 || seed === null) return { settings: null, errors, notices };
  return { settings: { prompt, width, height, seed, steps: Number(steps), latents: null }, errors, notices };
}

/**
 * @param {string} text GB of GPU memory, or nothing
 * @returns {{ bytes: number | null, error: Remark | null }} bytes: null for nothing, or with an error
 */
export function readMemoryBudget(text) {
  if (text.trim() === "") return { bytes: null, error: null };
  const gigabytes = Number(text);
  if (!(gigabytes >= MIN_MEMORY_GB && gigabytes <= MAX_MEMORY_GB)) {
    return { bytes: null, error: ["make.error.memory", { least: MIN_MEMORY_GB, most: `${MAX_MEMORY_GB}` }] };
  }
  return { bytes: Math.floor(gigabytes * 1e9), error: null };
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
 * @param {Pick<import("../store.js").Store, "read">} store
 * @returns {Partial<FieldValues>} {} when there is nothing, or nothing usable
 */
export function recallSettings(store) {
  const stored = /** @type {Record<string, unknown>} */ (store.read(SETTING) ?? {});
  /** @type {Partial<FieldValues>} */
  const values = {};
  for (const name of /** @type {(FieldName | "memory")[]} */ (["prompt", "width", "height", "seed", "steps", "memory"])) {
    const value = stored[name];
    if (typeof value === "string") values[name] = value;
  }
  for (const name of /** @type {const} */ (["newSeed", "keepPrompts"])) {
    const value = stored[name];
    if (typeof value === "boolean") values[name] = value;
  }
  return values;
}

/** @param {Pick<import("../store.js").Store, "write">} store @param {FieldValues} values the prompt is left out where prompts are not to be kept */
export function rememberSettings(store, values) {
  const { prompt, ...others } = values;
  store.write(SETTING, values.keepPrompts ? { prompt, ...others } : others);
}
