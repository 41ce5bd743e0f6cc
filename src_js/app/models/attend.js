/**
 * What the page does about models without being asked, once it is at rest: goes on with a download that an earlier visit left unfinished, and
 * tells, once, that the site has a new revision of a model on this device. All else is the models view's.
 */

import { element } from "../elements.js";
import { showText } from "../localise.js";
import { modelsClient } from "./client.js";
import { interruptedHere } from "./shelf.js";

const TOLD = "told-revision";

/** @param {import("../app.js").App} app @param {() => Promise<void>} openView opens the models view's code, which goes on with the download */
export async function attendModels(app, openView) {
  const { models } = await modelsClient().list();
  const fresh = models.find(({ replaces, installed }) => replaces !== null && !installed);
  if (fresh && app.settings.read(TOLD) !== fresh.id) tellRevision(app, fresh);
  if (models.some(interruptedHere(app))) await openView();
}

/** @param {import("../app.js").App} app @param {import("../../model_state.js").ModelState} model */
function tellRevision({ events, i18n, navigate, settings }, { id, name }) {
  const banner = element("model-update", HTMLElement);
  showText(element("model-update-text", HTMLElement), () => i18n.t("shell.model_update", { name }));
  element("model-update-show", HTMLButtonElement).addEventListener("click", () => navigate("models"));
  events.on("route", ({ view }) => {
    if (view === "models") banner.hidden = true;
  });
  if (document.body.dataset["view"] !== "models") banner.hidden = false;
  settings.write(TOLD, id);
}
