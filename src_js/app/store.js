/**
 * What the page remembers between visits, as JSON below one prefix of localStorage. Storage that is forbidden, full or
 * holds something else costs the memory, never the page. Pictures and models lie elsewhere.
 */

const PREFIX = "kleinbild.";

export class Store {
  #storage;

  /** @param {() => Pick<Storage, "getItem"|"setItem"|"removeItem">} storage asked for at each use: merely naming it may throw */
  constructor(storage = () => localStorage) {
    this.#storage = storage;
  }

  /** @param {string} name @returns {unknown} undefined when there is nothing readable; whoever asks checks what it is */
  read(name) {
    try {
      return JSON.parse(this.#storage().getItem(PREFIX + name) ?? "") ?? undefined;
    } catch {
      return undefined;
    }
  }

  /** @param {string} name @param {unknown} value JSON; undefined forgets it @returns {boolean} whether it will be remembered */
  write(name, value) {
    try {
      if (value === undefined) this.#storage().removeItem(PREFIX + name);
      else this.#storage().setItem(PREFIX + name, JSON.stringify(value));
      return true;
    } catch {
      return false;
    }
  }
}
