/**
 * Unpacks a short zlib stream from an untrusted file. What unpacks to more than it may is stopped at once, so that a small file cannot
 * fill the memory.
 */

import { KleinbildError } from "../errors.js";

/** Given to the browser at once: what a malicious stream makes of it, at most a thousand times as much, must fit the memory. */
const SLICE_BYTES = 4 * 1024;

/**
 * @param {Uint8Array<ArrayBuffer>} bytes a zlib stream
 * @param {number} limit bytes that it may unpack to
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 * @throws {KleinbildError} "bad-input" when it is damaged, or unpacks to more
 */
export async function inflate(bytes, limit) {
  const { readable, writable } = new DecompressionStream("deflate");
  write(writable.getWriter(), bytes).catch(() => {});                    // the reading side fails, too
  const reader = readable.getReader();
  /** @type {Uint8Array[]} */
  const parts = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read().catch((cause) => {
      throw new KleinbildError("bad-input", "A compressed text of the picture's file is damaged.", { cause });
    });
    if (done) break;
    length += value.length;
    if (length > limit) {
      reader.cancel().catch(() => {});
      throw new KleinbildError("bad-input", `A compressed text of the picture's file unpacks to more than ${limit} bytes.`);
    }
    parts.push(value);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** @param {WritableStreamDefaultWriter} writer @param {Uint8Array<ArrayBuffer>} bytes */
async function write(writer, bytes) {
  writer.closed.catch(() => {});
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
    await writer.ready;
    await writer.write(bytes.subarray(at, at + SLICE_BYTES));
  }
  await writer.close();
}
