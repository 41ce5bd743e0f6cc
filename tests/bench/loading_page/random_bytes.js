/** Random bytes, for shards whose values do not matter. */

const MOST_BYTES = 65536;                         // getRandomValues gives no more at once

/** @param {number} bytes @returns {Uint8Array<ArrayBuffer>} */
export function randomBytes(bytes) {
  const data = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += MOST_BYTES) crypto.getRandomValues(data.subarray(at, at + MOST_BYTES));
  return data;
}
