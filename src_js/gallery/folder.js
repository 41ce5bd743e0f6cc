/**
 * Files of one OPFS folder by its asynchronous interface, which pages have, too: a picture has a few megabytes, and a worker that held
 * synchronous handles would be one more thing to start, to own and to lose. A file is written as `name.part` and renamed when complete,
 * so that a name without ".part" means a whole file. Knows nothing of pictures.
 */

import { KleinbildError } from "../errors.js";

const PART_SUFFIX = ".part";
/** Chromium's own name for what is being written. */
const SWAP_SUFFIX = ".crswap";

/** Where there is no room, Chromium 156 says the second in 6 of 100 writes: "Failed to write data to data pipe". */
const FULL = ["QuotaExceededError", "AbortError"];

/** TypeScript's library lacks this. @typedef {FileSystemFileHandle & { move(...to: [string] | [FileSystemDirectoryHandle, string]): Promise<void> }} MovableFile */

export class Folder {
  /** @param {FileSystemDirectoryHandle} handle */
  constructor(handle) {
    this.handle = handle;
  }

  /** @param {FileSystemDirectoryHandle} parent @param {string} name @returns {Promise<Folder>} made where it is not there */
  static async in(parent, name) {
    return new Folder(await parent.getDirectoryHandle(name, { create: true }));
  }

  /** @returns {Promise<string[]>} of whole files, in no order */
  async names() {
    const names = [];
    for await (const name of this.handle.keys()) if (!isPart(name)) names.push(name);
    return names;
  }

  /** @param {string} name @returns {Promise<File | null>} null when there is none; its bytes stay where they are until they are read */
  async file(name) {
    try {
      return await (await this.handle.getFileHandle(name)).getFile();
    } catch (error) {
      if (isNamed(error, "NotFoundError")) return null;
      throw error;
    }
  }

  /**
   * Whole or not at all.
   * @param {string} name
   * @param {Blob | BufferSource | string} content
   * @throws {KleinbildError} "storage-full"
   */
  async write(name, content) {
    const part = name + PART_SUFFIX;
    try {
      const handle = /** @type {MovableFile} */ (await this.handle.getFileHandle(part, { create: true }));
      const stream = await handle.createWritable();
      try {
        await stream.write(/** @type {FileSystemWriteChunkType} */ (content));
        await stream.close();
      } catch (error) {
        await stream.abort().catch(() => {});                            // closed by the failure itself, perhaps
        throw error;
      }
      await handle.move(name);
    } catch (error) {
      await this.remove(part).catch(() => {});
      if (!FULL.some((full) => isNamed(error, full))) throw error;
      throw new KleinbildError("storage-full", "The browser's storage for this site is full. Free disk space or delete pictures.", { cause: error });
    }
  }

  /** @param {string} name @returns {Promise<boolean>} whether there was one */
  async remove(name) {
    try {
      await this.handle.removeEntry(name);
      return true;
    } catch (error) {
      if (isNamed(error, "NotFoundError")) return false;
      throw error;
    }
  }

  /** @param {string} name @param {Folder} target @returns {Promise<boolean>} whether there was one */
  async moveTo(name, target) {
    try {
      await /** @type {MovableFile} */ (await this.handle.getFileHandle(name)).move(target.handle, name);
      return true;
    } catch (error) {
      if (isNamed(error, "NotFoundError")) return false;
      throw error;
    }
  }

  /** Removes what interrupted writes left. Nobody may be writing. */
  async removeParts() {
    const parts = [];
    for await (const name of this.handle.keys()) if (isPart(name)) parts.push(name);
    for (const name of parts) await this.remove(name);
  }
}

/** @param {unknown} error @param {string} name */
export function isNamed(error, name) {
  return error instanceof DOMException && error.name === name;
}

/** @param {string} name */
function isPart(name) {
  return name.endsWith(PART_SUFFIX) || name.endsWith(SWAP_SUFFIX);
}
