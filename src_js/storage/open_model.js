/**
 * A model as whoever makes pictures with it opens it: its manifest, from this device where the whole model is here, and the store of its
 * files. From then on it counts as installed, though not as asked for by hand: it makes room when another model needs that.
 */

import { allFiles, keptNames, noteWhole, noted, openRecords } from "./library.js";
import { ShardStore } from "./shard_store.js";
import { Site } from "./site.js";

/**
 * @typedef {object} OpenModel
 * @property {import("../manifest.js").Manifest} manifest
 * @property {ShardStore} store
 * @property {() => Promise<void>} noteInstalled that its files are being fetched
 * @property {() => Promise<void>} noteWhole that all its files are here
 */

/**
 * The site's manifest says where files can be fetched. The one on this device serves where nothing has to be, or where the site has moved
 * on or cannot be reached.
 * @param {URL} manifestUrl
 * @returns {Promise<OpenModel>}
 * @throws {import("../errors.js").KleinbildError} "download-failed", "bad-manifest"
 */
export async function openModelFiles(manifestUrl) {
  const baseUrl = new URL("/", manifestUrl).href;
  const records = await openRecords();
  const open = async (/** @type {import("./site.js").FetchedManifest} */ { manifest, text }) => ({
    manifest,
    store: await ShardStore.open({ baseUrl, model: allFiles(manifest), kept: () => keptNames(records, { pinned: true }) }),
    noteInstalled: () => noted(records.put(manifest, text, {})),
    noteWhole: () => noteWhole(records, { manifest, text }),
  });
  const path = manifestUrl.pathname;
  const record = await records.get(path.slice(path.lastIndexOf("/") + 1).replace(/\.json$/, ""));
  if (!record) return open(await new Site(baseUrl).manifest(path));
  const model = await open(record);
  if ((await model.store.missing(allFiles(record.manifest))).length === 0) return model;
  return new Site(baseUrl).manifest(path).then(open, () => model);
}
