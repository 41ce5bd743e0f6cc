/**
 * What a picture's file says of how it was made. Twice: as "parameters", which other tools read, and as a record of Kleinbild's own under
 * "kleinbild", which keeps what the other cannot: every prompt exactly, the revision, the times. A file of another tool gives what its
 * "parameters" hold. Texts and whole numbers are checked here, whether the model can make such a picture is not.
 */

import { VERSION } from "../version.js";
import { readParameters, writeParameters } from "./parameters.js";
import { readPng } from "./png_reader.js";

export const SCHEMA = 1;
const KEYWORD = "kleinbild";
const PARAMETERS = "parameters";
/** As A1111's face of the server names it. */
const SAMPLER = "Euler";
const MAX_PROMPT = 100_000;
const MAX_NAME = 200;
const MAX_STAGES = 32;
const SEED = /^[0-9]{1,20}$/;

/**
 * Schema 1 of the record.
 * @typedef {object} PictureRecord
 * @property {1} schema
 * @property {string} prompt
 * @property {number} width pixels
 * @property {number} height pixels
 * @property {string | null} seed decimal, as a JSON number holds no 64 bits; null: the noise came from a file
 * @property {number} steps
 * @property {string} model its id
 * @property {string} revision of the model
 * @property {string} precision "f16" or "f32"
 * @property {string} version of Kleinbild
 * @property {Record<string, number>} seconds by stage
 */

/**
 * What a file says, as text where anybody may have written it: fields that it does not tell are "".
 * @typedef {object} PictureText
 * @property {string} prompt
 * @property {string} width
 * @property {string} height
 * @property {string} seed
 * @property {string} steps
 * @property {string} model
 */

/**
 * @typedef {object} PictureFile
 * @property {number} width of the picture itself
 * @property {number} height of the picture itself
 * @property {PictureText | null} text null when it says nothing of how it was made
 * @property {PictureRecord | null} record null in files of other tools
 */

/**
 * @param {{ prompt: string, width: number, height: number, seed: bigint, steps: number, latents: Float32Array | null }} settings
 * @param {{ model: string, revision: string, precision: string }} made with
 * @param {Record<string, number>} seconds by stage
 * @returns {{ text: Record<string, string>, json: Record<string, PictureRecord> }} for encodePng
 */
export function pictureText({ prompt, width, height, seed, steps, latents }, { model, revision, precision }, seconds) {
  const version = `Kleinbild ${VERSION}`;
  /** @type {Record<string, string | number | bigint>} */
  const noise = latents ? { Latents: "given" } : { Seed: seed };
  const facts = { Steps: steps, Sampler: SAMPLER, "CFG scale": 1, ...noise, Size: `${width}x${height}`, Model: model, Version: version };
  return {
    text: { Software: version, [PARAMETERS]: writeParameters(prompt, facts) },
    json: {
      [KEYWORD]: {
        schema: SCHEMA, prompt, width, height, seed: latents ? null : String(seed), steps, model, revision, precision, version: VERSION,
        seconds: Object.fromEntries(Object.entries(seconds).map(([stage, value]) => [stage, Math.round(value * 1000) / 1000])),
      },
    },
  };
}

/**
 * @param {Blob} file anybody's
 * @returns {Promise<PictureFile>}
 * @throws {import("../errors.js").KleinbildError} "bad-input" when it is no PNG, cut off or damaged
 */
export async function readPictureFile(file) {
  const { width, height, texts } = await readPng(file, [KEYWORD, PARAMETERS]);
  const record = readRecord(texts.get(KEYWORD));
  if (record) return { width, height, record, text: textOf(record) };
  const parameters = readParameters(texts.get(PARAMETERS) ?? "");
  return { width, height, record: null, text: parameters && textOfParameters(parameters) };
}

/** @param {PictureRecord} record @returns {PictureText} */
export function textOf({ prompt, width, height, seed, steps, model }) {
  return { prompt, width: `${width}`, height: `${height}`, seed: seed ?? "", steps: `${steps}`, model };
}

/** @param {import("./parameters.js").Parameters} parameters @returns {PictureText} */
function textOfParameters({ prompt, facts }) {
  const [, width = "", height = ""] = /^([0-9]{1,5})x([0-9]{1,5})$/.exec(facts.get("Size") ?? "") ?? [];
  const fact = (/** @type {string} */ name) => (facts.get(name) ?? "").slice(0, MAX_NAME);
  return { prompt: prompt.slice(0, MAX_PROMPT), width, height, seed: fact("Seed"), steps: fact("Steps"), model: fact("Model") };
}

/**
 * @param {string | undefined} text
 * @returns {PictureRecord | null} null when there is none, or none of this schema: the "parameters" serve then
 */
function readRecord(text) {
  if (text === undefined) return null;
  try {
    return checkRecord(JSON.parse(text));
  } catch {
    return null;
  }
}

/** @param {unknown} value @returns {PictureRecord | null} with nothing in it that schema 1 does not know */
export function checkRecord(value) {
  if (typeof value !== "object" || value === null) return null;
  const { schema, prompt, width, height, seed, steps, model, revision, precision, version, seconds } =
    /** @type {Record<string, unknown>} */ (value);
  const numbers = isCount(width) && isCount(height) && isCount(steps);
  const names = isText(model, MAX_NAME) && isText(revision, MAX_NAME) && isText(precision, MAX_NAME) && isText(version, MAX_NAME);
  if (schema !== SCHEMA || !numbers || !names || !isText(prompt, MAX_PROMPT) || !isSeconds(seconds)) return null;
  if (seed !== null && !(typeof seed === "string" && SEED.test(seed))) return null;
  return { schema, prompt, width, height, seed, steps, model, revision, precision, version, seconds: { ...seconds } };
}

/** @param {unknown} value @returns {value is number} */
function isCount(value) {
  return Number.isInteger(value) && /** @type {number} */ (value) >= 1 && /** @type {number} */ (value) <= 65535;
}

/** @param {unknown} value @param {number} most @returns {value is string} */
function isText(value, most) {
  return typeof value === "string" && value.length <= most;
}

/** @param {unknown} value @returns {value is Record<string, number>} */
function isSeconds(value) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const entries = Object.entries(value);
  return entries.length <= MAX_STAGES &&
    entries.every(([name, seconds]) => name.length <= MAX_NAME && typeof seconds === "number" && seconds >= 0 && seconds <= 1e9);
}
