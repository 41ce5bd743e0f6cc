/**
 * The files of a model on this device, by their SHA-256: which are there, how the missing ones come, how bytes
 * are read. A file gets its final name only after its digest was right, so an interrupted install continues
 * with what is missing. Knows neither what a shard holds nor where files lie (opfs.js, memory.js).
 */

import { sha256Hex } from "../digest.js";
import { KleinbildError, throwIfCancelled } from "../errors.js";
import { FILES_IN_FLIGHT, download, forEachInFlight } from "./download.js";
import { MemoryLayer } from "./memory.js";
import { openOpfs } from "./opfs.js";

/**
 * @typedef {import("../manifest.js").FileRef} FileRef
 * @typedef {import("./opfs.js").FileLayer} FileLayer
 * @typedef {import("./opfs.js").OpenFile} OpenFile
 */

/**
 * @typedef {object} InstallProgress
 * @property {number} bytes downloaded in this install; never decreases
 * @property {number} totalBytes that this install downloads
 * @property {number} files verified and kept in this install
 * @property {number} totalFiles
 */

/**
 * @typedef {object} StoreOptions
 * @property {string} baseUrl the site's root; file paths are relative to it
 * @property {typeof fetch} [fetch]
 * @property {FileLayer} [layer] where files lie; OPFS, or memory where there is none
 * @property {import("./download.js").DownloadOptions["wait"]} [wait] between tries, for tests
 */

const DIRECTORY = ["kleinbild", "weights"];

export class ShardStore {
  /** @type {Map<string, Promise<OpenFile>>} */
  #open = new Map();
  #layer;
  #baseUrl;
  #fetch;
  #wait;

  /** @param {FileLayer} layer @param {StoreOptions} options */
  constructor(layer, options) {
    this.#layer = layer;
    this.#baseUrl = options.baseUrl;
    this.#fetch = options.fetch ?? fetch.bind(globalThis);
    this.#wait = options.wait;
  }

  /** @param {StoreOptions} options @returns {Promise<ShardStore>} */
  static async open(options) {
    const layer = options.layer ?? (await openOpfs(DIRECTORY).catch(() => new MemoryLayer()));
    await layer.exclusively(() => layer.removeParts());
    return new ShardStore(layer, options);
  }

  /** Whether files outlive the visit. */
  get persistent() {
    return this.#layer.persistent;
  }

  /** @param {readonly FileRef[]} files @returns {Promise<FileRef[]>} those not here in their full size */
  async missing(files) {
    const sizes = await this.#layer.sizes();
    return files.filter((file) => sizes.get(fileName(file)) !== file.bytes);
  }

  /**
   * Downloads, verifies and keeps whichever of `files` are missing.
   * @param {readonly FileRef[]} files
   * @param {{ onProgress?: (progress: InstallProgress) => void, signal?: AbortSignal | undefined }} options
   * @throws {KleinbildError} "download-failed", "bad-shard", "storage-full", "cancelled"
   */
  async install(files, { onProgress, signal }) {
    if ((await this.missing(files)).length === 0) return;
    // Another tab may be installing the same files: wait for it, then look again what is missing.
    await this.#layer.exclusively(async () => {
      throwIfCancelled(signal);
      const missing = await this.missing(files);
      const report = progressCounter(missing, onProgress);
      await forEachInFlight(missing, FILES_IN_FLIGHT, async (file, stop) => {
        const bytes = await this.#fetchVerified(file, (count) => report(file, count, false), stop);
        throwIfCancelled(stop);
        await this.#keep(file, bytes, files);
        report(file, file.bytes, true);
      }, signal);
    });
  }

  /**
   * Fills `target` with the bytes from `offset` of the file with this digest.
   * @param {string} sha256
   * @param {number} offset in bytes
   * @param {Uint8Array} target
   * @throws {KleinbildError} "bad-shard" when the file is missing or ends too early
   */
  async read(sha256, offset, target) {
    await this.#readFile(`${sha256}.bin`, offset, target);
  }

  /**
   * Opens files that will be read soon, all at once, so that no read waits for it. What cannot be opened is told by its read.
   * @param {readonly FileRef[]} files
   */
  openAhead(files) {
    for (const file of files) this.#opening(fileName(file)).catch(() => this.#open.delete(fileName(file)));
  }

  /** @param {FileRef} file @returns {Promise<unknown>} its parsed JSON */
  async readJson(file) {
    const bytes = new Uint8Array(file.bytes);
    await this.#readFile(fileName(file), 0, bytes);
    try {
      return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    } catch (error) {
      const message = `${file.path} is not JSON. The site is damaged: build it again.`;
      throw new KleinbildError("bad-shard", message, { cause: error });
    }
  }

  /** Closes every file, so that another tab may replace them. */
  async close() {
    const files = [...this.#open.values()];
    this.#open.clear();
    for (const file of files) await file.then((open) => open.close(), () => undefined);
  }

  /** @param {string} name @returns {Promise<OpenFile>} opened once */
  #opening(name) {
    const opening = this.#open.get(name) ?? this.#layer.open(name);
    this.#open.set(name, opening);
    return opening;
  }

  /** @param {string} name @param {number} offset @param {Uint8Array} target */
  async #readFile(name, offset, target) {
    let read;
    try {
      read = (await this.#opening(name)).read(target, offset);
    } catch (error) {
      this.#open.delete(name);
      const message = `${name} cannot be read from this device's storage. Reload the page to fetch it again.`;
      throw new KleinbildError("bad-shard", message, { cause: error });
    }
    if (read !== target.length) {
      throw new KleinbildError("bad-shard",
        `${name}: ${read} of ${target.length} bytes at ${offset}. Reload the page to fetch the file again.`);
    }
  }

  /** @param {FileRef} file @param {(bytes: number) => void} onBytes @param {AbortSignal} signal */
  async #fetchVerified(file, onBytes, signal) {
    const url = new URL(file.path, this.#baseUrl).href;
    const options = { fetch: this.#fetch, ...(this.#wait && { wait: this.#wait }), signal, onBytes };
    let bytes = await download(url, file.bytes, options);
    if ((await sha256Hex(bytes)) === file.sha256) return bytes;
    // The fault may be a damaged copy in the HTTP cache: once more, past it.
    bytes = await download(url, file.bytes, { ...options, cache: "reload" });
    if ((await sha256Hex(bytes)) === file.sha256) return bytes;
    throw new KleinbildError("bad-shard",
      `${file.path} arrived twice with a wrong SHA-256. The copy on the server is damaged: build the site again.`);
  }

  /**
   * When storage is full, files of other builds make room first.
   * @param {FileRef} file @param {Uint8Array<ArrayBuffer>} bytes @param {readonly FileRef[]} wanted
   */
  async #keep(file, bytes, wanted) {
    try {
      await this.#layer.write(fileName(file), bytes);
    } catch (error) {
      const full = error instanceof KleinbildError && error.code === "storage-full";
      if (!full || !(await this.#removeOthers(wanted))) throw error;
      await this.#layer.write(fileName(file), bytes);
    }
  }

  /** @param {readonly FileRef[]} wanted @returns {Promise<boolean>} whether anything was removed */
  async #removeOthers(wanted) {
    const names = new Set(wanted.map(fileName));
    const others = [...(await this.#layer.sizes()).keys()].filter((name) => !names.has(name));
    for (const name of others) await this.#layer.remove(name);
    return others.length > 0;
  }
}

/** @param {FileRef} file */
function fileName(file) {
  return file.path.slice(file.path.lastIndexOf("/") + 1);
}

/**
 * @param {readonly FileRef[]} missing
 * @param {((progress: InstallProgress) => void) | undefined} onProgress
 * @returns {(file: FileRef, bytes: number, kept: boolean) => void}
 */
function progressCounter(missing, onProgress) {
  const totalBytes = missing.reduce((sum, file) => sum + file.bytes, 0);
  /** @type {Map<string, number>} */
  const received = new Map();
  let highest = 0;
  let files = 0;
  return (file, bytes, kept) => {
    received.set(file.sha256, bytes);
    if (kept) files += 1;
    highest = Math.max(highest, [...received.values()].reduce((a, b) => a + b, 0));
    onProgress?.({ bytes: highest, totalBytes, files, totalFiles: missing.length });
  };
}
