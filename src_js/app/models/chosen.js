/**
 * Which model makes the pictures: the one that somebody chose or used last, remembered between visits, else the site's own. A model on
 * this device goes on being used when the site has a newer revision: changing it is a choice.
 */

import { manifestPath } from "../../model_index.js";

const NAME = "model";
const PATH = /^\/models\/([A-Za-z0-9][A-Za-z0-9._-]{0,99})\.json$/;

/**
 * @param {Pick<import("../store.js").Store, "read">} store
 * @param {Pick<import("../app.js").Site, "manifest">} site
 * @returns {string} path of the manifest
 */
export function chosenManifest(store, site) {
  const remembered = store.read(NAME);
  return typeof remembered === "string" && PATH.test(remembered) ? remembered : site.manifest;
}

/** @param {Pick<import("../store.js").Store, "write">} store @param {string | undefined} manifest path, undefined for the site's own again */
export function rememberChosen(store, manifest) {
  store.write(NAME, manifest);
}

/** @param {string} manifest path @param {string} id @returns {boolean} whether it is the manifest of that model */
export function isOf(manifest, id) {
  return manifest === manifestPath(id);
}
