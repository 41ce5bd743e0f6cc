/**
 * Fetching one file whole into memory, unpacked, and several at a time. Network failures are retried with back-off, from the byte
 * where the last try ended if the server can do that; an answer that will not change (404, a longer file than promised) is not.
 * Verifying and keeping the bytes is the shard store's. What a pause or a closed tab breaks off is fetched from its first byte again:
 * that is at most the three shards in flight, and keeping halves of them would cost a write and a check of each.
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
/** A try that brought so much is none of those that are counted. */
const WORTHWHILE_BYTES = 2 ** 20;

/**
 * @typedef {object} DownloadOptions
 * @property {typeof fetch} fetch
 * @property {(milliseconds: number, signal: AbortSignal | undefined) => Promise<void>} [wait] for tests
 * @property {RequestCache} [cache]
 * @property {number | undefined} [retries] after failures that another try may mend, 4 unless given
 * @property {AbortSignal | undefined} [signal]
 * @property {(bytes: number) => void} [onBytes] bytes received of this file so far, as they are sent; falls back when a try begins anew
 * @property {(reason: string) => void} [onRetry] why the last try failed, when another one follows
 */

/** A failure that another try may mend. */
class Interrupted extends Error {}

/** What has arrived of a file, over all tries. */
class Arrived {
  received = 0;
  /** @type {Uint8Array<ArrayBuffer> | undefined} the plain bytes */
  #result;
  /** @type {Gunzip | undefined} */
  #gunzip;
  #file;

  /** @param {Promised} file */
  constructor(file) {
    this.#file = file;
  }

  /** @param {Uint8Array<ArrayBuffer>} bytes the next ones, as sent @throws {Damaged} */
  async add(bytes) {
    const { encoding, bytes: plain } = this.#file;
    this.#result ??= allocate(plain);
    if (encoding === "gzip") await (this.#gunzip ??= new Gunzip(this.#result)).write(bytes);
    else this.#result.set(bytes, this.received);
    this.received += bytes.length;
  }

  /** @returns {Promise<Uint8Array<ArrayBuffer>>} the plain bytes, once all were added @throws {Damaged} */
  async end() {
    await this.#gunzip?.end();
    return this.#result ?? allocate(0);
  }

  /** Forgets everything. */
  drop() {
    this.#gunzip?.cancel();
    this.#gunzip = undefined;
    this.received = 0;
  }
}

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
  const arrived = new Arrived(file);
  try {
    return await tryUntilWhole(url, file, arrived, options);
  } finally {
    arrived.drop();
  }
}

/** @param {string} url @param {Promised} file @param {Arrived} arrived @param {DownloadOptions} options */
async function tryUntilWhole(url, file, arrived, options) {
  const wait = options.wait ?? sleep;
  for (let attempt = 0; ; attempt++) {
    throwIfCancelled(options.signal);
    const before = arrived.received;
    try {
      await tryOnce(url, file, arrived, options);
      return await arrived.end();
    } catch (error) {
      throwIfCancelled(options.signal);
      if (error instanceof TooLong) {
        throw new KleinbildError("bad-shard", `${url} ${error.message}. The copy on the server is damaged: build the site again.`, { cause: error });
      }
      if (!(error instanceof Interrupted)) throw error;
      // A line that breaks again and again, but brings something each time, gets there in the end.
      if (arrived.received - before >= WORTHWHILE_BYTES) attempt = 0;
      const delay = RETRY_DELAYS_MS.slice(0, options.retries)[attempt];
      if (delay === undefined) throw failed(url, `${error.message}, ${attempt + 1} times`, error);
      options.onRetry?.(error.message);
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

/** @param {string} url @param {Promised} file @param {Arrived} arrived @param {DownloadOptions} options */
async function tryOnce(url, { transfer_bytes: promised }, arrived, { fetch, cache, signal, onBytes }) {
  const attempt = new AbortController();
  const abort = () => attempt.abort();
  signal?.addEventListener("abort", abort);
  let stall = setTimeout(abort, STALL_MS);
  try {
    const range = arrived.received > 0 ? { Range: `bytes=${arrived.received}-` } : undefined;
    const response = await fetch(url, { ...(cache && { cache }), ...(range && { headers: range }), signal: attempt.signal });
    if (response.status >= 500 || response.status === 429 || response.status === 408) {
      throw new Interrupted(`the server answered ${response.status}`);
    }
    if (!response.ok || !response.body) throw failed(url, `the server answered ${response.status}`);
    if (response.status !== 206 || !response.headers.get("Content-Range")?.startsWith(`bytes ${arrived.received}-`)) {
      if (response.status === 206) throw failed(url, "the server answered with another part than was asked for");
      arrived.drop();
      onBytes?.(0);
    }
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (arrived.received + value.length > promised) throw failed(url, `it is longer than the ${promised} bytes promised`);
      await arrived.add(value);
      onBytes?.(arrived.received);
      clearTimeout(stall);
      stall = setTimeout(abort, STALL_MS);
    }
    if (arrived.received < promised) throw new Interrupted(`only ${arrived.received} of ${promised} bytes arrived`);
  } catch (error) {
    if (error instanceof Interrupted || error instanceof Damaged || error instanceof KleinbildError) throw error;
    const reason = attempt.signal.aborted ? `no data for ${STALL_MS / 1000} s` : "the connection failed";
    throw new Interrupted(reason, { cause: error });
  } finally {
    clearTimeout(stall);
    signal?.removeEventListener("abort", abort);
    attempt.abort();
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
