/**
 * What happens between "make the picture" and the picture: start the model once, make one picture at a time,
 * tell every failure. Joins the worker client to the form, the frame and the roll, and owns none of their
 * elements.
 */

import { asKleinbildError } from "../../errors.js";

/**
 * @typedef {import("../../protocol.js").Settings} Settings
 * @typedef {import("../../protocol.js").Progress} Progress
 * @typedef {import("./frame.js").Exposure} Exposure
 */

/**
 * @typedef {object} Views
 * @property {Pick<import("./form.js").Form, "setBusy"|"setMissing"|"showDefaults"|"showMemory"|"memoryBudget">} form
 * @property {Pick<import("./frame.js").Frame, "begin"|"showProgress"|"showPicture"|"showFailure"|"showIdle"|"setShape"
 *   |"bringIntoView"|"elapsed">} frame
 * @property {Pick<import("./roll.js").Roll, "add"|"mark"|"setEnabled"|"next">} roll
 * @property {(info: import("../../protocol.js").ReadyInfo) => void} showReady
 * @property {(state: import("../../protocol.js").BackgroundState) => void} showBackground
 * @property {(png: Uint8Array<ArrayBuffer>, settings: Settings, seconds: number) => string} pictureMade tells of it; where it can be seen
 * @property {(busy: boolean) => void} tellBusy
 * @property {() => void} keepStorage asks the browser not to evict the model
 */

/** The best that the GPU has. */
const PRECISION = /** @type {const} */ ("auto");
/** Nothing is left to be told of downloads to come. */
const NOTHING = Object.freeze({ missingBytes: 0, laterBytes: 0, persistent: true });

export class Studio {
  #ready = false;
  #busy = false;
  #plans = 0;
  /** @type {Exposure | null} */
  #shown = null;

  /**
   * @param {Pick<import("../worker_client.js").WorkerClient, "inspect"|"plan"|"start"|"generate"|"forgetPrompts"|"cancel"
   *   |"onFailure"|"onBackground">} client
   * @param {string} manifestUrl
   * @param {Views} views
   */
  constructor(client, manifestUrl, views) {
    this.client = client;
    this.manifestUrl = manifestUrl;
    this.views = views;
    client.onFailure = (error) => {
      if (!this.#busy) views.frame.showFailure(error);
    };
    client.onBackground = (state) => views.showBackground(state);
  }

  /** Says what the first picture will download. Downloads nothing itself. */
  async inspect() {
    try {
      const info = await this.client.inspect(this.manifestUrl);
      this.views.form.setMissing(info);
      this.views.form.showDefaults(info.defaults);
    } catch (error) {
      this.views.frame.showFailure(asKleinbildError(error));
    }
  }

  /**
   * Says what a picture will need of the GPU's memory.
   * @param {{ width: number, height: number, steps: number }} picture
   * @returns {Promise<void>} never rejected
   */
  async plan(picture) {
    const { form } = this.views;
    const number = ++this.#plans;
    const { memoryBudget } = form;
    const asked = { manifestUrl: this.manifestUrl, precision: PRECISION, picture, memoryBudget };
    const needs = await this.client.plan(asked).catch(() => null);      // what is wrong is told when a picture is asked for
    if (number === this.#plans) form.showMemory(needs);                  // else the size has changed since
  }

  /**
   * @param {Settings} settings checked
   * @param {boolean} [keepPrompt] what the text encoder makes of the prompt may be kept on this device
   * @returns {Promise<void>} never rejected
   */
  async make(settings, keepPrompt = true) {
    if (this.#busy) return;
    const { form, frame, roll } = this.views;
    this.#setBusy(true);
    const number = roll.next;
    roll.mark(null);
    frame.setShape(settings);
    frame.begin(number);
    frame.bringIntoView();
    try {
      await this.#start();
      const began = frame.elapsed;
      const onProgress = (/** @type {Progress} */ progress) => frame.showProgress(progress, frame.elapsed - began);
      const { memoryBudget } = form;
      const { png } = await this.client.generate(settings, { onProgress, keepPrompt, memoryBudget });
      const seconds = frame.elapsed - began;
      const exposure = { number, settings, url: this.views.pictureMade(new Uint8Array(png), settings, seconds), seconds };
      roll.add(exposure);
      this.show(exposure, true);
    } catch (caught) {
      this.#showFailure(asKleinbildError(caught));
    } finally {
      this.#setBusy(false);
      if (!this.#ready) await this.#showMissing();
    }
  }

  cancel() {
    if (this.#busy) this.client.cancel();
  }

  /** Removes what was kept of prompts. @returns {Promise<void>} never rejected */
  async forgetPrompts() {
    try {
      await this.client.forgetPrompts();
    } catch (error) {
      this.views.frame.showFailure(asKleinbildError(error));
    }
  }

  /** @param {Exposure} exposure @param {boolean} [fresh] made just now */
  show(exposure, fresh = false) {
    this.#shown = exposure;
    this.views.frame.showPicture(exposure, fresh);
    this.views.roll.mark(exposure);
  }

  /** The picture that the frame shows, or showed last. */
  get shown() {
    return this.#shown;
  }

  /** @param {import("../../errors.js").KleinbildError} error a cancel is none for whoever asked for it */
  #showFailure(error) {
    if (error.code === "cancelled") this.#showLast();
    else this.views.frame.showFailure(error);
  }

  #showLast() {
    if (this.#shown) this.show(this.#shown);
    else this.views.frame.showIdle();
  }

  async #start() {
    if (this.#ready) return;
    this.views.keepStorage();
    const { frame } = this.views;
    const began = frame.elapsed;
    const onProgress = (/** @type {Progress} */ progress) => frame.showProgress(progress, frame.elapsed - began);
    const info = await this.client.start({ manifestUrl: this.manifestUrl, precision: PRECISION, background: true }, onProgress);
    this.#ready = true;
    this.views.form.setMissing(NOTHING);
    this.views.showReady(info);
  }

  async #showMissing() {
    // The failure that led here is already on the page.
    this.views.form.setMissing(await this.client.inspect(this.manifestUrl).catch(() => NOTHING));
  }

  /** @param {boolean} busy */
  #setBusy(busy) {
    this.#busy = busy;
    this.views.form.setBusy(busy);
    this.views.roll.setEnabled(!busy);
    this.views.tellBusy(busy);
  }
}
