/**
 * Fetching one file whole into memory, unpacked, and several at a time. Network failures are retried with back-off; an
 * answer that will not change (404, a longer file than promised) is not. Verifying and keeping the bytes is
 * the shard store's.
 */

import { KleinbildError, throwIfCancelled } from "../errors.js";
import { Damaged, Gunzip, TooLong } from "./gunzip.js";

/** @typedef {Pick<import("../manifest.js").FileRef, "bytes"|"encoding"|"transfer_bytes">} Promised the file's exact sizes */

/** In flight together: three full shards keep the network busy while others are hashed and written; more only costs memory. */
const BYTES_IN_FLIGHT = 3 * 64 * 2 ** 20;
/** Of small files more wait for answers than for bytes; a browser opens so many connections to one server. */
const MOST_FILES_IN_FLIGHT = 6;
const RETRY_DELAYS_MS = [500, 1500, 4000, 10000];
const STALL_MS = 30000;

/**
 * @typedef {object} DownloadOptions
 * @property {typeof fetch} fetch
 * @property {(milliseconds: number, signal: AbortSignal | undefined) => Promise<void>} [wait] for tests
 * @property {RequestCache} [cache]
 * @property {number | undefined} [retries] after failures that another try may mend, 4 unless given
 * @property {AbortSignal | undefined} [signal]
 * @property {(bytes: number) => void} [onBytes] bytes received of this file so far, as they are sent; falls back when a try fails
 */

/** A failure that another try may mend. */
class Interrupted extends Error {}

/**
 * @param {string} url
 * @param {Promised} file
 * @param {DownloadOptions} options
 * @returns {Promise<Uint8Array<ArrayBuffer>>} the plain bytes
 * @throws {KleinbildError} "download-failed" naming the file, "bad-shard" when it unpacks to more than promised, "cancelled",
 *   "out-of-memory"
 * @throws {Damaged} when all of it arrived and does not unpack
 */
export async function download(url, file, options) {
  const wait = options.wait ?? sleep;
  for (let attempt = 0; ; attempt++) {
    throwIfCancelled(options.signal);
    try {
      return await tryOnce(url, file, options);
    } catch (error) {
      throwIfCancelled(options.signal);
      if (error instanceof TooLong) {
        throw new KleinbildError("bad-shard", `${url} ${error.message}. The copy on the server is damaged: build the site again.`, { cause: error });
      }
      if (!(error instanceof Interrupted)) throw error;
      const delay = RETRY_DELAYS_MS.slice(0, options.retries)[attempt];
      if (delay === undefined) throw failed(url, `${error.message}, ${attempt + 1} times`, error);
      options.onBytes?.(0);
      await wait(delay, options.signal);
    }
  }
}

/** @param {readonly Promised[]} files @returns {number} how many of them are fetched at a time */
export function filesInFlight(files) {
  const largest = Math.max(1, ...files.map(({ bytes }) => bytes));
  return Math.min(MOST_FILES_IN_FLIGHT, Math.max(1, Math.floor(BYTES_IN_FLIGHT / largest)));
}

/**
 * Runs `task` on every item, at most `limit` at a time; the first failure stops the rest.
 * @template T
 * @param {readonly T[]} items
 * @param {number} limit
 * @param {(item: T, signal: AbortSignal) => Promise<void>} task
 * @param {AbortSignal | undefined} signal
 */
export async function forEachInFlight(items, limit, task, signal) {
  const stop = new AbortController();
  const abort = () => stop.abort();
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  const queue = items.values();
  /** @type {unknown[]} */
  const failures = [];
  const lane = async () => {
    for (const item of queue) {
      if (stop.signal.aborted) return;
      try {
        await task(item, stop.signal);
      } catch (error) {
        failures.push(error);
        stop.abort();
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: limit }, lane));
  } finally {
    signal?.removeEventListener("abort", abort);
  }
  throwIfCancelled(signal);
  if (failures.length > 0) throw failures[0];
}

/** @param {string} url @param {Promised} file @param {DownloadOptions} options */
async function tryOnce(url, { bytes, encoding, transfer_bytes: promised }, { fetch, cache, signal, onBytes }) {
  const attempt = new AbortController();
  const abort = () => attempt.abort();
  signal?.addEventListener("abort", abort);
  let stall = setTimeout(abort, STALL_MS);
  /** @type {Gunzip | undefined} */
  let gunzip;
  try {
    const response = await fetch(url, { ...(cache && { cache }), signal: attempt.signal });
    if (response.status >= 500 || response.status === 429 || response.status === 408) {
      throw new Interrupted(`the server answered ${response.status}`);
    }
    if (!response.ok || !response.body) throw failed(url, `the server answered ${response.status}`);
    const result = allocate(bytes);
    if (encoding === "gzip") gunzip = new Gunzip(result);
    let received = 0;
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (received + value.length > promised) throw failed(url, `it is longer than the ${promised} bytes promised`);
      if (gunzip) await gunzip.write(value);
      else result.set(value, received);
      received += value.length;
      onBytes?.(received);
      clearTimeout(stall);
      stall = setTimeout(abort, STALL_MS);
    }
    if (received < promised) throw new Interrupted(`only ${received} of ${promised} bytes arrived`);
    await gunzip?.end();
    return result;
  } catch (error) {
    if (error instanceof Interrupted || error instanceof Damaged || error instanceof KleinbildError) throw error;
    const reason = attempt.signal.aborted ? `no data for ${STALL_MS / 1000} s` : "the connection failed";
    throw new Interrupted(reason, { cause: error });
  } finally {
    clearTimeout(stall);
    signal?.removeEventListener("abort", abort);
    attempt.abort();
    gunzip?.cancel();
  }
}

/** @param {number} bytes */
function allocate(bytes) {
  try {
    return new Uint8Array(bytes);
  } catch (error) {
    const message = `This tab has no ${Math.ceil(bytes / 2 ** 20)} MiB of memory left for a download.`;
    throw new KleinbildError("out-of-memory", message, { cause: error });
  }
}

/** @param {string} url @param {string} reason @param {unknown} [cause] */
function failed(url, reason, cause) {
  return new KleinbildError("download-failed", `${url} could not be downloaded: ${reason}. ` +
    "Check the connection and try again: what is already downloaded is kept.", { cause });
}

/** @param {number} milliseconds @param {AbortSignal | undefined} signal resolves early when aborted */
function sleep(milliseconds, signal) {
  return new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
