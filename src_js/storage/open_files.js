/**
 * Files held open between reads, so that no read waits for the opening; at most so many, as a process has few handles to give. Those
 * used longest ago are closed first, and none while it is being read.
 */

/** @typedef {import("./opfs.js").OpenFile} OpenFile */
/** @typedef {{ file: Promise<OpenFile>, readers: number }} Entry */

/** Above the shards of the stages that go onto the GPU, far below what a process may hold (1024 on many systems). */
const MOST_OPEN = 256;

export class OpenFiles {
  /** @type {Map<string, Entry>} the one used longest ago first */
  #entries = new Map();
  #open;
  #most;

  /** @param {(name: string) => Promise<OpenFile>} open @param {number} [most] files held open */
  constructor(open, most = MOST_OPEN) {
    this.#open = open;
    this.#most = most;
  }

  /**
   * @template T
   * @param {string} name
   * @param {(file: OpenFile) => T} read
   * @returns {Promise<T>}
   * @throws what opening or `read` throws; the next use opens the file again
   */
  async use(name, read) {
    const entry = this.#enter(name);
    entry.readers += 1;
    try {
      return read(await entry.file);
    } catch (error) {
      this.#forget(name, entry);
      throw error;
    } finally {
      entry.readers -= 1;
      this.#trim();
    }
  }

  /** Opens a file that will be read soon. A failure is told by its read. @param {string} name */
  ahead(name) {
    const entry = this.#enter(name);
    entry.file.catch(() => this.#forget(name, entry));
    this.#trim();
  }

  /** Files held open, or being opened. */
  get count() {
    return this.#entries.size;
  }

  /** Closes every file. */
  async close() {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const { file } of entries) await file.then((open) => open.close(), () => undefined);
  }

  /** @param {string} name @returns {Entry} now the one used last */
  #enter(name) {
    const entry = this.#entries.get(name) ?? { file: this.#open(name), readers: 0 };
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    return entry;
  }

  /** @param {string} name @param {Entry} entry */
  #forget(name, entry) {
    if (this.#entries.get(name) === entry) this.#entries.delete(name);
    entry.file.then((open) => open.close(), () => undefined);
  }

  #trim() {
    for (const [name, entry] of this.#entries) {
      if (this.#entries.size <= this.#most) return;
      if (entry.readers === 0) this.#forget(name, entry);
    }
  }
}
