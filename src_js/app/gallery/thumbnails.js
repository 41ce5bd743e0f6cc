/**
 * Addresses of thumbnails for what is in sight: a few are fetched at a time, those asked for last first, and those that scrolled away
 * meanwhile not at all. The addresses of the last few hundred stay, so that scrolling back shows them at once.
 */

const AT_ONCE = 6;
const MOST_KEPT = 400;

/** @typedef {{ wanted: () => boolean, show: (url: string | null) => void }} Request show: null when there is no thumbnail */

export class Thumbnails {
  #load;
  /** @type {Map<string, string | null>} addresses, the one used longest ago first */
  #urls = new Map();
  /** @type {Map<string, Request>} the one asked for last comes last */
  #queue = new Map();
  #running = 0;

  /** @param {(id: string) => Promise<Blob | null>} load */
  constructor(load) {
    this.#load = load;
  }

  /** @param {string} id @returns {string | null | undefined} its address if it is here; undefined: not asked for yet */
  known(id) {
    const url = this.#urls.get(id);
    if (url !== undefined) this.#keep(id, url);
    return url;
  }

  /** @param {string} id @param {Request} request */
  ask(id, request) {
    this.#queue.delete(id);
    this.#queue.set(id, request);
    this.#next();
  }

  /** Drops the address of a picture that is gone. @param {string} id */
  forget(id) {
    const url = this.#urls.get(id);
    this.#urls.delete(id);
    if (url) URL.revokeObjectURL(url);
  }

  #next() {
    while (this.#running < AT_ONCE) {
      const entry = [...this.#queue].at(-1);
      if (!entry) return;
      const [id, request] = entry;
      this.#queue.delete(id);
      if (request.wanted()) void this.#run(id, request);
    }
  }

  /** @param {string} id @param {Request} request */
  async #run(id, request) {
    this.#running += 1;
    const blob = await this.#load(id).catch(() => undefined);
    this.#running -= 1;
    const url = this.#urls.get(id) ?? (blob ? URL.createObjectURL(blob) : null);
    if (blob !== undefined) this.#keep(id, url);           // what failed once may be read the next time
    request.show(url);
    this.#next();
  }

  /** @param {string} id @param {string | null} url */
  #keep(id, url) {
    this.#urls.delete(id);
    this.#urls.set(id, url);
    for (const oldest of this.#urls.keys()) {
      if (this.#urls.size <= MOST_KEPT) return;
      this.forget(oldest);
    }
  }
}
