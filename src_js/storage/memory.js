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
  /** @type {Map<string | undefined, Promise<unknown>>} the last task of each scope */
  #tasks = new Map();

  async sizes() {
    return new Map([...this.files].map(([name, bytes]) => [name, bytes.length]));
  }

  /** @param {string} name */
  async size(name) {
    return this.files.get(name)?.length;
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

  onWanted() {}

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

  /** @template T @param {() => Promise<T>} task @param {import("./opfs.js").Exclusion} [options] @returns {Promise<T>} */
  async exclusively(task, { scope, signal } = {}) {
    const before = this.#tasks.get(scope);
    const turn = Promise.resolve(before).then(() => {
      signal?.throwIfAborted();
      return task();
    });
    const ended = turn.catch(() => {});
    this.#tasks.set(scope, ended);
    void ended.then(() => this.#tasks.get(scope) === ended && this.#tasks.delete(scope));
    return turn;
  }
}

/** @param {string} name */
function missing(name) {
  return new KleinbildError("bad-shard", `The file ${name} is not in memory.`);
}
