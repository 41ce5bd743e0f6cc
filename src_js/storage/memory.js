/**
 * The file layer where the browser gives a page no storage (site data blocked, some private modes): files live
 * in memory and are downloaded again on the next visit. See opfs.js for the interface.
 */

import { KleinbildError } from "../errors.js";

/** @implements {FileLayer} @typedef {import("./opfs.js").FileLayer} FileLayer */
export class MemoryLayer {
  persistent = false;
  /** @type {Map<string, Uint8Array>} */
  files = new Map();

  async sizes() {
    return new Map([...this.files].map(([name, bytes]) => [name, bytes.length]));
  }

  /** @param {string} name @param {Uint8Array<ArrayBuffer>} bytes kept, not copied */
  async write(name, bytes) {
    this.files.set(name, bytes);
  }

  /** @param {string} name */
  async remove(name) {
    this.files.delete(name);
  }

  /** @param {string} from @param {string} to */
  async rename(from, to) {
    const bytes = this.files.get(from);
    if (!bytes) throw missing(from);
    this.files.delete(from);
    this.files.set(to, bytes);
  }

  async removeParts() {}

  /** @param {string} name */
  async open(name) {
    const bytes = this.files.get(name);
    if (!bytes) throw missing(name);
    return {
      /** @param {Uint8Array} target @param {number} offset */
      read(target, offset) {
        const part = bytes.subarray(offset, offset + target.length);
        target.set(part);
        return part.length;
      },
      close() {},
    };
  }

  /** @template T @param {() => Promise<T>} task @returns {Promise<T>} */
  async exclusively(task) {
    return task();
  }
}

/** @param {string} name */
function missing(name) {
  return new KleinbildError("bad-shard", `The file ${name} is not in memory.`);
}
