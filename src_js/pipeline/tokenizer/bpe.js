/**
 * Byte-pair encoding of one piece by merge rank: the lowest rank first, the leftmost of equals, until no pair has a
 * rank. A linked list of symbols and a heap of candidate pairs keep a piece of n bytes at O(n log n), however long the
 * "word" is. Not a general BPE: no dropout, no unknown token, no cache.
 */

/** Ranks by pair: an open-addressing table, far smaller than a Map of 150 000 pairs. */
class MergeRanks {
  /** @param {Int32Array} merges [2 * ranks] */
  constructor(merges) {
    let bits = 4;
    while (1 << bits < merges.length) bits++; // at most half full
    this.merges = merges;
    this.shift = 32 - bits;
    this.slots = new Int32Array(1 << bits).fill(-1);
    for (let rank = 0; 2 * rank < merges.length; rank++) {
      const slot = this.slot(merges[2 * rank] ?? 0, merges[2 * rank + 1] ?? 0);
      this.slots[slot] = rank; // of a pair listed twice the later rank counts, as in the reference
    }
  }

  /** @param {number} left @param {number} right @returns {number} The pair's slot, or the free one it would take. */
  slot(left, right) {
    const { merges, slots } = this;
    const mask = slots.length - 1;
    let slot = (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> this.shift;
    for (;;) {
      const rank = slots[slot] ?? -1;
      if (rank < 0 || (merges[2 * rank] === left && merges[2 * rank + 1] === right)) return slot;
      slot = (slot + 1) & mask;
    }
  }

  /** @param {number} left @param {number} right @returns {number} -1 for a pair that never merges. */
  find(left, right) {
    return this.slots[this.slot(left, right)] ?? -1;
  }
}

/** A binary min-heap of doubles. */
class MinHeap {
  constructor() {
    this.keys = new Float64Array(256);
    this.size = 0;
  }

  /** @param {number} key */
  push(key) {
    if (this.size === this.keys.length) {
      const grown = new Float64Array(2 * this.size);
      grown.set(this.keys);
      this.keys = grown;
    }
    const { keys } = this;
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = keys[parent] ?? 0;
      if (above <= key) break;
      keys[at] = above;
      at = parent;
    }
    keys[at] = key;
  }

  /** @returns {number} The smallest key; the heap must not be empty. */
  pop() {
    const { keys } = this;
    const smallest = keys[0] ?? 0;
    const size = --this.size;
    const key = keys[size] ?? 0;
    let at = 0;
    for (let child = 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && (keys[child + 1] ?? 0) < (keys[child] ?? 0)) child++;
      const below = keys[child] ?? 0;
      if (key <= below) break;
      keys[at] = below;
      at = child;
    }
    keys[at] = key;
    return smallest;
  }
}

const RANK_UNIT = 2 ** 32; // a heap key is rank * 2^32 + position

export class BytePairEncoder {
  /** @param {{ byteIds: Int32Array, merges: Int32Array, mergedIds: Int32Array }} vocabulary */
  constructor({ byteIds, merges, mergedIds }) {
    this.byteIds = byteIds;
    this.mergedIds = mergedIds;
    this.ranks = new MergeRanks(merges);
    this.heap = new MinHeap();
  }

  /**
   * Appends the tokens of one piece. Bytes the vocabulary has no token for vanish, as in the reference.
   * @param {Uint8Array} bytes UTF-8. @param {number[]} out
   */
  encode(bytes, out) {
    const symbols = Int32Array.from(bytes, (byte) => this.byteIds[byte] ?? -1).filter((id) => id >= 0);
    if (symbols.length > 1) this.merge(symbols);
    for (const id of symbols) if (id >= 0) out.push(id);
  }

  /** @param {Int32Array} symbols Token ids, merged in place: a symbol joined to the one before it becomes -1. */
  merge(symbols) {
    const count = symbols.length;
    const previous = new Int32Array(count);
    const next = new Int32Array(count);
    for (let i = 0; i < count; i++) {
      previous[i] = i - 1;
      next[i] = i + 1;
      this.propose(symbols, i, i + 1);
    }
    while (this.heap.size > 0) {
      const key = this.heap.pop();
      const rank = Math.floor(key / RANK_UNIT);
      const merged = this.mergedIds[rank] ?? -1;
      const left = key - rank * RANK_UNIT;
      const right = next[left] ?? count;
      // The pair may have changed since; as in the reference, what it would make decides, not its rank.
      if (symbols[left] === -1 || right >= count || this.mergedAt(symbols, left, right) !== merged) continue;
      symbols[left] = merged;
      symbols[right] = -1;
      const after = next[right] ?? count;
      next[left] = after;
      if (after < count) previous[after] = left;
      this.propose(symbols, previous[left] ?? -1, left);
      this.propose(symbols, left, after);
    }
  }

  /** @param {Int32Array} symbols @param {number} left @param {number} right */
  propose(symbols, left, right) {
    if (left < 0 || right >= symbols.length) return;
    const rank = this.ranks.find(symbols[left] ?? -1, symbols[right] ?? -1);
    if (rank >= 0) this.heap.push(rank * RANK_UNIT + left);
  }

  /** @param {Int32Array} symbols @param {number} left @param {number} right @returns {number} -1 for no merge. */
  mergedAt(symbols, left, right) {
    const rank = this.ranks.find(symbols[left] ?? -1, symbols[right] ?? -1);
    return rank < 0 ? -1 : (this.mergedIds[rank] ?? -1);
  }
}
