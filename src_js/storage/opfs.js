/**
 * Files of one OPFS directory, by synchronous access handles, which exist in dedicated workers only and read
 * several times faster than Blobs. A file is written as `name.part` and renamed when complete, so a name
 * without ".part" means a whole file. Knows nothing of shards or digests. memory.js stands in where the
 * browser gives a page no storage.
 */

import { KleinbildError } from "../errors.js";

const PART_SUFFIX = ".part";

/**
 * What the shard store asks of a place for files.
 * @typedef {object} FileLayer
 * @property {boolean} persistent whether files outlive the visit
 * @property {() => Promise<Map<string, number>>} sizes bytes of every whole file, by name
 * @property {(name: string) => Promise<number | undefined>} size bytes of a whole file, undefined when there is none
 * @property {(name: string, bytes: Uint8Array<ArrayBuffer>) => Promise<void>} write whole or not; throws "storage-full"
 * @property {(name: string) => Promise<void>} remove no error when there is none
 * @property {(from: string, to: string) => Promise<void>} rename throws when there is no `from`
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
  let directory = await navigator.storage.getDirectory();
  for (const name of path) directory = await directory.getDirectoryHandle(name, { create: true });
  return new OpfsLayer(directory, path.join("-"));
}

/** @implements {FileLayer} */
class OpfsLayer {
  persistent = true;

  /** @param {FileSystemDirectoryHandle} directory @param {string} lock name of the lock that guards its files */
  constructor(directory, lock) {
    this.directory = directory;
    this.lock = lock;
  }

  async sizes() {
    /** @type {Promise<[string, number]>[]} each a message to the browser's process, so all at once */
    const sizes = [];
    for await (const [name, handle] of this.directory.entries()) {
      if (handle.kind !== "file" || name.endsWith(PART_SUFFIX)) continue;
      sizes.push(/** @type {FileSystemFileHandle} */ (handle).getFile().then(({ size }) => [name, size]));
    }
    return new Map(await Promise.all(sizes));
  }

  /** @param {string} name */
  async size(name) {
    try {
      return (await (await this.directory.getFileHandle(name)).getFile()).size;
    } catch (error) {
      if (error instanceof DOMException && error.name === "NotFoundError") return undefined;
      throw error;
    }
  }

  /** @param {string} name @param {Uint8Array<ArrayBuffer>} bytes */
  async write(name, bytes) {
    const partName = name + PART_SUFFIX;
    try {
      const handle = /** @type {MovableFile} */ (await this.directory.getFileHandle(partName, { create: true }));
      const file = await handle.createSyncAccessHandle();
      try {
        file.truncate(0);
        const written = file.write(bytes, { at: 0 });
        if (written !== bytes.length) throw storageFull(`only ${written} of ${bytes.length} bytes were written`);
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
      await this.directory.removeEntry(name);
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== "NotFoundError") throw error;
    }
  }

  /** @param {string} from @param {string} to */
  async rename(from, to) {
    const handle = /** @type {MovableFile} */ (await this.directory.getFileHandle(from));
    await handle.move(to);
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

/** @param {string} reason @param {unknown} [cause] */
function storageFull(reason, cause) {
  return new KleinbildError("storage-full", `The browser's storage for this site is full (${reason}). ` +
    "Free disk space, or delete other sites' data in the browser's settings, then try again: " +
    "what is already downloaded is kept.", { cause });
}
