/**
 * The pictures that people made, kept in the browser's own store (OPFS): a PNG each, which says itself how it was made, a thumbnail each,
 * an index, and a bin whose pictures can be brought back until the next start. Several tabs may use it at once. Pictures only: what a page
 * shows of them is not known here.
 */

import { crc32 } from "../image/crc32.js";
import { describe, fileName, idOf, newId, readIndex, writeIndex } from "./entry.js";
import { Folder, isNamed } from "./folder.js";

/** @typedef {import("./entry.js").Entry} Entry */

/**
 * What a gallery needs of its browser.
 * @typedef {object} Place
 * @property {() => Promise<FileSystemDirectoryHandle>} root of the origin's files
 * @property {(picture: Blob) => Promise<Blob | null>} makeThumbnail throws where it is no picture; null where none can be drawn now
 * @property {<T>(task: () => Promise<T>) => Promise<T>} exclusively runs `task` while no other tab runs one
 * @property {() => Promise<boolean>} alone whether no other tab has the gallery open; this one counts as open from then on
 * @property {() => void} tell other tabs that something changed
 */

/** @typedef {{ pictures: Folder, thumbnails: Folder, bin: Folder, top: Folder }} Folders */

const INDEX = "index.json";
/** One in so many pictures may be missing in it: it is as long as the gallery, and must not be written anew for every picture of a queue. */
const INDEXED_PER_UNINDEXED = 32;
/** Files that are read at once where the index does not know them. */
const READERS = 8;
/** Beyond what any model makes: a file that claims more is not decoded. */
const MAX_PIXELS = 1 << 26;

export class Gallery {
  #place;
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** @type {Entry[] | null} the newest first */
  #sorted = null;
  /** @type {Promise<Folders> | null} */
  #folders = null;
  /** Pictures that were added since the index was written. */
  #unindexed = 0;
  /** When what earlier visits left is gone. @type {Promise<void>} */
  tidied = Promise.resolve();

  /** @param {Place} place */
  constructor(place) {
    this.#place = place;
  }

  /** @returns {readonly Entry[]} the newest first, as of the last `open`, `refresh` or change */
  get entries() {
    this.#sorted ??= [...this.#entries.values()].sort((a, b) => (a.id < b.id ? 1 : -1));
    return this.#sorted;
  }

  /** @returns {number} that pictures and thumbnails take */
  get bytes() {
    return this.entries.reduce((sum, { bytes, thumbnailBytes }) => sum + bytes + thumbnailBytes, 0);
  }

  /**
   * Reads what is there. Unless another tab is at it, empties the bin and removes what interrupted writes left, afterwards.
   * @throws {DOMException} when the browser gives this page no storage
   */
  async open() {
    await this.refresh();
    if (await this.#place.alone()) this.tidied = this.#tidy().catch(() => {});  // the next start tries again
  }

  async #tidy() {
    await this.#place.exclusively(async () => {
      const folders = await this.#fresh();
      await this.#emptyBin(folders);
      for (const folder of Object.values(folders)) await folder.removeParts();
    });
  }

  /**
   * Looks again: another tab may have added or removed pictures, or somebody the whole store.
   * @returns {Promise<number>} pictures that were known and are gone, the bin's not counted
   */
  async refresh() {
    return this.#place.exclusively(async () => {
      const before = this.#entries;
      const folders = await this.#fresh();
      const ids = (await folders.pictures.names()).map(idOf).filter((id) => id !== null);
      const unknown = ids.some((id) => !before.has(id));
      const index = unknown ? readIndex((await (await folders.top.file(INDEX))?.text()) ?? "") : new Map();
      /** @type {Map<string, Entry>} */
      const entries = new Map();
      const unread = [];
      for (const id of ids) {
        const entry = before.get(id) ?? index.get(id);
        if (entry) entries.set(id, entry);
        else unread.push(id);
      }
      await inParallel(unread, async (id) => {
        const file = await folders.pictures.file(fileName(id));
        if (file) entries.set(id, await describe(id, file));
      });
      this.#take(entries);
      if (unread.length > 0) await this.#keepIndex(folders);
      const gone = [...before.keys()].filter((id) => !entries.has(id));
      if (gone.length === 0) return 0;
      const binned = new Set((await folders.bin.names()).map(idOf));
      return gone.filter((id) => !binned.has(id)).length;
    });
  }

  /**
   * @param {Uint8Array<ArrayBuffer>} png a whole file
   * @param {number} [time] when it was made, milliseconds since 1970
   * @returns {Promise<Entry>}
   * @throws {import("../errors.js").KleinbildError} "storage-full"; nothing of it is kept then
   */
  async add(png, time = Date.now()) {
    const file = new Blob([png], { type: "image/png" });
    const entry = await this.#place.exclusively(async () => {
      const folders = await this.#fresh();
      const id = newId(time);
      const described = await describe(id, file, crc32(png));
      await folders.pictures.write(fileName(id), png);
      this.#set(described);
      await this.#addThumbnail(folders, described, file);
      this.#unindexed += 1;
      if (this.#unindexed * INDEXED_PER_UNINDEXED >= this.#entries.size) await this.#keepIndex(folders);
      return described;
    });
    this.#place.tell();
    return entry;
  }

  /** @param {readonly string[]} ids go to the bin @returns {Promise<string[]>} those that were there */
  async remove(ids) {
    return this.#move(ids, "pictures", "bin");
  }

  /** @param {readonly string[]} ids come back from the bin @returns {Promise<string[]>} those that were there */
  async restore(ids) {
    return this.#move(ids, "bin", "pictures");
  }

  /** Removes every picture for good. */
  async clear() {
    await this.#place.exclusively(async () => {
      const root = await this.#place.root();
      await root.removeEntry("gallery", { recursive: true }).catch((error) => {
        if (!isNamed(error, "NotFoundError")) throw error;
      });
      this.#folders = null;
      this.#take(new Map());
    });
    this.#place.tell();
  }

  /** @param {string} id @returns {Promise<File | null>} the PNG, null when it is gone */
  async picture(id) {
    return this.#read(({ pictures }) => pictures.file(fileName(id)));
  }

  /**
   * @param {string} id
   * @returns {Promise<Blob | null>} the picture itself where no thumbnail can be drawn now; null when the picture is gone, or is none
   *   that can be shown
   */
  async thumbnail(id) {
    const entry = this.#entries.get(id);
    if (!entry || entry.width === 0 || entry.width * entry.height > MAX_PIXELS) return null;
    const kept = await this.#read(({ thumbnails }) => thumbnails.file(id));
    if (kept && kept.size > 0) {
      if (entry.thumbnailBytes !== kept.size) this.#set({ ...entry, thumbnailBytes: kept.size });
      return kept;
    }
    const picture = await this.picture(id);
    if (!picture) return null;
    const folders = await this.#fresh();
    return this.#addThumbnail(folders, entry, picture);
  }

  /** @param {string} id @returns {Promise<number | null>} CRC-32 of the PNG, null when it is gone */
  async crc(id) {
    const entry = this.#entries.get(id);
    if (entry && entry.crc !== null) return entry.crc;
    const file = await this.picture(id);
    if (!file) return null;
    let crc = 0;
    for await (const bytes of file.stream()) crc = crc32(bytes, crc);
    if (entry) this.#set({ ...entry, crc });
    return crc;
  }

  /** @param {readonly string[]} ids @param {"pictures"|"bin"} from @param {"pictures"|"bin"} to */
  async #move(ids, from, to) {
    const moved = await this.#place.exclusively(async () => {
      const folders = await this.#fresh();
      const done = [];
      for (const id of ids) if (await folders[from].moveTo(fileName(id), folders[to])) done.push(id);
      for (const id of ids) {
        if (to === "bin") this.#entries.delete(id);
        else if (done.includes(id)) await this.#describe(folders, id);
      }
      this.#sorted = null;
      await this.#keepIndex(folders);
      return done;
    });
    this.#place.tell();
    return moved;
  }

  /** @param {Folders} folders @param {string} id */
  async #describe(folders, id) {
    const file = await folders.pictures.file(fileName(id));
    const thumbnail = await folders.thumbnails.file(id);
    if (file) this.#set({ ...(await describe(id, file)), thumbnailBytes: thumbnail?.size ?? 0 });
  }

  /** @param {Folders} folders */
  async #emptyBin({ bin, thumbnails }) {
    for (const name of await bin.names()) {
      await bin.remove(name);
      const id = idOf(name);
      if (id) await thumbnails.remove(id);
    }
  }

  /**
   * Without it the gallery works, too: a failure is none.
   * @param {Folders} folders @param {Entry} entry @param {Blob} picture
   * @returns {Promise<Blob | null>} as `thumbnail`
   */
  async #addThumbnail({ thumbnails }, entry, picture) {
    let thumbnail;
    try {
      thumbnail = await this.#place.makeThumbnail(picture);
    } catch {
      return null;
    }
    if (!thumbnail) return picture;
    await thumbnails.write(entry.id, thumbnail).then(() => this.#set({ ...entry, thumbnailBytes: thumbnail.size }), () => {});
    return thumbnail;
  }

  /** The index only saves time, and the pictures tell the same: a failure is none. @param {Folders} folders */
  async #keepIndex({ top }) {
    this.#unindexed = 0;
    await top.write(INDEX, writeIndex(this.entries)).catch(() => {});
  }

  /** @param {Entry} entry */
  #set(entry) {
    this.#entries.set(entry.id, entry);
    this.#sorted = null;
  }

  /** @param {Map<string, Entry>} entries */
  #take(entries) {
    this.#entries = entries;
    this.#sorted = null;
  }

  /** @template T @param {(folders: Folders) => Promise<T>} task */
  async #read(task) {
    return task(await (this.#folders ?? this.#fresh()));
  }

  /** The folders as they are now: those that were open before may be gone, with all that was in them. @returns {Promise<Folders>} */
  async #fresh() {
    this.#folders = (async () => {
      const top = await Folder.in(await this.#place.root(), "gallery");
      const [pictures, thumbnails, bin] = await Promise.all(["pictures", "thumbnails", "bin"].map((name) => Folder.in(top.handle, name)));
      return /** @type {Folders} */ ({ top, pictures, thumbnails, bin });
    })();
    return this.#folders;
  }
}

/** @template T @param {readonly T[]} items @param {(item: T) => Promise<void>} task */
async function inParallel(items, task) {
  const queue = items.values();
  await Promise.all(Array.from({ length: READERS }, async () => {
    for (const item of queue) await task(item);
  }));
}

