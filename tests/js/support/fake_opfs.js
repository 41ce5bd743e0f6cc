/**
 * A folder of files as OPFS has it, in memory, with room that can run out and handles that go stale when the store is cleared.
 */

/** @typedef {Map<string, FakeFile | FakeFolder>} Entries */

export class FakeFile {
  kind = "file";
  bytes = new Blob([]);

  /** @param {string} name @param {FakeFolder} folder */
  constructor(name, folder) {
    this.name = name;
    this.folder = folder;
  }

  async getFile() {
    if (this.folder.entries.get(this.name) !== this) throw notFound();
    return this.bytes;
  }

  async createWritable() {
    const { disk } = this.folder;
    /** @type {BlobPart[]} */
    const parts = [];
    return {
      write: async (/** @type {BlobPart} */ part) => {
        const bytes = new Blob([part]).size;
        if (disk.used() + bytes > disk.capacity) throw new DOMException("full", disk.fullName);
        parts.push(part);
      },
      close: async () => void (this.bytes = new Blob(parts)),
      abort: async () => {},
    };
  }

  /** @param {[string] | [FakeFolder, string]} to */
  async move(...to) {
    const [folder, name] = to.length === 1 ? [this.folder, to[0]] : to;
    if (this.folder.entries.get(this.name) !== this || folder.gone) throw notFound();
    this.folder.entries.delete(this.name);
    [this.folder, this.name] = [folder, name];
    folder.entries.set(name, this);
  }
}

export class FakeFolder {
  kind = "directory";
  /** @type {Entries} */
  entries = new Map();
  gone = false;

  /** @param {{ capacity: number, fullName: string, used: () => number }} disk */
  constructor(disk) {
    this.disk = disk;
  }

  /** @param {string} name @param {{ create?: boolean }} [options] */
  async getDirectoryHandle(name, { create = false } = {}) {
    return this.#get(name, () => (create ? new FakeFolder(this.disk) : null));
  }

  /** @param {string} name @param {{ create?: boolean }} [options] */
  async getFileHandle(name, { create = false } = {}) {
    return this.#get(name, () => (create ? new FakeFile(name, this) : null));
  }

  /** @param {string} name */
  async removeEntry(name) {
    if (this.gone || !this.entries.delete(name)) throw notFound();
  }

  async *keys() {
    if (this.gone) throw notFound();
    yield* [...this.entries.keys()];
  }

  /** @param {string} name @param {() => FakeFile | FakeFolder | null} make */
  #get(name, make) {
    const found = this.gone ? null : this.entries.get(name) ?? make();
    if (!found) throw notFound();
    this.entries.set(name, found);
    return found;
  }
}

/** An origin's store. */
export class FakeStore {
  capacity = Infinity;
  /** What the browser calls it when there is no room. */
  fullName = "QuotaExceededError";
  /** @type {FakeFolder} */
  root = new FakeFolder(this);

  /** @returns {number} */
  used() {
    return [...files(this.root)].reduce((sum, [, file]) => sum + file.bytes.size, 0);
  }

  /** @returns {string[]} paths of all files, sorted */
  paths() {
    return [...files(this.root)].map(([path]) => path).sort();
  }

  /** @param {string} path */
  file(path) {
    const found = [...files(this.root)].find(([one]) => one === path)?.[1];
    if (!found) throw new Error(`no ${path}`);
    return found;
  }

  /** @param {string} path */
  remove(path) {
    const { folder, name } = this.file(path);
    folder.entries.delete(name);
  }

  /** As when somebody clears the site's data: handles that are held lead nowhere from then on. */
  clear() {
    const end = (/** @type {FakeFolder} */ folder) => {
      folder.gone = true;
      for (const entry of folder.entries.values()) if (entry instanceof FakeFolder) end(entry);
      folder.entries.clear();
    };
    end(this.root);
    this.root = new FakeFolder(this);
  }
}

/** @param {FakeFolder} folder @param {string} [prefix] @returns {Generator<[string, FakeFile]>} */
function* files(folder, prefix = "") {
  for (const [name, entry] of folder.entries) {
    if (entry instanceof FakeFolder) yield* files(entry, `${prefix}${name}/`);
    else yield [prefix + name, entry];
  }
}

function notFound() {
  return new DOMException("gone", "NotFoundError");
}
