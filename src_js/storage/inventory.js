/**
 * Which models there are, here and on the site, and what of each is on this device: counted file by file, not by the browser's estimate.
 */

import { laterFiles, requiredFiles } from "../manifest.js";
import { manifestPath } from "../model_index.js";
import { DAMAGED_SUFFIX, fileName } from "./shard_store.js";

/**
 * @typedef {import("../manifest.js").Manifest} Manifest
 * @typedef {import("../model_index.js").ModelEntry} ModelEntry
 * @typedef {import("../model_state.js").ModelState} ModelState
 * @typedef {import("./records.js").ModelRecord} ModelRecord
 * @typedef {Map<string, number>} Sizes bytes of every file, by name
 */

/**
 * @param {import("./records.js").ModelRecords} records
 * @param {import("./shard_store.js").ShardStore} store
 * @param {import("./site.js").Site} site
 * @returns {Promise<import("../model_state.js").Inventory>} what the site offers first, in its order
 */
export async function inventory(records, store, site) {
  const [index, here, sizes] = await Promise.all([site.index().catch(() => undefined), records.all(), store.sizes()]);
  const entries = index?.models ?? [];
  const needed = usersByName(here);
  const offered = await Promise.all(entries.map(async (entry) => {
    const record = here.find(({ manifest }) => manifest.id === entry.id);
    const manifest = record?.manifest ?? (await site.manifest(entry.manifest).then((found) => found.manifest, () => undefined));
    return modelState(entry, manifest, record, sizes, needed, olderRevision(entry, entries, here));
  }));
  const others = here.filter(({ manifest }) => !entries.some(({ id }) => id === manifest.id));
  const models = [...offered, ...others.map((record) => modelState(entryOf(record.manifest), record.manifest, record, sizes, needed, null))];
  const bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  const leftovers = [...sizes].filter(([name]) => !needed.has(name)).reduce((sum, [, size]) => sum + size, 0);
  return { models, store: { persistent: store.persistent, bytes, leftoverBytes: leftovers, offline: index === undefined } };
}

/**
 * @param {Omit<ModelEntry, "default"> & { default: boolean | null }} entry default null: the site does not offer it
 * @param {Manifest | undefined} manifest undefined when it could not be fetched: everything is missing then
 * @param {ModelRecord | undefined} record
 * @param {Sizes} sizes @param {Map<string, number>} needed @param {string | null} replaces
 * @returns {ModelState}
 */
function modelState(entry, manifest, record, sizes, needed, replaces) {
  const files = manifest ? [...requiredFiles(manifest), ...laterFiles(manifest)] : [];
  const present = files.filter((file) => sizes.get(fileName(file)) === file.bytes);
  const missing = files.filter((file) => sizes.get(fileName(file)) !== file.bytes);
  const whole = manifest !== undefined && missing.length === 0;
  const own = record ? 1 : 0;
  return {
    id: entry.id,
    name: entry.name,
    weights: entry.weights,
    revision: entry.revision,
    notice: entry.notice,
    manifest: entry.manifest,
    offered: entry.default !== null,
    default: entry.default === true,
    installed: record !== undefined,
    paused: record?.download === "paused" && !whole,
    interrupted: record?.download === "running" && !whole,
    bytes: entry.bytes,
    hereBytes: sum(present, "bytes"),
    ownBytes: sum(present.filter((file) => needed.get(fileName(file)) === own), "bytes"),
    missingBytes: manifest ? sum(missing, "transfer_bytes") : entry.transfer_bytes,
    missingFiles: missing.length,
    verified: whole && record?.verified ? record.verified : null,
    damaged: record ? missing.map(fileName).filter((name) => sizes.has(name + DAMAGED_SUFFIX)) : [],
    replaces,
  };
}

/** @param {readonly ModelRecord[]} records @returns {Map<string, number>} how many installed models need each file */
function usersByName(records) {
  /** @type {Map<string, number>} */
  const users = new Map();
  for (const { manifest } of records) {
    for (const file of [...requiredFiles(manifest), ...laterFiles(manifest)]) users.set(fileName(file), (users.get(fileName(file)) ?? 0) + 1);
  }
  return users;
}

/**
 * The first of a site's models with this name and format takes the place of one that the site no longer has.
 * @param {ModelEntry} entry @param {readonly ModelEntry[]} entries @param {readonly ModelRecord[]} here
 * @returns {string | null}
 */
function olderRevision(entry, entries, here) {
  const same = (/** @type {{ name: string, weights: string }} */ other) => other.name === entry.name && other.weights === entry.weights;
  if (entries.find(same) !== entry) return null;
  const old = here.find(({ manifest }) => same(manifest) && !entries.some(({ id }) => id === manifest.id));
  return old?.manifest.id ?? null;
}

/** @param {Manifest} manifest @returns {Omit<ModelEntry, "default"> & { default: null }} */
function entryOf(manifest) {
  const files = [...requiredFiles(manifest), ...laterFiles(manifest)];
  const { id, name, revision, weights, notice } = manifest;
  return {
    id, name, revision, weights, notice, manifest: manifestPath(id), default: null,
    bytes: sum(files, "bytes"), transfer_bytes: sum(files, "transfer_bytes"),
  };
}

/** @param {readonly import("../manifest.js").FileRef[]} files @param {"bytes"|"transfer_bytes"} of */
function sum(files, of) {
  return files.reduce((total, file) => total + file[of], 0);
}
