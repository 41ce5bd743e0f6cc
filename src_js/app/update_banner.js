/**
 * The banner that tells of a new version of the page: what it says, its one button, and what keeps the new version waiting. When it is
 * taken is offline.js's.
 */

import { element } from "./elements.js";
import { showText } from "./localise.js";
import { Update, keepOffline } from "./offline.js";

/** A download that nothing was heard of for so long is none. */
const QUIET_MS = 30_000;

/** @param {import("./app.js").App} app @param {Promise<unknown>} usable when somebody can use the page */
export function offerUpdates({ events, i18n, site }, usable) {
  const banner = element("update", HTMLElement);
  const accept = element("update-accept", HTMLButtonElement);
  const update = new Update({
    reload: () => location.reload(),
    onChange(state) {
      banner.hidden = state === "none";
      accept.hidden = state !== "offered";
      showText(element("update-text", HTMLElement), () => i18n.t(state === "afterwards" ? "shell.update_afterwards" : "shell.update"));
    },
  });
  accept.addEventListener("click", () => update.accept());
  joinBusy(update, { events });
  void keepOffline(site.build, update, usable);
}

/**
 * A picture is work, and so is a download that goes on behind it.
 * @param {Update} update
 * @param {Pick<import("./app.js").App, "events">} parts
 */
function joinBusy(update, { events }) {
  /** @type {Set<string>} */
  const busy = new Set();
  const tell = (/** @type {string} */ what, /** @type {boolean} */ on) => {
    if (on) busy.add(what);
    else busy.delete(what);
    update.setBusy(busy.size > 0);
  };
  events.on("busy", ({ busy: on }) => tell("gpu", on));
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let quiet;
  events.on("downloading", ({ downloading }) => {
    clearTimeout(quiet);
    tell("download", downloading);
    if (downloading) quiet = setTimeout(() => tell("download", false), QUIET_MS);
  });
}
