/**
 * Settings into the form of the make view, from a picture of the gallery, from a picture's file that somebody dropped, opened or started
 * the app with, or from a link. Says what was taken and what was not. Starts no picture.
 */

import { readPictureFile } from "../../image/picture_text.js";
import { textElement } from "../elements.js";
import { showText } from "../localise.js";
import { checkRestored } from "../restored.js";
import { readLink } from "../share_link.js";

/** @typedef {import("../app.js").App} App */
/** @typedef {import("../restored.js").Restored} Restored */

/**
 * Shows the make view with these settings; those that are not told stay as they are.
 * @param {App} app
 * @param {import("../restored.js").SomeSettings} settings
 * @returns {Promise<void>} when they are in the form, or people went elsewhere meanwhile
 */
export async function useSettings(app, { seed, ...others }) {
  if (document.body.dataset["view"] !== "make") {
    const shown = nextRoute(app);                                        // the view may have to be opened first
    app.navigate("make");
    if ((await shown) !== "make") return;
  }
  app.events.emit("use-settings", { ...others, ...(seed === undefined ? {} : { seed: `${seed}` }) });
}

/** @param {App} app @returns {Promise<string>} the view that is shown next */
function nextRoute(app) {
  return new Promise((resolve) => {
    const stop = app.events.on("route", ({ view }) => {
      stop();
      resolve(view);
    });
  });
}

/** A link's settings, once: a reload keeps what was changed in the form since. @param {App} app */
export function followLinks(app) {
  app.events.on("route", ({ view, params }) => {
    const restored = view === "make" ? readLink(params.toString()) : null;
    if (!restored) return;
    history.replaceState(null, "", "#/make");
    void take(app, restored, app.i18n.t("gallery.restored.link"));
  });
}

/**
 * @param {App} app
 * @param {File} file anybody's
 * @returns {Promise<void>} never rejected
 */
export async function restoreFrom(app, file) {
  const name = file.name.slice(0, 80);
  try {
    const { text } = await readPictureFile(file);
    const restored = text && checkRestored(text);
    if (restored && Object.keys(restored.settings).length > 0) await take(app, restored, app.i18n.t("gallery.restored.file", { name }));
    else app.toast(app.i18n.t("gallery.restored.nothing", { name }), { seconds: 10 });
  } catch {
    app.toast(app.i18n.t("gallery.restored.unreadable", { name }), { seconds: 10 });
  }
}

/** Pictures that are dropped anywhere on the page, or that the system opens the installed app with. @param {App} app */
export function receivePictures(app) {
  /** Whether a picture of the page itself is being dragged, out of it most likely. */
  let own = false;
  document.addEventListener("dragstart", () => (own = true));
  document.addEventListener("dragend", () => (own = false));
  const holds = (/** @type {DragEvent} */ event) => !own && (event.dataTransfer?.types.includes("Files") ?? false);
  const hint = textElement("div", "", "drop-hint");
  showText(hint, () => app.i18n.t("gallery.drop"));
  hint.hidden = true;
  document.body.append(hint);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let leave;
  document.addEventListener("dragover", (event) => {
    if (!holds(event)) return;
    event.preventDefault();
    hint.hidden = false;
    clearTimeout(leave);                                                 // dragleave comes for every element passed, too
    leave = setTimeout(() => (hint.hidden = true), 300);
  });
  document.addEventListener("drop", (event) => {
    const file = event.dataTransfer?.files[0];
    if (!holds(event)) return;
    event.preventDefault();
    hint.hidden = true;
    if (file) void restoreFrom(app, file);
  });
  const { launchQueue } = /** @type {{ launchQueue?: LaunchQueue }} */ (/** @type {unknown} */ (globalThis));
  launchQueue?.setConsumer(async ({ files }) => {
    const file = await files?.[0]?.getFile();
    if (file) await restoreFrom(app, file);
  });
}

/** TypeScript's library lacks this. @typedef {{ setConsumer(consumer: (params: { files?: readonly FileSystemFileHandle[] }) => void): void }} LaunchQueue */

/** @param {App} app @param {Restored} restored @param {string} sentence */
async function take(app, { settings, ignored, cleaned }, sentence) {
  const { i18n } = app;
  await useSettings(app, settings);
  const names = ignored.map((name) => i18n.t(`gallery.setting.${name}`));
  const list = new Intl.ListFormat(i18n.language, { type: "conjunction" }).format(names);
  const sentences = [sentence];
  if (names.length > 0) sentences.push(i18n.t("gallery.restored.ignored", { list }));
  if (cleaned) sentences.push(i18n.t("gallery.restored.cleaned"));
  app.toast(sentences.join(" "), { seconds: 10 });
}
