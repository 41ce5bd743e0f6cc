/**
 * Which models are installed: one small file each, beside the weights. It holds the manifest as it was fetched, so that a model goes on
 * working when the site has moved on or cannot be reached, and what is known of it. Written aside and renamed; one that cannot be read
 * back is none. Knows nothing of the weights themselves.
 */

import { sha256Hex } from "../digest.js";
import { parseManifest } from "../manifest.js";
import { boolean, integer, matching, oneOf, record, string } from "../reader.js";

/** @typedef {import("../manifest.js").Manifest} Manifest */
/** @typedef {import("./opfs.js").FileLayer} FileLayer */

/**
 * @typedef {object} Facts
 * @property {boolean} pinned asked for by hand: it makes no room for another model
 * @property {"none"|"running"|"paused"} download "running" also after the page went away under it
 * @property {number} begun when its first byte was asked for, in ms since 1970
 * @property {number} verified since when every byte is known to be right, 0 when that is unknown
 * @property {string} replaces the id of the older revision that goes once this one is whole, "" for none
 *
 * @typedef {{ manifest: Manifest, text: string } & Facts} ModelRecord text: the manifest as it was fetched
 */

/** A manifest of the real model is a few hundred KiB; more than this is no manifest. */
export const MAX_MANIFEST_CHARACTERS = 32 * 1024 * 1024;
const SCHEMA = 1;
const FILE_NAME = /^([A-Za-z0-9][A-Za-z0-9._-]{0,99})\.json$/;
const MAX_TIME = 2 ** 53 - 1;

/** @type {import("../reader.js").Reader<{ schema: 1, sha256: string, text: string } & Facts>} */
const readFile = record({
  schema: oneOf(/** @type {const} */ ([SCHEMA])),
  pinned: boolean,
  download: oneOf(/** @type {const} */ (["none", "running", "paused"])),
  begun: integer(0, MAX_TIME),
  verified: integer(0, MAX_TIME),
  replaces: string(100),
  sha256: matching(/^[0-9a-f]{64}$/, "64 hexadecimal digits"),
  text: string(MAX_MANIFEST_CHARACTERS),
});

export class ModelRecords {
  #layer;
  /** Manifests are large and never change: each is checked once. @type {Map<string, Manifest>} by the SHA-256 of its text */
  #manifests = new Map();

  /** @param {FileLayer} layer a folder of its own */
  constructor(layer) {
    this.#layer = layer;
  }

  /** @param {FileLayer} layer a folder of its own @returns {Promise<ModelRecords>} */
  static async open(layer) {
    await layer.exclusively(() => layer.removeParts());
    return new ModelRecords(layer);
  }

  /** @returns {Promise<ModelRecord[]>} by id */
  async all() {
    const ids = [...(await this.#layer.sizes()).keys()].flatMap((name) => FILE_NAME.exec(name)?.[1] ?? []);
    const records = await Promise.all(ids.sort().map((id) => this.get(id)));
    return records.filter((found) => found !== undefined);
  }

  /** @param {string} id @returns {Promise<ModelRecord | undefined>} undefined when there is none that can be read */
  async get(id) {
    const size = await this.#layer.size(fileName(id));
    if (!size) return undefined;
    try {
      const bytes = new Uint8Array(size);
      const file = await this.#layer.open(fileName(id));
      try {
        file.read(bytes, 0);
      } finally {
        file.close();
      }
      const { schema, sha256, ...facts } = readFile(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)), id);
      if ((await sha256Hex(new TextEncoder().encode(facts.text))) !== sha256) return undefined;
      const manifest = this.#manifests.get(sha256) ?? parseManifest(JSON.parse(facts.text));
      if (manifest.id !== id) return undefined;
      this.#manifests.set(sha256, manifest);
      return { manifest, ...facts };
    } catch {
      return undefined;                     // damaged, of another version, or removed meanwhile
    }
  }

  /**
   * Changes what is known of a model; one that is not installed is from now on.
   * @param {Manifest} manifest @param {string} text it
   * @param {Partial<Facts>} facts those that change
   * @throws {import("../errors.js").KleinbildError} "storage-full"
   */
  async put(manifest, text, facts) {
    const { id } = manifest;
    const sha256 = await sha256Hex(new TextEncoder().encode(text));
    await this.#layer.exclusively(async () => {
      const before = (await this.get(id)) ?? { pinned: false, download: /** @type {const} */ ("none"), begun: Date.now(), verified: 0, replaces: "" };
      const { pinned, download, begun, verified, replaces } = { ...before, ...facts };
      const value = { schema: SCHEMA, pinned, download, begun, verified, replaces, sha256, text };
      await this.#layer.write(fileName(id), new TextEncoder().encode(JSON.stringify(value)));
    });
  }

  /** @param {string} id no error when there is none */
  async remove(id) {
    await this.#layer.exclusively(() => this.#layer.remove(fileName(id)));
  }
}

/** @param {string} id */
function fileName(id) {
  return `${id}.json`;
}
