/**
 * A model from this device into a folder, laid out as a site: it can be imported elsewhere, served by serve.py, and checked by build.py
 * check. The files are plain, as they are stored here; SHA256SUMS is written last, so a folder with it is whole. What the folder already
 * holds is compared, not written again.
 */

import { sha256Hex } from "../digest.js";
import { KleinbildError, throwIfCancelled } from "../errors.js";
import { INDEX_PATH, manifestPath } from "../model_index.js";
import { readFile, writeFile } from "./folder.js";
import { allFiles } from "./library.js";
import { fileName } from "./shard_store.js";

/**
 * @typedef {import("../manifest.js").FileRef} FileRef
 * @typedef {import("../manifest.js").Manifest} Manifest
 */

const SUMS = "SHA256SUMS";
/** In the order of their lines in SHA256SUMS. */
const byPath = (/** @type {[string, string]} */ [a], /** @type {[string, string]} */ [b]) => (a < b ? -1 : 1);

/**
 * @param {import("./library.js").ModelLibrary} library
 * @param {string} id
 * @param {FileSystemDirectoryHandle} chosen gets a folder of its own for the model
 * @param {import("./library.js").Watching & { page: Page }} options
 * @returns {Promise<{ folder: string }>} its name
 * @throws {KleinbildError} "incomplete", "bad-input", "bad-shard", "storage-full", "cancelled"
 */
export async function exportModel(library, id, chosen, { signal, onProgress, page }) {
  const record = await library.records.get(id);
  if (!record) throw new KleinbildError("incomplete", `The model ${id} is not on this device. Download or import it first.`);
  library.store.recheck();
  const files = allFiles(record.manifest);
  if ((await library.store.missing(files)).length > 0) {
    throw new KleinbildError("incomplete", "Parts of this model are not on this device. Download the rest first, then export it.");
  }
  const folder = `kleinbild-${id}`;
  const target = await chosen.getDirectoryHandle(folder, { create: true });
  const totalBytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
  /** @type {[string, string][]} */
  const sums = [];
  let bytes = 0;
  for (const [i, file] of files.entries()) {
    throwIfCancelled(signal);
    const path = `w/${fileName(file)}`;
    if (!(await holds(target, path, file))) await writeFile(target, path, await soundBytes(library, file));
    sums.push([path, file.sha256]);
    bytes += file.bytes;
    onProgress?.({ bytes, totalBytes, files: i + 1, totalFiles: files.length, problem: "" });
  }
  for (const [path, content] of [...(await page.files(manifestPath(id))), ...describing(record.manifest)]) {
    throwIfCancelled(signal);
    await writeFile(target, path, content);
    sums.push([path, await sha256Hex(content)]);
  }
  const lines = sums.sort(byPath).map(([path, digest]) => `${digest}  ${path}\n`);
  await writeFile(target, SUMS, encoded(lines.join("")));
  return { folder };
}

/** The page that runs here, as files of a site. */
export class Page {
  #base;
  #fetch;

  /** @param {URL} base the folder of its build on the site @param {typeof fetch} [fetcher] for tests */
  constructor(base, fetcher = fetch.bind(globalThis)) {
    this.#base = base;
    this.#fetch = fetcher;
  }

  /**
   * @param {string} defaultManifest path of the manifest that the copy opens
   * @returns {Promise<[string, Uint8Array<ArrayBuffer>][]>} path and content of every file, from the service worker's store where there is one
   * @throws {KleinbildError} "download-failed"
   */
  async files(defaultManifest) {
    /** @type {string[]} */
    const paths = JSON.parse(new TextDecoder().decode(await this.#get(new URL("files.json", this.#base))));
    const contents = await Promise.all(paths.map((path) => this.#get(new URL(path, this.#base))));
    const names = paths.map((path) => (path === "/" ? "index.html" : path.slice(1)));
    const index = new TextDecoder().decode(contents[paths.indexOf("/")]);
    const own = /"manifest": *"(\/models\/[^"]+)"/.exec(index)?.[1] ?? defaultManifest;
    return names.map((name, i) => {
      const content = /** @type {Uint8Array<ArrayBuffer>} */ (contents[i]);
      if (name !== "index.html" && name !== "sw.js") return [name, content];
      return [name, encoded(new TextDecoder().decode(content).replaceAll(`"${own}"`, `"${defaultManifest}"`))];
    });
  }

  /** @param {URL} url @returns {Promise<Uint8Array<ArrayBuffer>>} */
  async #get(url) {
    const response = await this.#fetch(url).catch(() => undefined);
    if (!response?.ok) {
      throw new KleinbildError("download-failed", `${url.pathname} could not be fetched, so the copy would lack the page. Connect to the site and export again.`);
    }
    return new Uint8Array(await response.arrayBuffer());
  }
}

/** @param {FileSystemDirectoryHandle} target @param {string} path @param {FileRef} file @returns {Promise<boolean>} whether it is there already */
async function holds(target, path, { bytes, sha256 }) {
  const found = await readFile(target, path);
  return found?.size === bytes && (await sha256Hex(new Uint8Array(await found.arrayBuffer()))) === sha256;
}

/** @param {import("./library.js").ModelLibrary} library @param {FileRef} file A damaged copy is not spread. */
async function soundBytes(library, file) {
  const bytes = await library.store.readAll(file);
  if ((await sha256Hex(bytes)) === file.sha256) return bytes;
  throw new KleinbildError("bad-shard", `${fileName(file)} is damaged on this device. Verify and repair the model, then export it.`);
}

/** @param {Manifest} manifest @returns {[string, Uint8Array<ArrayBuffer>][]} manifest and index of a site that has this model alone, plain */
function describing(manifest) {
  const plain = { ...manifest, tokenizer: plainFile(manifest.tokenizer), shards: manifest.shards.map(plainFile) };
  const bytes = allFiles(plain).reduce((sum, file) => sum + file.bytes, 0);
  const { id, name, revision, weights, notice } = manifest;
  const entry = { id, name, revision, weights, bytes, transfer_bytes: bytes, notice, manifest: manifestPath(id), default: true };
  return [
    [manifestPath(id).slice(1), encoded(`${JSON.stringify(plain)}\n`)],
    [INDEX_PATH.slice(1), encoded(`${JSON.stringify({ schema: 1, models: [entry] })}\n`)],
  ];
}

/** @template {FileRef} T @param {T} file @returns {T} */
function plainFile(file) {
  return { ...file, path: `w/${fileName(file)}`, encoding: "", transfer_bytes: file.bytes };
}

/** @param {string} text @returns {Uint8Array<ArrayBuffer>} */
function encoded(text) {
  return new TextEncoder().encode(text);
}
