/**
 * What a site says of its models: the index and the manifests, fetched and checked. Files of weights are download.js's.
 */

import { KleinbildError } from "../errors.js";
import { parseManifest } from "../manifest.js";
import { INDEX_PATH, manifestPath, parseModelIndex } from "../model_index.js";
import { MAX_MANIFEST_CHARACTERS } from "./records.js";

/** @typedef {{ manifest: import("../manifest.js").Manifest, text: string }} FetchedManifest */

export class Site {
  #baseUrl;
  #fetch;

  /** @param {string} baseUrl the site's root @param {typeof fetch} [fetcher] for tests */
  constructor(baseUrl, fetcher = fetch.bind(globalThis)) {
    this.#baseUrl = baseUrl;
    this.#fetch = fetcher;
  }

  /** @returns {Promise<import("../model_index.js").ModelIndex>} @throws {KleinbildError} "download-failed", "bad-manifest" */
  async index() {
    return parseModelIndex(await this.#json(INDEX_PATH));
  }

  /**
   * @param {string} path of the manifest
   * @returns {Promise<FetchedManifest>}
   * @throws {KleinbildError} "download-failed", "bad-manifest"
   */
  async manifest(path) {
    const text = await this.#text(path);
    const manifest = parseManifest(parsed(text, path));
    if (path !== manifestPath(manifest.id)) {
      throw new KleinbildError("bad-manifest", `${path} is the manifest of ${manifest.id}. The site is damaged: build it again.`);
    }
    return { manifest, text };
  }

  /** @param {string} path */
  async #json(path) {
    return parsed(await this.#text(path), path);
  }

  /** @param {string} path @returns {Promise<string>} */
  async #text(path) {
    let response;
    let text;
    try {
      response = await this.#fetch(new URL(path, this.#baseUrl));
      text = response.ok ? await response.text() : "";
    } catch (error) {
      const message = `${path} could not be fetched. Check the connection and try again.`;
      throw new KleinbildError("download-failed", message, { cause: error });
    }
    if (!response.ok) throw new KleinbildError("download-failed", `${path} could not be fetched: the server answered ${response.status}.`);
    if (text.length > MAX_MANIFEST_CHARACTERS) throw new KleinbildError("bad-manifest", `${path} is far too long.`);
    return text;
  }
}

/** @param {string} text @param {string} path @returns {unknown} */
function parsed(text, path) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new KleinbildError("bad-manifest", `${path} is not JSON. The site is damaged: build it again.`, { cause: error });
  }
}
