/**
 * Pictures out of the browser: one as a PNG, several as one archive, the settings of one as a link. The archive is made of the files where
 * they lie, so that its size takes no memory.
 */

import { timeOf } from "../../gallery/entry.js";
import { zip } from "../../gallery/zip.js";
import { writeLink } from "../share_link.js";
import { archiveNames, stamp } from "./wording.js";

/** @typedef {import("../app.js").App} App */
/** @typedef {import("../../gallery/gallery.js").Gallery} Gallery */

/** Read at once while the archive is put together. */
const READERS = 16;
/** The browser reads the archive when it writes the download, which may be after we told it to. */
const RELEASE_MS = 60_000;

/** @param {Blob} content @param {string} name */
export function download(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), RELEASE_MS);
}

/**
 * @param {Gallery} gallery
 * @param {readonly import("../../gallery/entry.js").Entry[]} entries
 * @returns {Promise<{ archive: Blob, name: string, count: number }>} count: pictures in it; those that are gone meanwhile are not
 */
export async function archiveOf(gallery, entries) {
  const names = archiveNames(entries);
  /** @type {(import("../../gallery/zip.js").ZipFile | undefined)[]} */
  const found = new Array(entries.length);
  const queue = entries.entries();
  await Promise.all(Array.from({ length: READERS }, async () => {
    for (const [i, entry] of queue) {
      const file = await gallery.picture(entry.id);
      const crc = await gallery.crc(entry.id);
      if (file && crc !== null) found[i] = { name: names[i] ?? "", file, crc, time: timeOf(entry) };
    }
  }));
  const files = found.filter((one) => one !== undefined);
  return { archive: zip(files), name: `kleinbild-${stamp(new Date())}.zip`, count: files.length };
}

/**
 * @param {App} app
 * @param {Parameters<typeof writeLink>[0]} settings
 * @returns {Promise<void>} never rejected; says what came of it
 */
export async function copyLink({ i18n, toast }, settings) {
  const link = writeLink(settings, location.href);
  if (link === null) return toast(i18n.t("gallery.link.too_long"));
  try {
    await navigator.clipboard.writeText(link);
    toast(i18n.t("gallery.link.copied"));
  } catch {
    toast(i18n.t("gallery.link.refused"));
  }
}
