/**
 * What happens between "make the picture" and the picture: start the model once, make one picture at a time,
 * tell every failure. Joins the worker client to the form, the frame and the roll, and owns none of their
 * elements.
 */

import { asKleinbildError } from "../errors.js";

/**
 * @typedef {import("../protocol.js").Settings} Settings
 * @typedef {import("../protocol.js").Progress} Progress
 * @typedef {import("./frame.js").Exposure} Exposure
 */

/**
 * @typedef {object} Views
 * @property {Pick<import("./form.js").Form, "setBusy"|"setMissingBytes"|"showDefaults">} form
 * @property {Pick<import("./frame.js").Frame, "begin"|"showProgress"|"showPicture"|"showFailure"|"showIdle"|"setShape"
 *   |"bringIntoView"|"elapsed">} frame
 * @property {Pick<import("./roll.js").Roll, "add"|"mark"|"setEnabled"|"next">} roll
 * @property {(info: import("../protocol.js").ReadyInfo) => void} showDevice
 * @property {(bytes: Uint8Array<ArrayBuffer>) => string} pictureUrl
 * @property {() => void} keepStorage asks the browser not to evict the model
 */

export class Studio {
  #ready = false;
  #busy = false;
  /** @type {Exposure | null} */
  #shown = null;

  /**
   * @param {Pick<import("./worker_client.js").WorkerClient, "inspect"|"start"|"generate"|"cancel"|"onFailure">} client
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
  }

  /** Says what the first picture will download. Downloads nothing itself. */
  async inspect() {
    try {
      const { missingBytes, defaults } = await this.client.inspect(this.manifestUrl);
      this.views.form.setMissingBytes(missingBytes);
      this.views.form.showDefaults(defaults);
    } catch (error) {
      this.views.frame.showFailure(asKleinbildError(error));
    }
  }

  /** @param {Settings} settings checked @returns {Promise<void>} never rejected */
  async make(settings) {
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
      const { png } = await this.client.generate(settings, { onProgress });
      const url = this.views.pictureUrl(new Uint8Array(png));
      const exposure = { number, settings, url, seconds: frame.elapsed - began };
      roll.add(exposure);
      this.show(exposure, true);
    } catch (caught) {
      const error = asKleinbildError(caught);
      if (error.code !== "cancelled") frame.showFailure(error);
      else if (this.#shown) this.show(this.#shown);
      else frame.showIdle();
    } finally {
      this.#setBusy(false);
      if (!this.#ready) form.setMissingBytes(await this.#missingBytes());
    }
  }

  cancel() {
    if (this.#busy) this.client.cancel();
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

  async #start() {
    if (this.#ready) return;
    this.views.keepStorage();
    const { frame } = this.views;
    const began = frame.elapsed;
    const onProgress = (/** @type {Progress} */ progress) => frame.showProgress(progress, frame.elapsed - began);
    const info = await this.client.start({ manifestUrl: this.manifestUrl, precision: "auto" }, onProgress);
    this.#ready = true;
    this.views.form.setMissingBytes(0);
    this.views.showDevice(info);
  }

  async #missingBytes() {
    try {
      return (await this.client.inspect(this.manifestUrl)).missingBytes;
    } catch {
      // The failure that led here is already on the page.
      return 0;
    }
  }

  /** @param {boolean} busy */
  #setBusy(busy) {
    this.#busy = busy;
    this.views.form.setBusy(busy);
    this.views.roll.setEnabled(!busy);
  }
}
