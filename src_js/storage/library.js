/**
 * The models on this device: what there is, installing, verifying, repairing, removing. Models share equal files; a file goes only when no
 * other installed model needs it. Joins the records, the store of files and the site, and knows the layout of none of them. Folders
 * outside the browser are transfer.js's.
 */

import { KleinbildError, asKleinbildError } from "../errors.js";
import { laterFiles, requiredFiles } from "../manifest.js";
import { manifestPath } from "../model_index.js";
import { inventory } from "./inventory.js";
import { MemoryLayer } from "./memory.js";
import { openOpfs } from "./opfs.js";
import { ModelRecords } from "./records.js";
import { DAMAGED_SUFFIX, ShardStore, fileName } from "./shard_store.js";
import { Site } from "./site.js";

/**
 * @typedef {import("../manifest.js").Manifest} Manifest
 * @typedef {import("../manifest.js").FileRef} FileRef
 * @typedef {import("./records.js").ModelRecord} ModelRecord
 * @typedef {import("./site.js").FetchedManifest} FetchedManifest
 * @typedef {{ signal?: AbortSignal | undefined, onProgress?: (progress: import("./shard_store.js").InstallProgress) => void }} Watching
 */

/**
 * @typedef {object} VerifyResult
 * @property {number} files looked at
 * @property {string[]} damaged names of files that were set aside now
 * @property {number} missing files
 */

const RECORDS_DIRECTORY = ["kleinbild", "models"];

/** @returns {Promise<ModelRecords>} on this device, or in memory where the browser gives a page no storage */
export async function openRecords() {
  return ModelRecords.open(await openOpfs(RECORDS_DIRECTORY).catch(() => new MemoryLayer()));
}

export class ModelLibrary {
  /** @param {{ records: ModelRecords, store: ShardStore, site: Site }} parts */
  constructor({ records, store, site }) {
    this.records = records;
    this.store = store;
    this.site = site;
  }

  /** @param {string} baseUrl the site's root @returns {Promise<ModelLibrary>} */
  static async open(baseUrl) {
    const records = await openRecords();
    const store = await ShardStore.open({ baseUrl, model: [], kept: () => keptNames(records) });
    return new ModelLibrary({ records, store, site: new Site(baseUrl) });
  }

  /** @returns {Promise<import("../model_state.js").Inventory>} */
  async list() {
    return inventory(this.records, this.store, this.site);
  }

  /**
   * Downloads whatever of a model is missing. How far it got survives the page: a pause as such, anything else as an interruption.
   * @param {string} id
   * @param {Watching & { replaces?: string, paused?: () => boolean }} options replaces: the older revision that goes once this is whole;
   *   paused: whether an abort was a pause
   * @throws {KleinbildError} "download-failed", "bad-shard", "storage-full", "bad-manifest", "cancelled"
   */
  async install(id, { signal, onProgress, replaces = "", paused = () => true }) {
    const { manifest, text } = await this.#manifest(id);
    this.store.recheck();
    await this.records.put(manifest, text, { pinned: true, download: "running", ...(replaces && { replaces }) });
    try {
      await this.store.install(allFiles(manifest), { ...(onProgress && { onProgress }), signal });
    } catch (error) {
      if (asKleinbildError(error).code === "cancelled" && paused()) await noted(this.records.put(manifest, text, { download: "paused" }));
      throw error;
    }
    await noteWhole(this.records, { manifest, text });
  }

  /**
   * Reads every file of a model and compares its digest. What is damaged is set aside.
   * @param {string} id @param {Watching} options
   * @returns {Promise<VerifyResult>}
   * @throws {KleinbildError} "cancelled", "in-use", "incomplete" when it is not installed
   */
  async verify(id, { signal, onProgress }) {
    const { manifest, text } = await this.#installed(id);
    const began = Date.now();
    const files = allFiles(manifest);
    const totalBytes = files.reduce((sum, file) => sum + file.bytes, 0);
    const result = { files: 0, damaged: /** @type {string[]} */ ([]), missing: 0 };
    let bytes = 0;
    for (const file of files) {
      if (signal?.aborted) throw new KleinbildError("cancelled", "The check was cancelled.");
      const found = await this.store.check(file);
      if (found === "damaged") result.damaged.push(fileName(file));
      if (found === "missing") result.missing += 1;
      result.files += 1;
      bytes += file.bytes;
      onProgress?.({ bytes, totalBytes, files: result.files, totalFiles: files.length, problem: "" });
    }
    const whole = result.damaged.length === 0 && result.missing === 0;
    await noted(this.records.put(manifest, text, { verified: whole ? began : 0 }));
    return result;
  }

  /**
   * Fetches files again that were set aside.
   * @param {string} id @param {readonly string[] | null} names of files, null for all that are damaged
   * @param {Watching} options
   * @throws {KleinbildError} as `install`
   */
  async repair(id, names, { signal, onProgress }) {
    const { manifest, text } = await this.#manifest(id);
    const sizes = await this.store.sizes();
    const wanted = allFiles(manifest).filter((file) => {
      const name = fileName(file);
      return names ? names.includes(name) : sizes.has(name + DAMAGED_SUFFIX);
    });
    await this.store.install(wanted, { ...(onProgress && { onProgress }), signal });
    if ((await this.store.missing(allFiles(manifest))).length === 0) await noteWhole(this.records, { manifest, text });
  }

  /**
   * Removes a model: its record first, so that what an interruption leaves is known to belong to nobody.
   * @param {string} id
   * @throws {KleinbildError} "in-use"
   */
  async remove(id) {
    const record = await this.records.get(id);
    await this.records.remove(id);
    if (!record) return;
    const others = new Set(await keptNames(this.records));
    const names = allFiles(record.manifest).map(fileName).filter((name) => !others.has(name));
    await this.store.remove(names.flatMap((name) => [name, name + DAMAGED_SUFFIX]));
  }

  /** Removes every file that no installed model needs. @throws {KleinbildError} "in-use" */
  async clean() {
    const kept = new Set(await keptNames(this.records));
    await this.store.remove([...(await this.store.sizes()).keys()].filter((name) => !kept.has(name)));
  }

  /** @param {string} id @returns {Promise<ModelRecord>} @throws {KleinbildError} "incomplete" */
  async #installed(id) {
    const record = await this.records.get(id);
    if (!record) throw new KleinbildError("incomplete", `The model ${id} is not on this device. Download or import it first.`);
    return record;
  }

  /** @param {string} id @returns {Promise<FetchedManifest>} the site's, whose paths lead to files; else the one kept here */
  async #manifest(id) {
    try {
      return await this.site.manifest(manifestPath(id));
    } catch (error) {
      const record = await this.records.get(id);
      if (!record) throw error;
      return record;
    }
  }
}

/** @param {Manifest} manifest @returns {FileRef[]} every file, each once, those of every picture first */
export function allFiles(manifest) {
  return [...requiredFiles(manifest), ...laterFiles(manifest)];
}

/**
 * Notes that a model is whole. Every file was checked as it came, the first not before its download was begun.
 * @param {ModelRecords} records @param {FetchedManifest} of
 */
export async function noteWhole(records, { manifest, text }) {
  const record = await records.get(manifest.id);
  await noted(records.put(manifest, text, { download: "none", verified: record?.verified || (record?.begun ?? Date.now()) }));
}

/**
 * What is only noted may be lost where the device is full: the model itself is none the worse.
 * @param {Promise<void>} noting
 */
export async function noted(noting) {
  await noting.catch((error) => {
    if (asKleinbildError(error).code !== "storage-full") throw error;
  });
}

/**
 * @param {ModelRecords} records
 * @param {{ pinned?: boolean }} [which] pinned: only of models that were asked for by hand
 * @returns {Promise<string[]>} names of the files that installed models need
 */
export async function keptNames(records, { pinned = false } = {}) {
  const all = (await records.all()).filter((record) => !pinned || record.pinned);
  return all.flatMap(({ manifest }) => allFiles(manifest).map(fileName));
}
