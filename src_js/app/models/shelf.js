/**
 * What happens in the models view: one thing is done at a time, its progress is shown on the model's card, and every end is told. Joins the
 * models' worker, the cards and the rest of the app; the words are wording.js's, what can be done actions.js's.
 */

import { asKleinbildError } from "../../errors.js";
import { Card } from "./card.js";
import { chosenManifest, isOf, rememberChosen } from "./chosen.js";
import { canWriteFolders, chooseToRead, chooseToWrite } from "./folders.js";
import { GoingOn } from "./going_on.js";
import { Rate } from "./rate.js";
import { importedTexts, verifiedText } from "./wording.js";

/**
 * @typedef {import("../../model_state.js").ModelState} ModelState
 * @typedef {import("../../model_state.js").Inventory} Inventory
 * @typedef {import("../../models_protocol.js").ModelWorkResult} ModelWorkResult
 * @typedef {import("./actions.js").WorkKind} WorkKind
 *
 * @typedef {object} ShelfView
 * @property {HTMLElement} list of cards
 * @property {HTMLInputElement} folderInput
 * @property {(inventory: Inventory, busy: boolean) => void} showStore
 * @property {(error: import("../../errors.js").KleinbildError | null, missingBytes?: number) => void} showFailure missingBytes: of the
 *   model that the error is about
 * @property {(texts: () => string[]) => void} showOutcome texts: in the language of whenever they are asked for
 * @property {(model: ModelState, chosen: boolean) => Promise<boolean>} confirmRemoval
 */

/** Of work with no model of its own. */
const NO_MODEL = "";
const REMOTE = new Set(["install", "update", "repair"]);

export class Shelf {
  /** @type {Inventory | undefined} */
  #inventory;
  /** @type {Map<string, Card>} by model */
  #cards = new Map();
  /** @type {{ kind: WorkKind, id: string, stop: (options: { pause: boolean }) => void } | undefined} */
  #work;
  #app;
  #client;
  #view;

  /** @param {import("../app.js").App} app @param {import("./client.js").ModelsClient} client @param {ShelfView} view */
  constructor(app, client, view) {
    this.#app = app;
    this.#client = client;
    this.#view = view;
  }

  /** Looks at what there is, and goes on with what an interruption ended. @returns {Promise<void>} never rejected; before that has ended */
  async open() {
    await this.refresh();
    await this.#settle();
    const find = () => this.#inventory?.models.find(interruptedHere(this.#app));
    const broken = find();
    if (!broken) return;
    const { events, i18n, navigate, toast } = this.#app;
    const going = new GoingOn({
      find,
      act: ({ id, replaces }) => this.act(replaces === null ? "install" : "update", id, null),
      stop: () => this.#work?.stop({ pause: false }),
      busy: document.body.dataset["state"] === "running",
    });
    events.on("busy", ({ busy }) => going.setBusy(busy));
    if (document.body.dataset["view"] === "models") return;
    toast(i18n.t("models.resumed", { name: broken.name }), { action: i18n.t("shell.view.models"), onAction: () => navigate("models") });
  }

  /** Looks again at what is on this device. @returns {Promise<void>} never rejected */
  async refresh() {
    try {
      this.#inventory = await this.#client.list();
    } catch (error) {
      this.#view.showFailure(asKleinbildError(error));
    }
    this.render();
  }

  /** Shows everything anew, in the language of now. */
  render() {
    const inventory = this.#inventory;
    if (!inventory) return;
    const held = focusIn(this.#view.list);
    this.#cards.clear();
    for (const model of inventory.models) {
      const now = {
        chosen: isOf(this.#chosen, model.id),
        replaced: inventory.models.some(({ replaces }) => replaces === model.id),
        work: this.#work?.id === model.id ? this.#work.kind : undefined,
        busy: this.#work !== undefined,
        folders: canWriteFolders(),
      };
      this.#cards.set(model.id, new Card(this.#app.i18n, model, now, (action, names) => void this.act(action, model.id, names)));
    }
    this.#view.list.replaceChildren(...[...this.#cards.values()].map(({ element }) => element));
    this.#view.showStore(inventory, this.#work !== undefined);
    restoreFocus(this.#view.list, held);
  }

  /**
   * @param {import("./actions.js").Action} action @param {string} id of the model @param {string[] | null} names of single damaged parts
   * @returns {Promise<void>} never rejected
   */
  async act(action, id, names) {
    const model = this.#inventory?.models.find((one) => one.id === id);
    if (!model) return;
    switch (action) {
      case "pause":
      case "cancel":
        return this.#work?.stop({ pause: action === "pause" });
      case "use":
        return this.#choose(model);
      case "install":
        await this.#do("install", model, { type: "install", id, replaces: "" }, () => [this.#t("models.done.install", model)]);
        return;
      case "update":
        if (await this.#do("update", model, { type: "install", id, replaces: model.replaces ?? "" }, () => [this.#t("models.done.update", model)])) {
          await this.#settle();
        }
        return;
      case "verify":
        await this.#do("verify", model, { type: "verify", id }, ({ verified }) => (verified ? [verifiedText(this.#app.i18n, model.name, verified)] : []));
        return;
      case "repair":
        await this.#do("repair", model, { type: "repair", id, names }, () => [this.#t("models.done.repair", model)]);
        return;
      case "remove":
        if (await this.#view.confirmRemoval(model, isOf(this.#chosen, id))) {
          await this.#do("remove", model, { type: "remove", id }, () => [this.#t("models.done.remove", model)]);
        }
        return;
      case "export": {
        const directory = await this.#choosing(chooseToWrite);
        if (!directory) return;
        await this.#do("export_folder", model, { type: "export-folder", id, directory }, ({ folder = "" }) => (
          [this.#app.i18n.t("models.done.export", { name: model.name, folder })]));
      }
    }
  }

  /** @returns {Promise<void>} never rejected */
  async importFolder() {
    const chosen = await this.#choosing(() => chooseToRead(this.#view.folderInput));
    if (!chosen || (!chosen.directory && !chosen.files)) return;
    await this.#do("import_folder", null, { type: "import-folder", ...chosen }, ({ imported = [] }) => (
      imported.flatMap((result) => importedTexts(this.#app.i18n, result))));
  }

  /** Removes what no installed model needs. @returns {Promise<void>} never rejected */
  async clean() {
    await this.#do("clean", null, { type: "clean" }, () => [this.#app.i18n.t("models.done.clean")]);
  }

  /** Stops what belongs to no model: an import. */
  stop() {
    if (this.#work?.id === NO_MODEL) this.#work.stop({ pause: false });
  }

  /** @type {((progress: import("../../models_protocol.js").ModelProgress | null, rate: ReturnType<Rate["add"]>, kind: WorkKind) => void) | undefined} */
  onCommonProgress;

  get #chosen() {
    return chosenManifest(this.#app.settings, this.#app.site);
  }

  /** @param {string} key @param {ModelState} model */
  #t(key, { name }) {
    return this.#app.i18n.t(key, { name });
  }

  /** @param {ModelState} model */
  #choose({ manifest, name }) {
    rememberChosen(this.#app.settings, manifest);
    this.#app.events.emit("model-chosen", { manifest });
    this.#app.announce(this.#app.i18n.t("models.done.use", { name }));
    this.render();
  }

  /** After an update: the new revision takes over, then the old one goes. */
  async #settle() {
    for (const model of this.#inventory?.models ?? []) {
      const old = this.#inventory?.models.find(({ id }) => id === model.replaces);
      if (!old || !model.installed || model.hereBytes < model.bytes) continue;
      if (isOf(this.#chosen, old.id)) this.#choose(model);
      await this.#do("remove", old, { type: "remove", id: old.id }, () => [this.#t("models.done.update", model)]);
    }
  }

  /**
   * @param {WorkKind} kind @param {ModelState | null} model
   * @param {import("./client.js").WithoutJob<import("../../models_protocol.js").ModelWork>} message
   * @param {(result: ModelWorkResult) => string[]} outcome what is told in the end
   * @returns {Promise<boolean>} whether it was done; never rejected
   */
  async #do(kind, model, message, outcome) {
    if (this.#work) return false;
    const { announce, events, i18n } = this.#app;
    const id = model?.id ?? NO_MODEL;
    const rate = new Rate();
    const { done, stop } = this.#client.begin(message, (progress) => {
      const now = rate.add(progress.bytes, progress.totalBytes, performance.now());
      if (model) this.#cards.get(id)?.showProgress(progress, now, REMOTE.has(kind));
      else this.onCommonProgress?.(progress, now, kind);
      events.emit("downloading", { downloading: true });        // a new version of the page waits for it
    });
    this.#work = { kind, id, stop };
    this.#view.showFailure(null);
    this.#view.showOutcome(() => []);
    if (!model) this.onCommonProgress?.(null, undefined, kind);
    this.render();
    announce(i18n.t(`models.work.${kind}`));
    /** @type {ModelWorkResult | undefined} */
    let result;
    /** @type {import("../../errors.js").KleinbildError | undefined} */
    let failure;
    try {
      result = await done;
    } catch (caught) {
      failure = asKleinbildError(caught);
    }
    this.#work = undefined;
    events.emit("downloading", { downloading: false });
    await this.refresh();
    const now = this.#inventory?.models.find((one) => one.id === id);
    if (failure && failure.code !== "cancelled") this.#view.showFailure(failure, now && now.bytes - now.hereBytes);
    const found = result;
    if (found) this.#view.showOutcome(() => outcome(found));
    events.emit("models-changed", {});
    return found !== undefined;
  }

  /** @template T @param {() => Promise<T>} choose @returns {Promise<T | undefined>} */
  async #choosing(choose) {
    try {
      return await choose();
    } catch (error) {
      this.#view.showFailure(asKleinbildError(error));
      return undefined;
    }
  }
}

/** @param {import("../app.js").App} app @returns {(model: ModelState) => boolean} whether this tab goes on with a model's download */
export function interruptedHere({ client }) {
  return ({ interrupted, offered }) => {
    if (!interrupted || !offered) return false;
    try {
      client.gate?.();                                                   // another tab may be at it
      return true;
    } catch {
      return false;
    }
  };
}

/** @param {HTMLElement} list @returns {{ model: string, action: string } | undefined} what in it has the focus */
function focusIn(list) {
  const active = document.activeElement;
  if (!(active instanceof HTMLElement) || !list.contains(active)) return undefined;
  const model = active.closest("[data-model]");
  return { model: model instanceof HTMLElement ? model.dataset["model"] ?? "" : "", action: active.dataset["action"] ?? "" };
}

/** The same button, or the model's name where it is gone. @param {HTMLElement} list @param {{ model: string, action: string } | undefined} held */
function restoreFocus(list, held) {
  if (!held) return;
  const card = [...list.children].find((child) => child instanceof HTMLElement && child.dataset["model"] === held.model);
  const button = held.action && card?.querySelector(`[data-action="${held.action}"]:not(:disabled)`);
  const target = button || card?.querySelector("button:not(:disabled)") || card?.querySelector("h2");
  if (target instanceof HTMLElement) target.focus({ preventScroll: true });
}
