/**
 * models/index.json of a site: the models that it offers, as kleinbild/package/model_index.py writes it. Hostile input like a manifest:
 * nothing downstream checks a field again. What a model consists of is its manifest's.
 */

import { boolean, byLanguage, integer, list, matching, oneOf, record, refuse, string } from "./reader.js";

/** @template T @typedef {import("./reader.js").FieldReaders<T>} FieldReaders */

/**
 * @typedef {object} ModelEntry
 * @property {string} id
 * @property {string} name
 * @property {string} revision
 * @property {"f32"|"f16"|"q4"} weights
 * @property {number} bytes on the device, each content once
 * @property {number} transfer_bytes to download, each content once
 * @property {Record<string, string>} notice by language; {} when there is none
 * @property {string} manifest path on the site
 * @property {boolean} default whether the page opens it
 *
 * @typedef {object} ModelIndex
 * @property {1} schema
 * @property {ModelEntry[]} models
 */

export const INDEX_PATH = "/models/index.json";
const MAX_MODELS = 64;
/** Above any model's, far below where sums of numbers lose digits. */
const MAX_BYTES = 2 ** 45;
const MAX_LANGUAGES = 32;
const MAX_NOTICE_CHARACTERS = 2000;

/** As kleinbild/notice.py writes it. */
export const notice = byLanguage(string(MAX_NOTICE_CHARACTERS), MAX_LANGUAGES);

/** @type {FieldReaders<ModelEntry>} */
const ENTRY = {
  id: matching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, "a model id"),
  name: string(200),
  revision: string(200),
  weights: oneOf(/** @type {const} */ (["f32", "f16", "q4"])),
  bytes: integer(1, MAX_BYTES),
  transfer_bytes: integer(1, MAX_BYTES),
  notice,
  manifest: matching(/^\/models\/[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.json$/, "a path /models/<id>.json"),
  default: boolean,
};

/** @type {FieldReaders<ModelIndex>} */
const INDEX = { schema: oneOf(/** @type {const} */ ([1])), models: list(record(ENTRY), 1, MAX_MODELS) };

const readIndex = record(INDEX);

/**
 * @param {unknown} json as JSON.parse returned it
 * @returns {ModelIndex}
 * @throws {import("./errors.js").KleinbildError} "bad-manifest", naming the field
 */
export function parseModelIndex(json) {
  const index = readIndex(json, "index");
  const seen = new Set();
  index.models.forEach(({ id, manifest }, i) => {
    if (manifest !== manifestPath(id)) refuse(`index.models[${i}].manifest`, `not the path of ${id}`);
    if (seen.has(id)) refuse(`index.models[${i}].id`, "listed twice");
    seen.add(id);
  });
  if (index.models.filter((entry) => entry.default).length !== 1) refuse("index.models", "not exactly one is the default");
  return index;
}

/** @param {string} id @returns {string} the path of a model's manifest on a site */
export function manifestPath(id) {
  return `/models/${id}.json`;
}
