/**
 * Where the queue is remembered: twice. What localStorage is told outlives a killed tab at once, but Chromium writes it to the disk seconds
 * later; what IndexedDB is told outlives a killed browser, but may still be on its way when the tab dies. The later of the two counts.
 * Knows nothing of orders.
 */

const DATABASE = "kleinbild";
const TABLE = "remembered";

/** @typedef {{ at: number, value?: unknown }} Remembered at: a number that grows with each; value: none where it was forgotten */
/**
 * @typedef {object} Table
 * @property {(name: string) => Promise<unknown>} read
 * @property {(name: string, remembered: Remembered) => Promise<void>} write
 */

export class QueueStore {
  #store;
  #table;
  #name;
  /** @type {Remembered} */
  #latest;

  /**
   * @param {Pick<import("../store.js").Store, "read"|"write">} store
   * @param {Table | null} table null where the browser gives none
   * @param {string} name of the one value
   * @param {unknown} [there] what the table has of it
   */
  constructor(store, table, name, there) {
    this.#store = store;
    this.#table = table;
    this.#name = name;
    const [one, other] = [asRemembered(store.read(name)), asRemembered(there)];
    this.#latest = other.at > one.at ? other : one;
  }

  /**
   * @param {Pick<import("../store.js").Store, "read"|"write">} store
   * @param {string} name
   * @param {() => Promise<Table>} [open]
   * @returns {Promise<QueueStore>} never rejected
   */
  static async open(store, name, open = openTable) {
    const table = await open().catch(() => null);
    return new QueueStore(store, table, name, await table?.read(name).catch(() => undefined));
  }

  /** @returns {unknown} what was written last; undefined when there is nothing */
  read() {
    return this.#latest.value;
  }

  /** @param {unknown} value JSON; undefined forgets it @returns {boolean} whether it will be remembered */
  write(value) {
    this.#latest = { at: Math.max(Date.now(), this.#latest.at + 1), ...(value !== undefined && { value }) };
    this.#table?.write(this.#name, this.#latest).catch(() => undefined);
    return this.#store.write(this.#name, this.#latest);
  }
}

/** @param {unknown} stored whatever was there @returns {Remembered} */
function asRemembered(stored) {
  const { at, value } = /** @type {{ at?: unknown, value?: unknown }} */ (stored ?? {});
  return typeof at === "number" ? { at, value } : { at: 0 };
}

/** @returns {Promise<Table>} @throws {DOMException} where the browser gives a page no database */
async function openTable() {
  const opening = indexedDB.open(DATABASE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(TABLE);
  const database = await settled(opening);
  return {
    read: (name) => settled(database.transaction(TABLE).objectStore(TABLE).get(name)),
    write: (name, remembered) => settled(database.transaction(TABLE, "readwrite", { durability: "strict" }).objectStore(TABLE).put(remembered, name)),
  };
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<any>} */
function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
