/**
 * Bytes by key on this device, at most so many of them: the least recently used go first. What comes back is what was put, or
 * nothing: each file carries its digest, and one that does not fit it is removed.
 *
 * A file is named `<number>-<key>.bin`, the number growing with every use: the order of use needs no index that could disagree with
 * the files. It holds the SHA-256 of the bytes, then the bytes. Several tabs may share the folder; a file that another tab moved or
 * removed meanwhile is one that is not here.
 */

import { sha256 } from "../digest.js";

/** @typedef {import("./opfs.js").FileLayer} FileLayer */
/** @typedef {{ name: string, bytes: number, number: number, key: string }} Entry `bytes` of the file */

const DIGEST_BYTES = 32;
const FILE_NAME = /^([0-9]{1,15})-([0-9a-f]{64})\.bin$/;

export class BlobCache {
  #layer;
  #maxBytes;

  /** @param {FileLayer} layer a folder of its own @param {number} maxBytes of all its files */
  constructor(layer, maxBytes) {
    this.#layer = layer;
    this.#maxBytes = maxBytes;
  }

  /** @param {FileLayer} layer a folder of its own @param {number} maxBytes of all its files @returns {Promise<BlobCache>} */
  static async open(layer, maxBytes) {
    await layer.exclusively(() => layer.removeParts());
    return new BlobCache(layer, maxBytes);
  }

  /** @param {string} key 64 hexadecimal digits @returns {Promise<Uint8Array<ArrayBuffer> | undefined>} what was put last */
  async get(key) {
    const entries = await this.#entries();
    const entry = entries.findLast((one) => one.key === key);
    if (!entry) return undefined;
    const bytes = await this.#read(entry);
    if (!bytes) {
      await this.#remove(entry);
      return undefined;
    }
    const newest = entries.at(-1)?.number ?? 0;
    // Another tab may have moved it first; it counts as used either way.
    if (entry.number !== newest) await this.#layer.rename(entry.name, fileName(newest + 1, key)).catch(() => {});
    return bytes;
  }

  /**
   * Keeps `bytes` under `key`; what exceeds the bound by itself is not kept.
   * @param {string} key 64 hexadecimal digits
   * @param {Uint8Array<ArrayBuffer>} bytes
   * @throws {import("../errors.js").KleinbildError} "storage-full"; nothing of it is left then
   */
  async put(key, bytes) {
    const size = DIGEST_BYTES + bytes.length;
    if (size > this.#maxBytes) return;
    const file = new Uint8Array(size);
    file.set(await sha256(bytes));
    file.set(bytes, DIGEST_BYTES);
    await this.#layer.exclusively(async () => {
      const entries = await this.#entries();
      const newest = entries.at(-1)?.number ?? 0;
      let total = size + entries.reduce((sum, entry) => sum + entry.bytes, 0);
      for (const entry of entries) {
        if (entry.key !== key && total <= this.#maxBytes) continue;
        await this.#remove(entry);
        total -= entry.bytes;
      }
      await this.#layer.write(fileName(newest + 1, key), file);
    });
  }

  /** Removes everything. */
  async clear() {
    await this.#layer.exclusively(async () => {
      for (const name of (await this.#layer.sizes()).keys()) await this.#layer.remove(name);
    });
  }

  /** @returns {Promise<Entry[]>} the least recently used first */
  async #entries() {
    /** @type {Entry[]} */
    const entries = [];
    for (const [name, bytes] of await this.#layer.sizes()) {
      const [, number, key] = FILE_NAME.exec(name) ?? [];
      if (key) entries.push({ name, bytes, number: Number(number), key });
    }
    return entries.sort((a, b) => a.number - b.number);
  }

  /** @param {Entry} entry @returns {Promise<Uint8Array<ArrayBuffer> | undefined>} undefined when damaged or gone */
  async #read({ name, bytes: size }) {
    if (size < DIGEST_BYTES) return undefined;
    const file = new Uint8Array(size);
    try {
      const open = await this.#layer.open(name);
      try {
        if (open.read(file, 0) !== size) return undefined;
      } finally {
        open.close();
      }
    } catch {
      return undefined;
    }
    const digest = await sha256(file.subarray(DIGEST_BYTES));
    return digest.every((byte, i) => byte === file[i]) ? file.subarray(DIGEST_BYTES) : undefined;
  }

  /** @param {Entry} entry A file that another tab is reading stays; the next `put` or `get` tries again. */
  async #remove({ name }) {
    await this.#layer.remove(name).catch(() => {});
  }
}

/** @param {number} number @param {string} key */
function fileName(number, key) {
  return `${number}-${key}.bin`;
}
