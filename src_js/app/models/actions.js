/** What can be done with a model in its state: pure, so that every state can be looked at. No DOM. */

/**
 * @typedef {import("../../model_state.js").ModelState} ModelState
 * @typedef {"install"|"update"|"use"|"verify"|"repair"|"export"|"remove"|"pause"|"cancel"} Action
 * @typedef {{ action: Action, key: string, bytes: number, main: boolean }} Offer key: of the button's words; bytes: what it downloads; main: the
 *   one that most people want
 * @typedef {"install"|"update"|"verify"|"repair"|"remove"|"clean"|"import_folder"|"export_folder"} WorkKind
 */

/** @param {ModelState} model @returns {boolean} */
export function isWhole({ installed, hereBytes, bytes }) {
  return installed && hereBytes === bytes;
}

/**
 * @param {ModelState} model
 * @param {{ chosen: boolean, work: WorkKind | undefined, folders: boolean }} now chosen: it makes the pictures; work: what is being done with it;
 *   folders: whether the browser can write to one
 * @returns {Offer[]} in the order of the buttons
 */
export function offers(model, { chosen, work, folders }) {
  if (work) return [offer(work === "install" || work === "update" ? "pause" : "cancel")];
  /** @type {Offer[]} */
  const list = [];
  const whole = isWhole(model);
  if (model.replaces !== null && !whole) list.push(offer("update", { bytes: model.missingBytes, main: true }));
  else if (model.damaged.length > 0 && model.offered) list.push(offer("repair", { main: true }));
  else if (!whole && model.offered) list.push(offer("install", { bytes: model.missingBytes, main: true, key: model.installed ? "resume" : "install" }));
  if (!model.installed) return list;
  if (whole && !chosen) list.push(offer("use", { main: true }));
  list.push(offer("verify"));
  if (whole && folders) list.push(offer("export"));
  list.push(offer("remove"));
  return list;
}

/** @param {Action} action @param {{ bytes?: number, main?: boolean, key?: string }} [more] @returns {Offer} */
function offer(action, { bytes = 0, main = false, key = action } = {}) {
  return { action, key: `models.button.${key}`, bytes, main };
}
