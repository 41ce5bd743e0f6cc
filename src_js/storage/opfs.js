/**
 * Files of one OPFS directory, by synchronous access handles, which exist in dedicated workers only and read
 * several times faster than Blobs. A file is written as `name.part` and renamed when complete, so a name
 * without ".part" means a whole file. Knows nothing of shards or digests. memory.js stands in where the
 * browser gives a page no storage.
 */

import { KleinbildError } from "../errors.js";

const PART_SUFFIX = ".part";
/** How long a file that is held open is waited for. */
const FREE_ATTEMPTS = 20;
const FREE_PAUSE_MS = 50;

/**
 * What the shard store asks of a place for files.
 * @typedef {object} FileLayer
 * @property {boolean} persistent whether files outlive the visit
 * @property {() => Promise<Map<string, number>>} sizes bytes of every whole file, by name
 * @property {(name: string) => Promise<number | undefined>} size bytes of a whole file, undefined when there is none
 * @property {(name: string, bytes: Uint8Array<ArrayBuffer>) => Promise<void>} write whole or not; throws "storage-full"
 * @property {(name: string) => Promise<void>} remove no error when there is none; throws "in-use"
 * @property {(from: string, to: string) => Promise<void>} rename throws when there is no `from`; "in-use"
 * @property {(letGo: (name: string) => void) => void} onWanted calls `letGo` when a file is to be removed or renamed, or was, by somebody
 *   else: another tab or worker
 * @property {() => Promise<void>} removeParts deletes what interrupted writes left
 * @property {(name: string) => Promise<OpenFile>} open for reading; throws when there is none
 * @property {<T>(task: () => Promise<T>, options?: Exclusion) => Promise<T>} exclusively runs `task` while nobody else, here or in
 *   another tab, runs one of the same scope; never within one of that scope
 */

/**
 * @typedef {object} Exclusion
 * @property {string} [scope] what is guarded; unless given, changes to the folder's files
 * @property {AbortSignal | undefined} [signal] once aborted, a task that waits never begins: an exception instead
 */

/**
 * @typedef {object} OpenFile
 * @property {(target: Uint8Array, offset: number) => number} read returns the bytes read
 * @property {() => void} close
 */

/**
 * TypeScript's library lacks both of these.
 * @typedef {FileSystemFileHandle & {
 *   move(name: string): Promise<void>,
 *   createSyncAccessHandle(options?: { mode: "readwrite"|"read-only" }): Promise<FileSystemSyncAccessHandle>
 * }} MovableFile
 */

/**
 * @param {string[]} path directory names below the origin's root
 * @returns {Promise<FileLayer>}
 * @throws {DOMException} when the browser gives this page no storage
 */
export async function openOpfs(path) {
  return new OpfsLayer(await openDirectory(path), path);
}

/** @param {string[]} path @returns {Promise<FileSystemDirectoryHandle>} */
async function openDirectory(path) {
  let directory = await navigator.storage.getDirectory();
  for (const name of path) directory = await directory.getDirectoryHandle(name, { create: true });
  return directory;
}

/** @implements {FileLayer} */
class OpfsLayer {
  persistent = true;

  /** @param {FileSystemDirectoryHandle} directory @param {string[]} path of it */
  constructor(directory, path) {
    this.directory = directory;
    this.path = path;
    /** Name of the lock that guards its files. */
    this.lock = path.join("-");
    this.wanted = new BroadcastChannel(this.lock);
  }

  async sizes() {
    return this.#inDirectory(async () => {
      /** @type {Promise<[string, number] | undefined>[]} each a message to the browser's process, so all at once */
      const sizes = [];
      for await (const [name, handle] of this.directory.entries()) {
        if (handle.kind !== "file" || name.endsWith(PART_SUFFIX)) continue;
        const file = /** @type {FileSystemFileHandle} */ (handle).getFile();
        sizes.push(file.then(({ size }) => [name, size], (error) => (isMissing(error) ? undefined : Promise.reject(error))));
      }
      return new Map((await Promise.all(sizes)).filter((found) => found !== undefined));
    });
  }

  /** @param {string} name */
  async size(name) {
    try {
      return (await (await this.directory.getFileHandle(name)).getFile()).size;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** @param {string} name @param {Uint8Array<ArrayBuffer>} bytes */
  async write(name, bytes) {
    const partName = name + PART_SUFFIX;
    try {
      const handle = /** @type {MovableFile} */ (await this.#inDirectory(() => this.directory.getFileHandle(partName, { create: true })));
      const file = await handle.createSyncAccessHandle();
      try {
        file.truncate(0);
        const written = file.write(bytes, { at: 0 });
        // Where nothing could be written, Chromium gives an error's number, as if unsigned, in place of a count.
        if (written !== bytes.length) throw storageFull(`${written < bytes.length ? written : 0} of ${bytes.length} bytes were written`);
        file.flush();
      } finally {
        file.close();
      }
      await this.remove(name);
      await handle.move(name);
    } catch (error) {
      await this.remove(partName);
      if (error instanceof DOMException && error.name === "QuotaExceededError") throw storageFull(error.message, error);
      throw error;
    }
  }

  /** @param {string} name */
  async remove(name) {
    try {
      await this.#onceFree(name, () => this.directory.removeEntry(name));
      this.wanted.postMessage(name);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  /** @param {string} from @param {string} to */
  async rename(from, to) {
    const handle = /** @type {MovableFile} */ (await this.directory.getFileHandle(from));
    await this.#onceFree(from, () => handle.move(to));
    this.wanted.postMessage(from);
  }

  /** @param {(name: string) => void} letGo */
  onWanted(letGo) {
    this.wanted.addEventListener("message", ({ data }) => letGo(String(data)));
  }

  /**
   * Runs `task` in the directory; where somebody cleared the site's data, in a new one.
   * @template T
   * @param {() => Promise<T>} task @returns {Promise<T>}
   */
  async #inDirectory(task) {
    try {
      return await task();
    } catch (error) {
      if (!isMissing(error)) throw error;
      this.directory = await openDirectory(this.path);
      return task();
    }
  }

  /**
   * Runs `task`, which changes a file; whoever holds it open is asked to let go of it.
   * @template T
   * @param {string} name @param {() => Promise<T>} task @returns {Promise<T>}
   */
  async #onceFree(name, task) {
    for (let attempt = 0; ; attempt++) {
      try {
        return await task();
      } catch (error) {
        if (!(error instanceof DOMException) || error.name !== "NoModificationAllowedError") throw error;
        if (attempt === FREE_ATTEMPTS) {
          throw new KleinbildError("in-use", `${name} is being read by another tab of this page. Close that tab and try again.`, { cause: error });
        }
        this.wanted.postMessage(name);
        await new Promise((resolve) => setTimeout(resolve, FREE_PAUSE_MS));
      }
    }
  }

  async removeParts() {
    const names = [];
    for await (const name of this.directory.keys()) if (name.endsWith(PART_SUFFIX)) names.push(name);
    for (const name of names) await this.remove(name);
  }

  /** @param {string} name */
  async open(name) {
    const handle = /** @type {MovableFile} */ (await this.directory.getFileHandle(name));
    // "read-only" lets a second tab read the same weights; the default would shut it out.
    const file = await handle.createSyncAccessHandle({ mode: "read-only" });
    return {
      /** @param {Uint8Array} target @param {number} offset */
      read: (target, offset) => file.read(/** @type {Uint8Array<ArrayBuffer>} */ (target), { at: offset }),
      close: () => file.close(),
    };
  }

  /** @template T @param {() => Promise<T>} task @param {Exclusion} [options] @returns {Promise<T>} */
  async exclusively(task, { scope, signal } = {}) {
    const name = scope === undefined ? this.lock : `${this.lock}:${scope}`;
    return navigator.locks.request(name, signal ? { signal } : {}, task);
  }
}

/** @param {unknown} error */
function isMissing(error) {
  return error instanceof DOMException && error.name === "NotFoundError";
}

/** @param {string} reason @param {unknown} [cause] */
function storageFull(reason, cause) {
  return new KleinbildError("storage-full", `The browser's storage for this site is full (${reason}). ` +
    "Free disk space, or delete other sites' data in the browser's settings, then try again: " +
    "what is already downloaded is kept.", { cause });
}
