/** The models view: joins its elements to the shelf, and the shelf to the app. */

import { adviceFor, platformOf } from "../advice.js";
import { element, textElement } from "../elements.js";
import { showText } from "../localise.js";
import { modelsClient } from "./client.js";
import { Shelf } from "./shelf.js";
import { progressText } from "./wording.js";

/** @param {import("../app.js").App} app */
export async function openModels(app) {
  const { events, i18n } = app;
  const clean = element("models-clean", HTMLButtonElement);
  const importing = element("models-folder-button", HTMLButtonElement);
  const common = element("models-common", HTMLElement);
  const shelf = new Shelf(app, modelsClient(), {
    list: element("models-list", HTMLElement),
    folderInput: element("models-folder", HTMLInputElement),
    showStore({ models, store }, busy) {
      const here = models.filter(({ installed }) => installed);
      element("models-summary", HTMLElement).textContent = summary(i18n, here.length, store.bytes);
      element("models-offline", HTMLElement).hidden = !store.offline;
      element("models-unkept", HTMLElement).hidden = store.persistent;
      clean.hidden = store.leftoverBytes === 0;
      clean.textContent = i18n.t("models.button.clean", { bytes: i18n.bytes(store.leftoverBytes) });
      clean.disabled = importing.disabled = busy;
      if (!busy) common.hidden = true;
    },
    showFailure: (error, missingBytes) => showFailure(app, error, missingBytes),
    showOutcome(texts) {
      const lines = texts().map((_, i) => {
        const line = document.createElement("p");
        showText(line, () => texts()[i] ?? "");
        return line;
      });
      element("models-outcome", HTMLElement).replaceChildren(...lines);
    },
    confirmRemoval: (model, chosen) => confirmRemoval(i18n, model, chosen),
  });
  shelf.onCommonProgress = (progress, rate, kind) => {
    common.hidden = false;
    const bar = element("models-common-bar", HTMLProgressElement);
    element("models-common-doing", HTMLElement).textContent = i18n.t(`models.work.${kind}`);
    element("models-common-numbers", HTMLElement).textContent = progress ? progressText(i18n, progress, rate) : "";
    if (progress) [bar.max, bar.value] = [Math.max(1, progress.totalBytes), progress.bytes];
    else bar.removeAttribute("value");
  };
  importing.addEventListener("click", () => void shelf.importFolder());
  clean.addEventListener("click", () => void shelf.clean());
  element("models-common-cancel", HTMLButtonElement).addEventListener("click", () => shelf.stop());
  element("models-copy", HTMLButtonElement).addEventListener("click", () => {
    const lines = element("models-commands", HTMLElement).textContent ?? "";
    void navigator.clipboard.writeText(lines.trim()).then(() => app.toast(i18n.t("models.copied")), () => undefined);
  });
  events.on("language", () => shelf.render());
  events.on("ready", () => void shelf.refresh());
  await shelf.open();
}

/** @param {import("../i18n.js").I18n} i18n @param {number} count @param {number} bytes */
function summary(i18n, count, bytes) {
  return count === 0 && bytes === 0 ? i18n.t("models.summary.none") : i18n.t("models.summary", { count, bytes: i18n.bytes(bytes) });
}

/**
 * @param {import("../app.js").App} app
 * @param {import("../../errors.js").KleinbildError | null} error null: none any more
 * @param {number} [missingBytes] of the model that it is about
 */
function showFailure({ i18n }, error, missingBytes = 0) {
  const panel = element("models-failure", HTMLElement);
  panel.hidden = error === null;
  if (!error) return panel.replaceChildren();
  const advice = () => {
    const { title, steps } = adviceFor(error.code, platformOf(navigator.userAgent), i18n);
    if (error.code !== "storage-full") return [title, ...steps];
    const room = missingBytes > 0 ? [i18n.t("models.advice.room", { bytes: i18n.bytes(missingBytes) })] : [];
    return [title, ...room, i18n.t("models.advice.remove"), ...steps];
  };
  const heading = document.createElement("h2");
  const list = document.createElement("ul");
  advice().forEach((_, i) => {
    const line = i === 0 ? heading : document.createElement("li");
    if (i > 0) list.append(line);
    showText(line, () => advice()[i] ?? "");
  });
  const detail = textElement("p", error.message, "models__detail");
  detail.dir = "auto";
  panel.replaceChildren(heading, list, detail);
}

/** @param {import("../i18n.js").I18n} i18n @param {import("../../model_state.js").ModelState} model @param {boolean} chosen @returns {Promise<boolean>} */
function confirmRemoval(i18n, { name, ownBytes }, chosen) {
  const dialog = element("models-remove", HTMLDialogElement);
  element("models-remove-title", HTMLElement).textContent = i18n.t("models.remove.title", { name });
  element("models-remove-text", HTMLElement).textContent =
    [i18n.t("models.remove.text", { bytes: i18n.bytes(ownBytes) }), ...(chosen ? [i18n.t("models.remove.chosen")] : [])].join(" ");
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "remove"), { once: true }));
}
