/**
 * Reading untrusted JSON into typed values: small functions that check one value each and combine into readers
 * of whole records. Knows nothing of what the records mean. Every refusal names the field by its path
 * ("manifest.tensors[3].parts[0].offset") and throws KleinbildError("bad-manifest").
 */

import { KleinbildError } from "./errors.js";

/**
 * @template T
 * @typedef {(value: unknown, where: string) => T} Reader
 */

/**
 * One reader for each field: a missing or additional key in such a table is a type error.
 * @template T
 * @typedef {{ [K in keyof Required<T>]: Reader<T[K]> }} FieldReaders
 */

const SHOWN_CHARACTERS = 80;

/** @param {string} where @param {string} problem @returns {never} */
export function refuse(where, problem) {
  throw new KleinbildError("bad-manifest", `${where}: ${problem}. The site is damaged: build it again.`);
}

/** @param {unknown} value @returns {string} `value` in a few characters, for a message. */
export function shown(value) {
  const text = typeof value === "bigint" ? String(value) : JSON.stringify(value) ?? String(value);
  return text.length <= SHOWN_CHARACTERS ? text : text.slice(0, SHOWN_CHARACTERS) + "...";
}

/** @param {number} min @param {number} max @returns {Reader<number>} A whole number in [min, max]. */
export function integer(min, max) {
  return (value, where) => {
    if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
      return refuse(where, `expected a whole number from ${min} to ${max}, found ${shown(value)}`);
    }
    return value;
  };
}

/** @param {number} max @returns {Reader<number>} A finite number in (0, max]. */
export function positive(max) {
  return (value, where) => {
    if (typeof value !== "number" || !(value > 0) || value > max) {
      return refuse(where, `expected a number above 0 and at most ${max}, found ${shown(value)}`);
    }
    return value;
  };
}

/** @param {number} max @returns {Reader<number>} A finite number in [0, max]. */
export function notNegative(max) {
  return (value, where) => {
    if (typeof value !== "number" || !(value >= 0) || value > max) {
      return refuse(where, `expected a number from 0 to ${max}, found ${shown(value)}`);
    }
    return value;
  };
}

/** @type {Reader<boolean>} */
export function boolean(value, where) {
  return typeof value === "boolean" ? value : refuse(where, `expected true or false, found ${shown(value)}`);
}

/** @param {number} max @returns {Reader<string>} A string of at most `max` UTF-16 units. */
export function string(max) {
  return (value, where) => {
    if (typeof value !== "string") return refuse(where, `expected a string, found ${shown(value)}`);
    if (value.length > max) return refuse(where, `longer than ${max} characters`);
    return value;
  };
}

/** @param {RegExp} pattern @param {string} meaning @returns {Reader<string>} */
export function matching(pattern, meaning) {
  return (value, where) => {
    if (typeof value !== "string" || !pattern.test(value)) {
      return refuse(where, `expected ${meaning}, found ${shown(value)}`);
    }
    return value;
  };
}

/**
 * @template {string|number} T
 * @param {readonly T[]} allowed
 * @returns {Reader<T>}
 */
export function oneOf(allowed) {
  return (value, where) => {
    const found = allowed.find((candidate) => candidate === value);
    return found ?? refuse(where, `expected one of ${allowed.join(", ")}, found ${shown(value)}`);
  };
}

/**
 * @template T
 * @param {Reader<T>} item
 * @param {number} min fewest items
 * @param {number} max most items
 * @returns {Reader<T[]>}
 */
export function list(item, min, max) {
  return (value, where) => {
    if (!Array.isArray(value)) return refuse(where, `expected a list, found ${shown(value)}`);
    if (value.length < min || value.length > max) {
      return refuse(where, `expected ${min} to ${max} items, found ${value.length}`);
    }
    return value.map((one, i) => item(one, `${where}[${i}]`));
  };
}

/**
 * An object with exactly the fields of `readers`; the result is a fresh object that holds nothing else.
 * @template T
 * @param {FieldReaders<T>} readers
 * @returns {Reader<T>}
 */
export function record(readers) {
  const names = /** @type {(keyof T & string)[]} */ (Object.keys(readers));
  return (unknown, where) => {
    const value = object(unknown, where);
    for (const name of Object.keys(value)) {
      if (!names.some((known) => known === name)) refuse(`${where}.${name}`, "unknown field");
    }
    const result = /** @type {T} */ ({});
    for (const name of names) {
      if (!Object.hasOwn(value, name)) refuse(`${where}.${name}`, "missing");
      result[name] = readers[name](value[name], `${where}.${name}`);
    }
    return result;
  };
}

/**
 * @param {Reader<string>} text of one language
 * @param {number} max most languages
 * @returns {Reader<Record<string, string>>} by language, English among them unless there is none
 */
export function byLanguage(text, max) {
  return (unknown, where) => {
    const entries = Object.entries(object(unknown, where));
    if (entries.length > max) refuse(where, `expected at most ${max} languages, found ${entries.length}`);
    /** @type {Record<string, string>} */
    const result = {};
    for (const [language, value] of entries) {
      if (!/^[a-z]{2,3}$/.test(language)) refuse(where, `${shown(language)} is no language`);
      result[language] = text(value, `${where}.${language}`);
    }
    if (entries.length > 0 && !("en" in result)) refuse(where, "not there in English");
    return result;
  };
}

/** @param {unknown} value @param {string} where @returns {Record<string, unknown>} */
function object(value, where) {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return /** @type {Record<string, unknown>} */ (value);
  return refuse(where, `expected an object, found ${shown(value)}`);
}
