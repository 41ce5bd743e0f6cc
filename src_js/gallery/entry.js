/**
 * A picture as the gallery lists it, and the index: these entries as one file, so that the gallery opens without reading every picture.
 * The pictures' files are the truth. An index that is missing, damaged or of another version only costs the time to read them.
 */

import { KleinbildError } from "../errors.js";
import { readPictureFile } from "../image/picture_text.js";

/**
 * @typedef {object} Entry
 * @property {string} id `<milliseconds since 1970, 13 digits>-<8 hexadecimal digits>`: later ones sort behind earlier ones
 * @property {number} width pixels; 0 where the file cannot be read
 * @property {number} height pixels; 0 where the file cannot be read
 * @property {string} prompt its beginning
 * @property {string} seed decimal, "" where it is not known
 * @property {number} bytes of the file
 * @property {number | null} crc CRC-32 of the file, null where it was not computed yet
 * @property {number} thumbnailBytes 0 where there is none yet
 */

const SCHEMA = 1;
const ID = /^[0-9]{13}-[0-9a-f]{8}$/;
const SUFFIX = ".png";
/** Enough to tell one picture from another. */
const MAX_PROMPT = 200;
const MAX_SEED = 20;

/** @param {number} time milliseconds since 1970 @returns {string} */
export function newId(time) {
  const random = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  return `${String(time).padStart(13, "0")}-${random.toString(16).padStart(8, "0")}`;
}

/** @param {Pick<Entry, "id">} entry @returns {number} when it was made, milliseconds since 1970 */
export function timeOf({ id }) {
  return Number(id.slice(0, 13));
}

/** @param {string} id @returns {string} */
export function fileName(id) {
  return id + SUFFIX;
}

/** @param {string} name @returns {string | null} null for a file that is no picture of the gallery */
export function idOf(name) {
  const id = name.slice(0, -SUFFIX.length);
  return name.endsWith(SUFFIX) && ID.test(id) ? id : null;
}

/** @param {string} id @param {Blob} file @param {number | null} [crc] @returns {Promise<Entry>} */
export async function describe(id, file, crc = null) {
  const unread = { id, width: 0, height: 0, prompt: "", seed: "", bytes: file.size, crc, thumbnailBytes: 0 };
  try {
    const { width, height, text } = await readPictureFile(file);
    return { ...unread, width, height, prompt: beginning(text?.prompt ?? ""), seed: (text?.seed ?? "").slice(0, MAX_SEED) };
  } catch (error) {
    if (error instanceof KleinbildError) return unread;
    throw error;
  }
}

/** @param {Iterable<Entry>} entries @returns {string} the index */
export function writeIndex(entries) {
  return JSON.stringify({ schema: SCHEMA, entries: [...entries] });
}

/** @param {string} text of any kind @returns {Map<string, Entry>} by id, those that are right */
export function readIndex(text) {
  /** @type {Map<string, Entry>} */
  const entries = new Map();
  try {
    const index = JSON.parse(text);
    if (index?.schema !== SCHEMA || !Array.isArray(index.entries)) return entries;
    for (const entry of index.entries) if (isEntry(entry)) entries.set(entry.id, entry);
  } catch {
    // The pictures themselves tell what it would have told.
  }
  return entries;
}

/** @param {any} value @returns {value is Entry} */
function isEntry(value) {
  return typeof value === "object" && value !== null && ID.test(value.id) &&
    isCount(value.width, 65535) && isCount(value.height, 65535) && isCount(value.bytes, Number.MAX_SAFE_INTEGER) &&
    isCount(value.thumbnailBytes, 1 << 24) && (value.crc === null || isCount(value.crc, 0xffffffff)) &&
    typeof value.prompt === "string" && value.prompt.length <= MAX_PROMPT && typeof value.seed === "string" && value.seed.length <= MAX_SEED;
}

/** @param {unknown} value @param {number} most */
function isCount(value, most) {
  return Number.isInteger(value) && /** @type {number} */ (value) >= 0 && /** @type {number} */ (value) <= most;
}

/** @param {string} prompt */
function beginning(prompt) {
  const cut = prompt.slice(0, MAX_PROMPT);
  return cut.isWellFormed() ? cut : cut.toWellFormed();
}
