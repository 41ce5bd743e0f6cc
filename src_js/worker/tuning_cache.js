/**
 * What was measured about kernels, kept on this device: for each GPU, browser and build of the page its own report, and until there is
 * one the names of candidates that may have taken the GPU down. The cache only saves time: what is damaged, foreign or cannot be
 * kept is measured again.
 */

import { sha256Hex } from "../digest.js";
import { BlobCache } from "../storage/blob_cache.js";
import { MemoryLayer } from "../storage/memory.js";
import { openOpfs } from "../storage/opfs.js";
import { integer, list, oneOf, record, refuse, string } from "../reader.js";

/**
 * @typedef {import("../engine/tuning/report.js").TuningReport} TuningReport
 * @typedef {{kind: string, name: string, times: number}} Suspect a candidate that ran when the page or the GPU went away, so often
 * @typedef {Pick<BlobCache, "get"|"put">} Blobs
 */

/** Of everything below and of what the measurements mean: another one finds nothing of this one's. */
const VERSION = 2;
const DIRECTORY = ["kleinbild", "kernels"];
const MOST_BYTES = 2 ** 20;
const MOST_KINDS = 100;
const MOST_CANDIDATES = 200;
const MOST_CHARACTERS = 4000;

const name = string(200);
const sentence = string(MOST_CHARACTERS);
/** @type {import("../reader.js").Reader<number>} */
const amount = (value, where) => (
  typeof value === "number" && value >= 0 && value < Infinity ? value : refuse(where, "expected an amount"));

const readCandidates = list(record({
  name, family: oneOf(/** @type {const} */ (["plain", "matrix"])), tflops: amount, error: amount, dropped: sentence,
}), 0, MOST_CANDIDATES);

/** @type {import("../reader.js").Reader<TuningReport>} */
const readReport = record({
  kinds: list(record({
    kind: name,
    chosen: name,
    problem: sentence,
    candidates: readCandidates,
    shapes: list(record({ kind: name, chosen: name, candidates: readCandidates }), 0, MOST_KINDS),
  }), 0, MOST_KINDS),
  faults: list(sentence, 0, MOST_KINDS),
  seconds: amount,
});

/** @type {import("../reader.js").Reader<Suspect[]>} */
const readSuspects = list(record({ kind: name, name, times: integer(1, MOST_CANDIDATES) }), 0, MOST_CANDIDATES);

export class TuningCache {
  /** @param {Blobs | undefined} blobs undefined: nothing is kept */
  constructor(blobs) {
    this.blobs = blobs;
  }

  /** @returns {Promise<TuningCache>} on this device, or in memory only where the browser gives a page no storage */
  static async open() {
    const layer = await openOpfs(DIRECTORY).catch(() => new MemoryLayer());
    return new TuningCache(await BlobCache.open(layer, MOST_BYTES).catch(() => BlobCache.open(new MemoryLayer(), MOST_BYTES)));
  }

  /**
   * @param {unknown} identity everything that a measurement depends on, as JSON can hold it
   * @returns {Promise<TuningReport | undefined>}
   */
  report(identity) {
    return this.#get("report", identity, readReport);
  }

  /** @param {unknown} identity @returns {Promise<Suspect[]>} */
  async suspects(identity) {
    return (await this.#get("suspects", identity, readSuspects)) ?? [];
  }

  /** @param {unknown} identity @param {TuningReport} report */
  keepReport(identity, report) {
    return this.#put("report", identity, report);
  }

  /** @param {unknown} identity @param {readonly Suspect[]} suspects in place of those before */
  keepSuspects(identity, suspects) {
    return this.#put("suspects", identity, suspects);
  }

  /**
   * @template T
   * @param {string} what @param {unknown} identity @param {import("../reader.js").Reader<T>} read
   * @returns {Promise<T | undefined>}
   */
  async #get(what, identity, read) {
    try {
      const bytes = await this.blobs?.get(await keyOf(what, identity));
      return bytes && read(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)), what);
    } catch {
      return undefined;
    }
  }

  /** @param {string} what @param {unknown} identity @param {unknown} value */
  async #put(what, identity, value) {
    try {
      await this.blobs?.put(await keyOf(what, identity), new TextEncoder().encode(JSON.stringify(value)));
    } catch {
      // No room, or no storage: it is measured again at the next visit.
    }
  }
}

/** @param {string} what @param {unknown} identity @returns {Promise<string>} */
function keyOf(what, identity) {
  return sha256Hex(new TextEncoder().encode(JSON.stringify([VERSION, what, identity])));
}
