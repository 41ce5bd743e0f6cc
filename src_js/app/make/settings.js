/**
 * The settings of pictures as people type them: reading, checking and remembering. The rules are the command
 * line's: sides are floored to multiples of 16 with a notice, the seed is a 64-bit whole number. No DOM here;
 * form.js shows it.
 */

import { MAX_PROMPT_CHARACTERS, MAX_SEED, MAX_SIDE, MAX_STEPS, MIN_SIDE, SIDE_MULTIPLE, floorSide } from "../../protocol.js";

/** @typedef {"prompt"|"width"|"height"|"seed"|"steps"|"count"} FieldName */

/**
 * What the form's fields hold, as text.
 * @typedef {Record<FieldName, string> & { newSeed: boolean, lines: boolean, keepPrompts: boolean, memory: string }} FieldValues newSeed:
 *   for every picture; lines: each line of the prompt is one of its own; keepPrompts: what belongs to a prompt may stay on this device;
 *   memory: GPU memory in GB, empty for what the GPU's facts suggest
 */

/** What to say at a field: a key of the catalogue and what stands in its holes. @typedef {[key: string, values?: import("../i18n.js").Values]} Remark */

/**
 * Settings of one or more pictures, checked.
 * @typedef {object} Asked
 * @property {string[]} prompts at least one
 * @property {number} width
 * @property {number} height
 * @property {number} steps
 * @property {bigint} seed
 * @property {number} count pictures of each prompt
 */

/**
 * @typedef {object} ReadSettings
 * @property {Asked | null} asked null when there are errors
 * @property {Partial<Record<FieldName, Remark>>} errors what is wrong, by field
 * @property {Partial<Record<FieldName, Remark>>} notices what was corrected, by field
 */

const SETTING = "settings";
/** A seed that people can read out to each other; the field itself takes all 64 bits. */
const DICE_BITS = 32;
const MIN_MEMORY_GB = 0.5;
const MAX_MEMORY_GB = 1024;
const MAX_COUNT = 100;

/** @param {FieldValues} values @returns {ReadSettings} */
export function readSettings(values) {
  /** @type {ReadSettings["errors"]} */
  const errors = {};
  /** @type {ReadSettings["notices"]} */
  const notices = {};
  const prompts = (values.lines ? values.prompt.split("\n") : [values.prompt]).map((prompt) => prompt.trim()).filter((prompt) => prompt !== "");
  if (prompts.length === 0) errors.prompt = ["make.error.prompt"];
  if (prompts.some((prompt) => prompt.length > MAX_PROMPT_CHARACTERS)) errors.prompt = ["make.error.long", { most: MAX_PROMPT_CHARACTERS }];

  /** @param {"width"|"height"} name */
  const side = (name) => {
    const asked = wholeNumber(values[name], BigInt(MIN_SIDE), BigInt(MAX_SIDE));
    if (asked === null) {
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
  /** @param {"steps"|"seed"|"count"} name @param {bigint} least @param {bigint} most */
  const number = (name, least, most) => {
    const value = wholeNumber(values[name], least, most);
    if (value === null) errors[name] = ["make.error.whole", { least: `${least}`, most: `${most}` }];
    return value ?? least;
  };
  const steps = Number(number("steps", 1n, BigInt(MAX_STEPS)));
  const seed = number("seed", 0n, MAX_SEED);
  const count = Number(number("count", 1n, BigInt(MAX_COUNT)));
  const asked = Object.keys(errors).length > 0 ? null : { prompts, width, height, steps, seed, count };
  return { asked, errors, notices };
}

/**
 * What these settings put into the queue: each prompt with its seeds. A kept seed counts up, so that the first picture has it and the
 * others are the same again next time; new ones are thrown for every picture.
 * @param {Asked} asked
 * @param {{ newSeed: boolean, keepPrompts: boolean }} values
 * @returns {Omit<import("./queue.js").Order, "id">[]}
 */
export function ordersOf({ prompts, seed, count, ...picture }, { newSeed, keepPrompts }) {
  return prompts.map((prompt, i) => ({
    ...picture,
    prompt,
    seeds: Array.from({ length: count }, (_, j) => String(newSeed && i + j > 0 ? diceSeed() : (seed + BigInt(j)) % (MAX_SEED + 1n))),
    keepPrompt: keepPrompts,
  }));
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

/** @param {string} text @param {bigint} least @param {bigint} most @returns {bigint | null} null unless `text` is such a number in decimal digits */
function wholeNumber(text, least, most) {
  const digits = text.trim();
  if (!/^[0-9]{1,20}$/.test(digits)) return null;
  const value = BigInt(digits);
  return value >= least && value <= most ? value : null;
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
  for (const name of /** @type {const} */ (["prompt", "width", "height", "seed", "steps", "count", "memory"])) {
    const value = stored[name];
    if (typeof value === "string") values[name] = value;
  }
  for (const name of /** @type {const} */ (["newSeed", "lines", "keepPrompts"])) {
    const value = stored[name];
    if (typeof value === "boolean") values[name] = value;
  }
  return values;
}

/** @param {Pick<import("../store.js").Store, "write">} store @param {FieldValues} values the prompt is left out where prompts are not to be kept */
export function rememberSettings(store, values) {
  const { prompt, ...others } = values;
  if (!store.write(SETTING, values.keepPrompts ? { prompt, ...others } : others)) store.write(SETTING, others);
}
