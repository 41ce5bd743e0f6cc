/**
 * The vocabulary file as the packager writes it (schema 1), checked and turned into what the tokenizer looks things up
 * in. The file is hostile input: every index is checked here, so nothing downstream has to.
 */

import { KleinbildError } from "../../errors.js";

/**
 * @typedef {object} AddedToken A token that is cut out of the text before anything else happens to it.
 * @property {number} id
 * @property {string} content
 * @property {boolean} special
 * @property {boolean} single_word Matches only between non-word characters.
 * @property {boolean} lstrip Swallows the white space before it.
 * @property {boolean} rstrip Swallows the white space after it.
 * @property {boolean} normalized Is looked for in the normalized text, not in the raw text.
 */

/**
 * @typedef {object} VocabularyFile
 * @property {number} schema 1
 * @property {string} normalizer "NFC" or ""
 * @property {string} split "qwen2"
 * @property {{ L: number[], N: number[], s: number[] }} classes Flattened inclusive code point ranges.
 * @property {string[]} tokens The base vocabulary in the byte-level alphabet; index = id, "" for a hole.
 * @property {number[]} merges [left id, right id, ...] in rank order.
 * @property {AddedToken[]} added
 * @property {{ prefix: string, suffix: string }} template
 * @property {number} pad_id
 * @property {number} max_length
 */

/**
 * @typedef {object} Vocabulary
 * @property {string} normalizer
 * @property {Uint8Array} classes [0x110000] the character class of each code point
 * @property {Int32Array} byteIds [256] the token of each byte, -1 where the vocabulary has none
 * @property {Int32Array} merges [2 * ranks]
 * @property {Int32Array} mergedIds [ranks] what a merge makes
 * @property {AddedToken[]} added
 * @property {{ prefix: string, suffix: string }} template
 * @property {number} padId
 * @property {number} maxLength
 */

export const CLASS_OTHER = 0;
export const CLASS_LETTER = 1;
export const CLASS_NUMBER = 2;
export const CLASS_SPACE = 3;

const CODE_POINTS = 0x110000;
const MAX_TOKENS = 1 << 20;
const MAX_MERGES = 1 << 20; // rank * 2^32 + position must stay an exact double
const MAX_ADDED = 1 << 14;
const MAX_LENGTH = 1 << 16;

/** @param {string} what @returns {never} */
function refuse(what) {
  throw new KleinbildError("bad-manifest", `The tokenizer's vocabulary file is damaged: ${what}. Package it again.`);
}

/**
 * @param {VocabularyFile} file Parsed JSON, untrusted.
 * @returns {Vocabulary}
 * @throws {KleinbildError} "bad-manifest" naming the first thing that is wrong.
 */
export function readVocabulary(file) {
  if (typeof file !== "object" || file === null || file.schema !== 1) refuse("schema is not 1");
  if (file.normalizer !== "NFC" && file.normalizer !== "") refuse(`unknown normalizer ${file.normalizer}`);
  if (file.split !== "qwen2") refuse(`unknown split pattern ${file.split}`);
  const ids = readTokens(file.tokens);
  const merges = readMerges(file.merges, file.tokens.length);
  const { prefix, suffix } = file.template ?? {};
  if (typeof prefix !== "string" || typeof suffix !== "string") refuse("template has no prefix and suffix");
  if (!isIndex(file.max_length, MAX_LENGTH) || file.max_length === 0) refuse(`max_length is ${file.max_length}`);
  if (!isIndex(file.pad_id, MAX_TOKENS)) refuse(`pad_id is ${file.pad_id}`);
  return {
    normalizer: file.normalizer,
    classes: readClasses(file.classes),
    byteIds: byteIds(ids),
    merges,
    mergedIds: mergedIds(merges, file.tokens, ids),
    added: readAdded(file.added),
    template: { prefix, suffix },
    padId: file.pad_id,
    maxLength: file.max_length,
  };
}

/** @param {unknown} value @param {number} bound @returns {value is number} */
function isIndex(value, bound) {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < bound;
}

/** @param {string[]} tokens @returns {Map<string, number>} */
function readTokens(tokens) {
  if (!Array.isArray(tokens) || tokens.length > MAX_TOKENS) refuse("tokens is no list, or too long");
  const ids = new Map();
  for (let id = 0; id < tokens.length; id++) {
    const token = tokens[id];
    if (typeof token !== "string") refuse(`token ${id} is no string`);
    if (token !== "") ids.set(token, id);
  }
  return ids;
}

/** @param {number[]} merges @param {number} tokenCount @returns {Int32Array} */
function readMerges(merges, tokenCount) {
  if (!Array.isArray(merges) || merges.length % 2 || merges.length > 2 * MAX_MERGES) {
    refuse("merges is no list of pairs, or too long");
  }
  const bad = merges.findIndex((id) => !isIndex(id, tokenCount));
  if (bad >= 0) refuse(`merge ${bad >> 1} names no token`);
  return Int32Array.from(merges);
}

/** @param {Int32Array} merges @param {string[]} tokens @param {Map<string, number>} ids @returns {Int32Array} */
function mergedIds(merges, tokens, ids) {
  return new Int32Array(merges.length / 2).map((_, rank) => {
    const merged = `${tokens[merges[2 * rank] ?? 0]}${tokens[merges[2 * rank + 1] ?? 0]}`;
    return ids.get(merged) ?? refuse(`merge ${rank} makes a token that is not there`);
  });
}

/** @param {{ L: number[], N: number[], s: number[] }} classes @returns {Uint8Array} [0x110000] */
function readClasses(classes) {
  const table = new Uint8Array(CODE_POINTS);
  fillClass(table, classes?.L, CLASS_LETTER, "L");
  fillClass(table, classes?.N, CLASS_NUMBER, "N");
  fillClass(table, classes?.s, CLASS_SPACE, "s");
  for (const character of " \r\n") {
    // The scanner's progress rests on these three being white space.
    if (table[character.charCodeAt(0)] !== CLASS_SPACE) refuse("class s lacks space, CR or LF");
  }
  return table;
}

/** @param {Uint8Array} table @param {number[]} ranges @param {number} value @param {string} name */
function fillClass(table, ranges, value, name) {
  if (!Array.isArray(ranges) || ranges.length % 2 || ranges.length > CODE_POINTS) refuse(`class ${name} has no ranges`);
  for (let i = 0; i < ranges.length; i += 2) {
    const first = ranges[i];
    const last = ranges[i + 1];
    if (!isIndex(first, CODE_POINTS) || !isIndex(last, CODE_POINTS) || last < first) {
      refuse(`class ${name} has the range ${first}..${last}`);
    }
    table.fill(value, first, last + 1);
  }
}

/** @param {AddedToken[]} added @returns {AddedToken[]} Without empty ones, which match nothing. */
function readAdded(added) {
  if (!Array.isArray(added) || added.length > MAX_ADDED) refuse("added is no list, or too long");
  for (const token of added) {
    const whole = isIndex(token?.id, MAX_TOKENS) && typeof token.content === "string";
    if (!whole) refuse("an added token lacks id or content");
    for (const flag of /** @type {const} */ (["special", "single_word", "lstrip", "rstrip", "normalized"])) {
      if (typeof token[flag] !== "boolean") refuse(`added token ${token.id} lacks the flag ${flag}`);
    }
  }
  return added.filter((token) => token.content !== "");
}

/**
 * GPT-2's byte-level alphabet: printable Latin-1 stands for itself, the other bytes for U+0100 upwards in order.
 * @param {Map<string, number>} ids @returns {Int32Array} [256]
 */
function byteIds(ids) {
  let next = 0x100;
  return new Int32Array(256).map((_, byte) => {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
    return ids.get(String.fromCharCode(printable ? byte : next++)) ?? -1;
  });
}
