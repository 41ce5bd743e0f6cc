/**
 * The files of a model on this device, by their SHA-256: which are there, how the missing ones come, how bytes
 * are read. A file gets its final name only after its digest was right, so an interrupted install continues
 * with what is missing. What is needed now goes ahead of what is fetched for later. Each file is fetched by one
 * tab at a time; another that wants it waits for that one file. Knows neither what a shard holds nor where files
 * lie (opfs.js, memory.js).
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
 */

/**
 * @typedef {object} StoreOptions
 * @property {string} baseUrl the site's root; file paths are relative to it
 * @property {readonly FileRef[]} model all files of the model: none of them is removed to make room for another
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

/** @typedef {{ onBytes: (bytes: number) => void, signal: AbortSignal, retries: number | undefined }} Fetching of one file */

const DIRECTORY = ["kleinbild", "weights"];
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
  #baseUrl;
  #fetch;
  #wait;

  /** @param {FileLayer} layer @param {StoreOptions} options */
  constructor(layer, options) {
    this.#layer = layer;
    this.#files = new OpenFiles((name) => layer.open(name));
    this.#model = options.model;
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
    await forEachInFlight(missing, filesInFlight(missing), async (file, stop) => {
      await turn();
      await this.#obtain(file, { onBytes: (count) => report(file, count, false), signal: stop, retries });
      report(file, file.transfer_bytes, true);
    }, signal);
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

  /** @param {string} name @param {number} offset @param {Uint8Array} target */
  async #readFile(name, offset, target) {
    let read;
    try {
      read = await this.#files.use(name, (file) => file.read(target, offset));
    } catch (error) {
      this.#here.delete(name);
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
   * When storage is full, files of other builds make room first.
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
  }

  /** @param {FileRef} wanted @returns {Promise<boolean>} whether anything was removed */
  async #removeOthers(wanted) {
    const names = new Set([wanted, ...this.#model].map(fileName));
    const others = [...(await this.#layer.sizes()).keys()].filter((name) => !names.has(name));
    for (const name of others) await this.#layer.remove(name);
    return others.length > 0;
  }
}

/** @param {FileRef} file @returns {string} under which its plain bytes are kept */
function fileName({ path }) {
  return path.slice(path.lastIndexOf("/") + 1).replace(/\.gz$/, "");
}

/**
 * @param {readonly FileRef[]} missing
 * @param {((progress: InstallProgress) => void) | undefined} onProgress
 * @returns {(file: FileRef, bytes: number, kept: boolean) => void}
 */
function progressCounter(missing, onProgress) {
  const totalBytes = missing.reduce((sum, file) => sum + file.transfer_bytes, 0);
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
