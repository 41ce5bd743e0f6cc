/**
 * The pictures that are waiting to be made, in order. What may be remembered survives a reload; of the rest it is remembered how many
 * there were, so that nothing is lost without a word. Makes none itself.
 */

import { checkSettings } from "../../protocol.js";

/**
 * One prompt and the seeds that are still to be made with it.
 * @typedef {object} Order
 * @property {number} id
 * @property {string} prompt
 * @property {number} width
 * @property {number} height
 * @property {number} steps
 * @property {string[]} seeds decimal, the next first; never empty
 * @property {boolean} keepPrompt whether what belongs to the prompt may stay on this device
 */

export const MAX_PICTURES = 1000;

export class PictureQueue {
  #store;
  #onChange;
  /** @type {Order[]} */
  #orders = [];
  #ids = 0;
  #paused = false;

  /**
   * @param {Pick<import("./queue_store.js").QueueStore, "read"|"write"> | null} store null: this tab's queue is not the one that is remembered
   * @param {() => void} onChange
   */
  constructor(store, onChange) {
    this.#store = store;
    this.#onChange = onChange;
  }

  get orders() {
    return /** @type {readonly Order[]} */ (this.#orders);
  }

  /** @returns {number} pictures, the one in the making included */
  get length() {
    return this.#orders.reduce((sum, { seeds }) => sum + seeds.length, 0);
  }

  /** Whether the next picture waits for somebody. */
  get paused() {
    return this.#paused;
  }

  set paused(paused) {
    if (this.#paused === paused) return;
    this.#paused = paused;
    this.#onChange();
  }

  /** @returns {Order | undefined} its first seed is the next picture */
  get next() {
    return this.#orders[0];
  }

  /** @param {readonly Omit<Order, "id">[]} orders @returns {boolean} false when that would be more than MAX_PICTURES: none is taken */
  add(orders) {
    const pictures = orders.reduce((sum, { seeds }) => sum + seeds.length, 0);
    if (this.length + pictures > MAX_PICTURES) return false;
    for (const order of orders) this.#orders.push({ ...order, seeds: [...order.seeds], id: ++this.#ids });
    this.#changed();
    return true;
  }

  /** The picture of this seed is made, or shall not be. @param {number} id @param {string} seed */
  done(id, seed) {
    const order = this.#orders.find((one) => one.id === id);
    if (!order) return;
    const i = order.seeds.indexOf(seed);
    if (i >= 0) order.seeds.splice(i, 1);
    if (order.seeds.length === 0) this.#orders.splice(this.#orders.indexOf(order), 1);
    this.#changed();
  }

  /** @param {number} id @param {string} [making] its seed that is in the making stays */
  remove(id, making) {
    const order = this.#orders.find((one) => one.id === id);
    if (!order) return;
    order.seeds = order.seeds.filter((seed) => seed === making);
    if (order.seeds.length === 0) this.#orders.splice(this.#orders.indexOf(order), 1);
    this.#changed();
  }

  /** Remembers prompts no longer. */
  forget() {
    for (const order of this.#orders) order.keepPrompt = false;
    this.#remember();
  }

  /**
   * Takes back what was waiting when the page was closed; it waits until somebody says go.
   * @returns {{ restored: number, lost: number }} pictures
   */
  recall() {
    const stored = /** @type {{ orders?: unknown, lost?: unknown } | undefined} */ (this.#store?.read());
    const orders = Array.isArray(stored?.orders) ? stored.orders.filter(isOrder) : [];
    const before = this.length;
    this.add(orders.map(({ prompt, width, height, steps, seeds }) => ({ prompt, width, height, steps, seeds, keepPrompt: true })));
    if (this.length > 0) this.paused = true;
    const lost = typeof stored?.lost === "number" && stored.lost > 0 ? Math.floor(stored.lost) : 0;
    if (lost > 0) this.#remember();                                      // it is told once
    return { restored: this.length - before, lost };
  }

  #changed() {
    if (this.#orders.length === 0) this.#paused = false;
    this.#remember();
    this.#onChange();
  }

  #remember() {
    const kept = this.#orders.filter(({ keepPrompt }) => keepPrompt);
    const pictures = (/** @type {readonly Order[]} */ orders) => orders.reduce((sum, { seeds }) => sum + seeds.length, 0);
    const lost = this.length - pictures(kept);
    const value = this.#orders.length === 0 ? undefined : { orders: kept, lost };
    if (this.#store && !this.#store.write(value)) {
      this.#store.write(undefined);                                      // an older, longer list must not come back
      this.#store.write({ orders: [], lost: this.length });
    }
  }
}

/** @param {any} order whatever the browser kept @returns {order is Order} */
function isOrder(order) {
  try {
    const { prompt, width, height, steps, seeds } = order;
    if (!Array.isArray(seeds) || seeds.length === 0 || seeds.length > MAX_PICTURES) return false;
    for (const seed of seeds) {
      if (typeof seed !== "string" || !/^[0-9]{1,20}$/.test(seed)) return false;
      checkSettings({ prompt, width, height, steps, seed: BigInt(seed), latents: null });
    }
    return true;
  } catch {
    return false;
  }
}
