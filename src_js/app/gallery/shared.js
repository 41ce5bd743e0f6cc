/**
 * The one gallery of the page, opened when somebody first needs it, and kept up to date: a picture that was made is added, and what
 * another tab changes is seen.
 */

import { KleinbildError, asKleinbildError } from "../../errors.js";
import { browserPlace } from "../../gallery/browser_place.js";
import { Gallery } from "../../gallery/gallery.js";

/** @typedef {import("../app.js").App} App */

/** @type {Promise<Gallery> | undefined} */
let opened;

/**
 * @param {App} app
 * @returns {Promise<Gallery>} open; a failure is not remembered: the next call tries again
 * @throws {KleinbildError} "storage-full" or "internal", where the browser gives the page no storage
 */
export async function sharedGallery(app) {
  opened ??= open(app);
  try {
    return await opened;
  } catch (error) {
    opened = undefined;
    throw error;
  }
}

/** @param {App} app @returns {Promise<Gallery>} */
async function open(app) {
  if (!navigator.storage?.getDirectory) {
    throw new KleinbildError("internal", "This browser gives the page no storage: navigator.storage.getDirectory is missing.");
  }
  const gallery = new Gallery(browserPlace(() => {
    void gallery.refresh().then(() => app.events.emit("gallery-changed", {}), () => {});
  }));
  await gallery.open();
  return gallery;
}

/** From now on every picture made is kept. What cannot be kept is said, and can still be saved by hand. @param {App} app */
export function keepPictures(app) {
  app.events.on("picture-made", async ({ png }) => {
    try {
      const gallery = await sharedGallery(app);
      await gallery.add(png);
      app.events.emit("gallery-changed", {});
    } catch (caught) {
      const full = asKleinbildError(caught).code === "storage-full";
      app.toast(app.i18n.t(full ? "gallery.not_kept.full" : "gallery.not_kept"), { seconds: 15 });
    }
  });
}
