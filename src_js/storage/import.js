/**
 * Models from a folder, without the network. Every file is compared with the digest that its manifest gives before it counts; what is
 * damaged or not there stays missing, and may come from the site or another folder later.
 */

import { KleinbildError, throwIfCancelled } from "../errors.js";
import { SHARD_BYTES, parseManifest } from "../manifest.js";
import { modelsIn } from "./folder.js";
import { Damaged, Gunzip } from "./gunzip.js";
import { allFiles, noteWhole } from "./library.js";
import { MAX_MANIFEST_CHARACTERS } from "./records.js";
import { fileName } from "./shard_store.js";

/**
 * @typedef {import("./folder.js").FoundFile} FoundFile
 * @typedef {import("../manifest.js").FileRef} FileRef
 *
 * @typedef {object} ImportResult of one model
 * @property {string} id
 * @property {string} name
 * @property {number} files that came from the folder
 * @property {string[]} damaged paths in the folder of files whose bytes are not what they should be
 * @property {number} missing files that are on this device neither before nor now
 */

/**
 * @param {import("./library.js").ModelLibrary} library
 * @param {readonly FoundFile[]} found
 * @param {import("./library.js").Watching} options
 * @returns {Promise<ImportResult[]>} of every model in the folder
 * @throws {KleinbildError} "bad-input" without a model, "bad-manifest", "storage-full", "cancelled"
 */
export async function importModels(library, found, { signal, onProgress }) {
  const models = modelsIn(found);
  if (models.length === 0) {
    throw new KleinbildError("bad-input", "There is no model in this folder. Choose one with the folders \u201cmodels\u201d and \u201cw\u201d: an exported " +
      "model, or what build.py site has written.");
  }
  library.store.recheck();
  const plans = [];
  for (const { manifest: file, files } of models) {
    const text = await manifestText(file);
    const manifest = readManifest(text, file.path);
    const missing = await library.store.missing(allFiles(manifest));
    plans.push({ manifest, text, files, missing });
  }
  const all = plans.flatMap(({ missing }) => missing);
  const totalBytes = all.reduce((sum, { bytes }) => sum + bytes, 0);
  let [bytes, done] = [0, 0];
  const results = [];
  for (const { manifest, text, files, missing } of plans) {
    await library.records.put(manifest, text, { pinned: true });
    const result = { id: manifest.id, name: manifest.name, files: 0, damaged: /** @type {string[]} */ ([]), missing: 0 };
    for (const file of missing) {
      throwIfCancelled(signal);
      const kept = await importFile(library.store, file, files, result.damaged);
      result.files += kept ? 1 : 0;
      bytes += file.bytes;
      done += 1;
      onProgress?.({ bytes, totalBytes, files: done, totalFiles: all.length, problem: "" });
    }
    result.missing = (await library.store.missing(allFiles(manifest))).length;
    if (result.missing === 0) await noteWhole(library.records, { manifest, text });
    results.push(result);
  }
  return results;
}

/**
 * @param {import("./shard_store.js").ShardStore} store @param {FileRef} file
 * @param {Map<string, FoundFile>} files @param {string[]} damaged gets the path of what is not what it should be
 * @returns {Promise<boolean>} whether the file is here now
 */
async function importFile(store, file, files, damaged) {
  for (const name of [fileName(file), `${fileName(file)}.gz`]) {
    const found = files.get(name);
    if (!found) continue;
    const bytes = await plainBytes(found, file.bytes);
    if (bytes && (await store.keep(file, bytes))) return true;
    damaged.push(found.path);
  }
  return false;
}

/** @param {FoundFile} found @param {number} size @returns {Promise<Uint8Array<ArrayBuffer> | undefined>} undefined when it cannot be those */
async function plainBytes(found, size) {
  try {
    const blob = await found.open();
    if (!found.path.endsWith(".gz")) return blob.size === size ? new Uint8Array(await blob.arrayBuffer()) : undefined;
    if (blob.size > SHARD_BYTES) return undefined;
    const target = new Uint8Array(size);
    const gunzip = new Gunzip(target);
    await gunzip.write(new Uint8Array(await blob.arrayBuffer()));
    await gunzip.end();
    return target;
  } catch (error) {
    if (error instanceof Damaged || error instanceof DOMException) return undefined;       // cut, or the stick was pulled
    throw error;
  }
}

/** @param {FoundFile} file @returns {Promise<string>} */
async function manifestText(file) {
  const blob = await file.open();
  if (blob.size > MAX_MANIFEST_CHARACTERS) throw new KleinbildError("bad-manifest", `${file.path} is far too long to describe a model.`);
  return blob.text();
}

/** @param {string} text @param {string} path */
function readManifest(text, path) {
  let json;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new KleinbildError("bad-manifest", `${path} is not JSON. Copy the folder again.`, { cause: error });
  }
  const manifest = parseManifest(json);
  if (!path.endsWith(`models/${manifest.id}.json`)) throw new KleinbildError("bad-manifest", `${path} describes the model ${manifest.id}.`);
  return manifest;
}
