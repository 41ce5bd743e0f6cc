/**
 * Which tensors of a program may lie in the same memory: each has a life, from its first dispatch to its last, and a slot serves
 * those whose lives do not overlap.
 *
 * A slot is a whole GPU buffer. WebGPU forbids a dispatch to bind one buffer for reading and for writing, and two tensors of one
 * dispatch are alive at the same time, so they never meet in a slot. Knows neither WebGPU nor tensors.
 */

/**
 * @typedef {object} Life
 * @property {number} bytes
 * @property {number} first index of its first dispatch; -Infinity when it holds something before
 * @property {number} last index of its last one; Infinity when it is wanted afterwards
 */

/**
 * @typedef {object} MemoryPlan
 * @property {number[]} slots bytes of each
 * @property {number[]} assignment slot of each life, in the order given
 * @property {number} bytes of all slots
 */

/**
 * Best fit, the largest first: a slot is as large as its first tenant, and a tenant goes into the smallest slot that is free
 * during its life. Finding the least memory is NP-hard; this is within a few per cent for the chains of layers that models are.
 *
 * @param {readonly Life[]} lives
 * @returns {MemoryPlan}
 */
export function planMemory(lives) {
  /** @type {{bytes: number, tenants: Life[]}[]} */
  const slots = [];
  /** @type {number[]} */
  const assignment = new Array(lives.length);
  const order = [...lives.entries()].sort(([, a], [, b]) => b.bytes - a.bytes || ascending(a.first, b.first));
  for (const [i, life] of order) {
    let best = -1;
    for (const [s, slot] of slots.entries()) {
      const free = slot.tenants.every((other) => life.last < other.first || other.last < life.first);
      if (free && (best < 0 || slot.bytes < (slots[best]?.bytes ?? 0))) best = s;
    }
    if (best < 0) best = slots.push({ bytes: life.bytes, tenants: [] }) - 1;
    slots[best]?.tenants.push(life);
    assignment[i] = best;
  }
  const sizes = slots.map(({ bytes }) => bytes);
  return { slots: sizes, assignment, bytes: sizes.reduce((a, b) => a + b, 0) };
}

/** @param {number} a @param {number} b either may be infinite */
function ascending(a, b) {
  return a === b ? 0 : a < b ? -1 : 1;
}
