/**
 * The files of a model on this device, by their SHA-256: which are there, how the missing ones come, how bytes
 * are read. A file gets its final name only after its digest was right, so an interrupted install continues
 * with what is missing. What is needed now goes ahead of what is fetched for later. Each file is fetched by one
 * tab at a time; another that wants it waits for that one file. A file that turns out damaged later is set aside
 * under another name. Knows neither what a shard holds nor where files lie (opfs.js, memory.js), nor which
 * models there are (library.js).
 */

import { sha256Hex } from "../digest.js";
import { KleinbildError, throwIfCancelled } from "../errors.js";
import { download, filesInFlight, forEachInFlight } from "./download.js";
import { Damaged } from "./gunzip.js";
import { MemoryLayer } from "./memory.js";
import { OpenFiles } from "./open_files.js";
import { openOpfs } from "./opfs.js";

/**
 * @typedef {import("../manifest.js").FileRef} FileRef
 * @typedef {import("./opfs.js").FileLayer} FileLayer
 */

/**
 * @typedef {object} InstallProgress
 * @property {number} bytes downloaded in this install, as they are sent; never decreases
 * @property {number} totalBytes that this install downloads
 * @property {number} files verified and kept in this install
 * @property {number} totalFiles
 * @property {string} problem why a file is being asked for again, "" when none is
 */

/**
 * @typedef {object} StoreOptions
 * @property {string} baseUrl the site's root; file paths are relative to it
 * @property {readonly FileRef[]} model all files of the model: none of them is removed to make room for another
 * @property {() => Promise<Iterable<string>>} [kept] names of further files of which none is removed for that
 * @property {typeof fetch} [fetch]
 * @property {FileLayer} [layer] where files lie; OPFS, or memory where there is none
 * @property {import("./download.js").DownloadOptions["wait"]} [wait] between tries, for tests
 */

/**
 * @typedef {object} InstallOptions
 * @property {(progress: InstallProgress) => void} [onProgress]
 * @property {AbortSignal | undefined} [signal]
 * @property {number} [retries] of a download that breaks off; fewer than usual where somebody would rather know soon
 */

/**
 * @typedef {{ onBytes: (bytes: number) => void, onRetry: (reason: string) => void, signal: AbortSignal, retries: number | undefined }} Fetching
 *   of one file
 */

const DIRECTORY = ["kleinbild", "weights"];
/** Of a file whose digest is wrong. */
export const DAMAGED_SUFFIX = ".damaged";
/** So many files are looked up one by one; for more, all that are there are listed. */
const FEW_FILES = 32;

export class ShardStore {
  /** Names of files that were seen whole. @type {Set<string>} */
  #here = new Set();
  /** Installs of what is needed now. */
  #urgent = 0;
  /** Resolves what waits until there are none. @type {(() => void)[]} */
  #waiting = [];
  #files;
  #layer;
  #model;
  #kept;
  #baseUrl;
  #fetch;
  #wait;

  /** @param {FileLayer} layer @param {StoreOptions} options */
  constructor(layer, options) {
    this.#layer = layer;
    this.#files = new OpenFiles((name) => layer.open(name));
    layer.onWanted((name) => {
      this.#files.letGo(name);
      this.#here.delete(name);
    });
    this.#model = options.model;
    this.#kept = options.kept ?? (async () => []);
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

  /** Files held open. */
  get openFiles() {
    return this.#files.count;
  }

  /** Whether files outlive the visit. */
  get persistent() {
    return this.#layer.persistent;
  }

  /** @param {readonly FileRef[]} files @returns {Promise<FileRef[]>} those not here in their full size */
  async missing(files) {
    const unknown = files.filter((file) => !this.#here.has(fileName(file)));
    if (unknown.length > FEW_FILES) {
      const sizes = await this.#layer.sizes();
      for (const file of unknown) if (sizes.get(fileName(file)) === file.bytes) this.#here.add(fileName(file));
    } else {
      await Promise.all(unknown.map((file) => this.#find(file)));
    }
    return unknown.filter((file) => !this.#here.has(fileName(file)));
  }

  /**
   * Downloads, verifies and keeps whichever of `files` are missing, because they are needed now.
   * @param {readonly FileRef[]} files
   * @param {InstallOptions} options
   * @throws {KleinbildError} "download-failed", "bad-shard", "storage-full", "cancelled"
   */
  async install(files, options) {
    this.#urgent += 1;
    try {
      await this.#installMissing(files, options, async () => {});
    } finally {
      this.#urgent -= 1;
      if (this.#urgent === 0) for (const go of this.#waiting.splice(0)) go();
    }
  }

  /**
   * The same for files that are not needed yet: none is begun while `install` runs.
   * @param {readonly FileRef[]} files the most wanted first
   * @param {InstallOptions} options
   * @throws {KleinbildError} as `install`
   */
  async installLater(files, options) {
    await this.#installMissing(files, options, async () => {
      while (this.#urgent > 0) await new Promise((/** @type {(value?: undefined) => void} */ resolve) => this.#waiting.push(resolve));
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
    for (const file of files) this.#files.ahead(fileName(file));
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

  /** Looks files up again that were seen before: somebody may have cleared the site's data. */
  recheck() {
    this.#here.clear();
  }

  /** @returns {Promise<Map<string, number>>} bytes of every file, by name; those set aside, and of no model, too */
  async sizes() {
    return this.#layer.sizes();
  }

  /**
   * Reads a file whole and compares its digest.
   * @param {FileRef} file
   * @returns {Promise<"whole"|"damaged"|"missing">} a damaged one is set aside: it counts as missing from now on
   * @throws {KleinbildError} "in-use"
   */
  async check(file) {
    const name = fileName(file);
    return this.#layer.exclusively(async () => {
      const size = await this.#layer.size(name);
      if (size === undefined) return "missing";
      if (size === file.bytes && (await sha256Hex(await this.#readWhole(name, size))) === file.sha256) return "whole";
      this.#letGo(name);
      await this.#layer.exclusively(async () => {
        await this.#layer.remove(name + DAMAGED_SUFFIX);
        await this.#layer.rename(name, name + DAMAGED_SUFFIX);
      });
      return "damaged";
    }, { scope: name });
  }

  /**
   * Keeps bytes that came otherwise than from the site.
   * @param {FileRef} file @param {Uint8Array<ArrayBuffer>} bytes plain
   * @returns {Promise<boolean>} false when they are not the file's: nothing is kept then
   * @throws {KleinbildError} "storage-full"
   */
  async keep(file, bytes) {
    if (bytes.length !== file.bytes || (await sha256Hex(bytes)) !== file.sha256) return false;
    await this.#layer.exclusively(() => this.#keep(file, bytes));
    this.#here.add(fileName(file));
    return true;
  }

  /** @param {FileRef} file @returns {Promise<Uint8Array<ArrayBuffer>>} its plain bytes, unchecked @throws {KleinbildError} "bad-shard" */
  async readAll(file) {
    const bytes = new Uint8Array(file.bytes);
    await this.#readFile(fileName(file), 0, bytes);
    this.#letGo(fileName(file));
    return bytes;
  }

  /** @param {Iterable<string>} names of files to remove; no error for those not here @throws {KleinbildError} "in-use" */
  async remove(names) {
    for (const name of names) {
      this.#letGo(name);
      await this.#layer.exclusively(() => this.#layer.remove(name));
    }
  }

  /** Closes every file, so that another tab may replace them. */
  async close() {
    await this.#files.close();
  }

  /** @param {FileRef} file @returns {Promise<boolean>} whether it is here in its full size */
  async #find(file) {
    const here = (await this.#layer.size(fileName(file))) === file.bytes;
    if (here) this.#here.add(fileName(file));
    return here;
  }

  /** @param {readonly FileRef[]} files @param {InstallOptions} options @param {() => Promise<void>} turn to wait for before each file */
  async #installMissing(files, { onProgress, signal, retries }, turn) {
    const missing = await this.missing(files);
    throwIfCancelled(signal);
    const report = progressCounter(missing, onProgress);
    const arrived = forEachInFlight(missing, filesInFlight(missing), async (file, stop) => {
      await turn();
      await this.#obtain(file, {
        onBytes: (count) => report(file, count),
        onRetry: (problem) => report(file, 0, { problem }),
        signal: stop,
        retries,
      });
      report(file, file.transfer_bytes, { kept: true });
    }, signal);
    try {
      await arrived;
    } catch (error) {
      if (!(error instanceof KleinbildError) || error.code !== "storage-full") throw error;
      const bytes = missing.filter((file) => !this.#here.has(fileName(file))).reduce((sum, file) => sum + file.bytes, 0);
      throw new KleinbildError("storage-full", `${error.message} Still missing: ${bytes} bytes.`, { cause: error });
    }
  }

  /**
   * Fetches and keeps a file, unless somebody else did meanwhile.
   * @param {FileRef} file @param {Fetching} fetching
   */
  async #obtain(file, fetching) {
    const { signal } = fetching;
    const name = fileName(file);
    const fetchUnlessHere = async () => {
      if (this.#here.has(name) || (await this.#find(file))) return;
      const bytes = await this.#fetchVerified(file, fetching);
      throwIfCancelled(signal);
      await this.#layer.exclusively(() => this.#keep(file, bytes));
      this.#here.add(name);
    };
    try {
      await this.#layer.exclusively(fetchUnlessHere, { scope: name, signal });
    } catch (error) {
      throwIfCancelled(signal);
      throw error;
    }
  }

  /** @param {string} name */
  #letGo(name) {
    this.#here.delete(name);
    this.#files.letGo(name);
  }

  /** @param {string} name @param {number} size @returns {Promise<Uint8Array<ArrayBuffer>>} shorter where reading failed */
  async #readWhole(name, size) {
    const bytes = new Uint8Array(size);
    const file = await this.#layer.open(name);
    try {
      return bytes.subarray(0, file.read(bytes, 0));
    } finally {
      file.close();
    }
  }

  /** @param {string} name @param {number} offset @param {Uint8Array} target */
  async #readFile(name, offset, target) {
    let read;
    try {
      read = await this.#files.use(name, (file) => file.read(target, offset));
    } catch (error) {
      this.#here.clear();                   // where one is gone, others may be
      const message = `${name} cannot be read from this device's storage. Reload the page to fetch it again.`;
      throw new KleinbildError("bad-shard", message, { cause: error });
    }
    if (read !== target.length) {
      throw new KleinbildError("bad-shard",
        `${name}: ${read} of ${target.length} bytes at ${offset}. Reload the page to fetch the file again.`);
    }
  }

  /** @param {FileRef} file @param {Fetching} fetching */
  async #fetchVerified(file, fetching) {
    const url = new URL(file.path, this.#baseUrl).href;
    const options = { fetch: this.#fetch, ...(this.#wait && { wait: this.#wait }), ...fetching };
    let damage = "";
    // The first fault may be a damaged copy in the HTTP cache: once more, past it.
    for (const cache of /** @type {const} */ (["default", "reload"])) {
      try {
        const bytes = await download(url, file, { ...options, cache });
        if ((await sha256Hex(bytes)) === file.sha256) return bytes;
        damage = "has a wrong SHA-256";
      } catch (error) {
        if (!(error instanceof Damaged)) throw error;
        damage = error.message;
      }
    }
    throw new KleinbildError("bad-shard", `${file.path} arrived twice and ${damage}. The copy on the server is damaged: build the site again.`);
  }

  /**
   * When storage is full, files that no model needs make room first.
   * @param {FileRef} file @param {Uint8Array<ArrayBuffer>} bytes
   */
  async #keep(file, bytes) {
    try {
      await this.#layer.write(fileName(file), bytes);
    } catch (error) {
      const full = error instanceof KleinbildError && error.code === "storage-full";
      if (!full || !(await this.#removeOthers(file))) throw error;
      await this.#layer.write(fileName(file), bytes);
    }
    await this.#layer.remove(fileName(file) + DAMAGED_SUFFIX);
  }

  /** @param {FileRef} wanted @returns {Promise<boolean>} whether anything was removed */
  async #removeOthers(wanted) {
    const names = new Set([...[wanted, ...this.#model].map(fileName), ...(await this.#kept())]);
    const others = [...(await this.#layer.sizes()).keys()].filter((name) => !names.has(name));
    for (const name of others) await this.#layer.remove(name);
    return others.length > 0;
  }
}

/** @param {Pick<FileRef, "path">} file @returns {string} under which its plain bytes are kept */
export function fileName({ path }) {
  return path.slice(path.lastIndexOf("/") + 1).replace(/\.gz$/, "");
}

/**
 * @param {readonly FileRef[]} missing
 * @param {((progress: InstallProgress) => void) | undefined} onProgress
 * @returns {(file: FileRef, bytes: number, news?: { kept?: boolean, problem?: string }) => void}
 */
function progressCounter(missing, onProgress) {
  const totalBytes = missing.reduce((sum, file) => sum + file.transfer_bytes, 0);
  /** @type {Map<string, number>} */
  const received = new Map();
  let highest = 0;
  let files = 0;
  return (file, bytes, { kept = false, problem = "" } = {}) => {
    if (!problem) received.set(file.sha256, bytes);
    if (kept) files += 1;
    highest = Math.max(highest, [...received.values()].reduce((a, b) => a + b, 0));
    onProgress?.({ bytes: highest, totalBytes, files, totalFiles: missing.length, problem });
  };
}
