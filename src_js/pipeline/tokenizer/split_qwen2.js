/**
 * The word pattern of Qwen2 and Qwen3, scanned by hand in linear time:
 *
 *   (?i:'s|'t|'re|'ve|'m|'ll|'d) | [^\r\n\p{L}\p{N}]?\p{L}+ | \p{N} | ?[^\s\p{L}\p{N}]+[\r\n]*
 *   | \s*[\r\n]+ | \s+(?!\S) | \s+
 *
 * A JavaScript RegExp would read \p{L}, \p{N} and \s by another Unicode version than the reference engine
 * (Oniguruma), and backtracks on long white space; the classes here come from the vocabulary file.
 */

import { CLASS_LETTER, CLASS_NUMBER, CLASS_OTHER, CLASS_SPACE } from "./vocabulary.js";

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const APOSTROPHE = 0x27;
const LONG_S = 0x17f; // folds to "s" without regard to case

/**
 * The end of the piece that begins at `start`. Every character belongs to some piece.
 * @param {string} text Well-formed.
 * @param {number} start In UTF-16 units, less than text.length.
 * @param {Uint8Array} classes [0x110000]
 * @returns {number} Greater than start.
 */
export function pieceEnd(text, start, classes) {
  const first = text.codePointAt(start) ?? 0;
  const firstClass = classes[first];
  const second = start + width(first);
  if (first === APOSTROPHE) {
    const end = contractionEnd(text, second);
    if (end) return end;
  }
  if (firstClass === CLASS_LETTER) return runEnd(text, second, classes, CLASS_LETTER);
  if (firstClass === CLASS_NUMBER) return second;
  if (first !== CR && first !== LF && classAt(text, second, classes) === CLASS_LETTER) {
    return runEnd(text, second, classes, CLASS_LETTER);
  }
  if (firstClass === CLASS_OTHER || (first === SPACE && classAt(text, second, classes) === CLASS_OTHER)) {
    let end = runEnd(text, second, classes, CLASS_OTHER);
    while (isNewline(text.charCodeAt(end))) end++;
    return end;
  }
  return spaceEnd(text, start, classes);
}

/** @param {number} codePoint @returns {number} In UTF-16 units. */
function width(codePoint) {
  return codePoint > 0xffff ? 2 : 1;
}

/** @param {number} unit NaN past the end @returns {boolean} */
function isNewline(unit) {
  return unit === LF || unit === CR;
}

/** @param {string} text @param {number} at @param {Uint8Array} classes @returns {number} -1 past the end. */
function classAt(text, at, classes) {
  const codePoint = text.codePointAt(at);
  return codePoint === undefined ? -1 : (classes[codePoint] ?? CLASS_OTHER);
}

/** @param {string} text @param {number} at @param {Uint8Array} classes @param {number} wanted @returns {number} */
function runEnd(text, at, classes, wanted) {
  for (;;) {
    const codePoint = text.codePointAt(at);
    if (codePoint === undefined || classes[codePoint] !== wanted) return at;
    at += width(codePoint);
  }
}

/** @param {string} text @param {number} at Behind the apostrophe. @returns {number} 0 when it is no contraction. */
function contractionEnd(text, at) {
  const first = text.charCodeAt(at);
  const second = text.charAt(at + 1).toLowerCase();
  switch (first === LONG_S ? "s" : String.fromCharCode(first).toLowerCase()) {
    case "s":
    case "t":
    case "m":
    case "d":
      return at + 1;
    case "r":
    case "v":
      return second === "e" ? at + 2 : 0;
    case "l":
      return second === "l" ? at + 2 : 0;
    default:
      return 0;
  }
}

/**
 * White space goes up to its last line break, if it has one; otherwise it leaves its last character to a word that
 * follows, unless that is its only one.
 * @param {string} text @param {number} start @param {Uint8Array} classes @returns {number}
 */
function spaceEnd(text, start, classes) {
  let end = start;
  let last = start;
  let lineEnd = 0;
  for (;;) {
    const codePoint = text.codePointAt(end);
    if (codePoint === undefined || classes[codePoint] !== CLASS_SPACE) break;
    last = end;
    end += width(codePoint);
    if (isNewline(codePoint)) lineEnd = end;
  }
  if (lineEnd) return lineEnd;
  return end === text.length || last === start ? end : last;
}
