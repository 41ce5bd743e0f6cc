/**
 * What happens between an order and the picture: start the model once, make one picture at a time, say how long it takes, tell every
 * failure. Joins the worker client to the form, the frame and the roll, and owns none of their elements.
 */

import { asKleinbildError } from "../../errors.js";
import { StageClock } from "./stage_clock.js";
import { secondsLeft } from "./time_left.js";

/**
 * @typedef {import("../../protocol.js").Settings} Settings
 * @typedef {import("../../protocol.js").Progress} Progress
 * @typedef {import("../../protocol.js").MemoryNeeds} MemoryNeeds
 * @typedef {import("../../errors.js").KleinbildError} KleinbildError
 * @typedef {import("./frame.js").Exposure} Exposure
 * @typedef {import("./stage_clock.js").StageSeconds} StageSeconds
 * @typedef {{ width: number, height: number, steps: number }} Picture
 */

/**
 * @typedef {object} Guest somebody else, whose picture the page shows while it is made, and does not keep
 * @property {string} manifestUrl of the model
 * @property {number | null} memoryBudget null: the form's
 * @property {(progress: Progress) => void} [onProgress]
 * @property {(preview: import("../worker_client.js").Preview) => void} [onPreview]
 * @property {(result: import("../worker_client.js").Result) => void} onResult
 */

/**
 * @typedef {object} Views
 * @property {Pick<import("./form.js").Form, "setBusy"|"setCancelling"|"setMissing"|"memoryBudget">} form
 * @property {Pick<import("./frame.js").Frame, "begin"|"showProgress"|"showPreview"|"showPicture"|"showFailure"|"showIdle"|"showCancelling"
 *   |"setShape"|"bringIntoView"|"elapsed"|"sayResumed">} frame
 * @property {Pick<import("./roll.js").Roll, "add"|"mark"|"setEnabled"|"next">} roll
 * @property {(info: import("../../protocol.js").InspectInfo) => void} showModel what is known of it before it is started
 * @property {(info: import("../../protocol.js").ReadyInfo) => void} showReady
 * @property {(state: import("../../protocol.js").BackgroundState) => void} showBackground
 * @property {(png: Uint8Array<ArrayBuffer>, settings: Settings, seconds: number) => string} pictureMade tells of it; where it can be seen
 * @property {(url: string) => void} pictureLeft what `pictureMade` gave is not shown any more
 * @property {(busy: boolean) => void} tellBusy
 * @property {() => void} keepStorage asks the browser not to evict the model
 */

/** The best that the GPU has. */
const PRECISION = /** @type {const} */ ("auto");
/** Nothing is left to be told of downloads to come. */
const NOTHING = Object.freeze({ missingBytes: 0, laterBytes: 0, persistent: true });

export class Studio {
  /** Manifest of the model that was started last, "" before. */
  #started = "";
  #busy = false;
  #model = "";
  /** Manifest of the model that the form tells of. */
  #inspected;
  /** @type {Exposure | null} */
  #shown = null;
  /** What sizes need, by size and budget: they are asked for again and again. @type {Map<string, Promise<MemoryNeeds>>} */
  #plans = new Map();

  /**
   * @param {Pick<import("../worker_client.js").WorkerClient, "inspect"|"plan"|"start"|"generate"|"forgetPrompts"|"cancel"
   *   |"onFailure"|"onBackground">} client
   * @param {string} manifestUrl
   * @param {Pick<import("./rates.js").Rates, "note"|"predict">} rates
   * @param {Views} views
   */
  constructor(client, manifestUrl, rates, views) {
    this.client = client;
    this.manifestUrl = manifestUrl;
    this.#inspected = manifestUrl;
    /** The GPU, as the browser names it. */
    this.adapter = "";
    this.rates = rates;
    this.views = views;
    client.onFailure = (error) => {
      if (!this.#busy) views.frame.showFailure(error);
    };
    client.onBackground = (state) => views.showBackground(state);
  }

  /** Whether a picture is being made or kernels are measured. */
  get busy() {
    return this.#busy;
  }

  /** Says what the first picture will download. Downloads nothing itself. @returns {Promise<boolean>} whether there is such a model */
  async inspect() {
    this.#inspected = this.manifestUrl;
    try {
      const info = await this.client.inspect(this.manifestUrl);
      this.#model = info.model;
      this.views.form.setMissing(info);
      this.views.showModel(info);
      return true;
    } catch (error) {
      this.views.frame.showFailure(asKleinbildError(error));
      return false;
    }
  }

  /** Says it anew, as files of the model came or went. @returns {Promise<void>} never rejected */
  async inspectAgain() {
    if (!this.#ready && !this.#busy) await this.#showMissing();
  }

  /**
   * Makes pictures with another model from now on; one in the making is finished first, with its own.
   * @param {string} manifestUrl
   * @returns {Promise<void>} never rejected
   */
  async useModel(manifestUrl) {
    if (manifestUrl === this.manifestUrl) return;
    this.manifestUrl = manifestUrl;
    if (this.#busy) return;                                              // told when the picture is done
    if (await this.inspect()) this.#showLast();
  }

  /**
   * What a picture will need of the GPU's memory, and how long it will take.
   * @param {Picture} picture
   * @returns {Promise<{ needs: MemoryNeeds, seconds: StageSeconds | null } | null>} null when that cannot be told: what is wrong is told
   *   when a picture is asked for; seconds: null before anything was measured
   */
  async plan(picture) {
    const { memoryBudget } = this.views.form;
    const key = JSON.stringify([this.manifestUrl, picture.width, picture.height, picture.steps, memoryBudget]);
    let asked = this.#plans.get(key);
    if (!asked) {
      asked = this.client.plan({ manifestUrl: this.manifestUrl, precision: PRECISION, picture, memoryBudget, preview: true });
      this.#plans.set(key, asked);
      asked.catch(() => this.#plans.delete(key));
    }
    try {
      const needs = await asked;
      return { needs, seconds: this.rates.predict(this.#machine, needs.flops) };
    } catch {
      return null;
    }
  }

  /**
   * @param {Settings} settings checked
   * @param {boolean} [keepPrompt] what the text encoder makes of the prompt may be kept on this device
   * @param {Guest} [guest] whom the picture is for, when not for the person at the page
   * @returns {Promise<KleinbildError | null>} null when the picture is made, else why not; never rejected
   */
  async make(settings, keepPrompt = true, guest) {
    const { form, frame, roll } = this.views;
    this.#setBusy(true);
    const number = roll.next;
    const clock = new StageClock();
    /** @type {{ expected: StageSeconds | null, flops: import("../../protocol.js").StageFlops | null }} */
    const known = { expected: null, flops: null };
    const { manifestUrl } = guest ?? this;
    if (manifestUrl === this.manifestUrl) void this.plan(settings).then((plan) => {
      known.expected = plan?.seconds ?? null;
      known.flops = plan?.needs.flops ?? null;
    });
    /** @type {Progress | null} */
    let latest = null;
    roll.mark(null);
    frame.setShape(settings);
    frame.begin(number, () => latest && secondsLeft(latest, clock, known, frame.elapsed));
    if (!guest) frame.bringIntoView();
    try {
      await this.#start(manifestUrl, guest);
      const began = frame.elapsed;
      const result = await this.client.generate(settings, {
        keepPrompt,
        memoryBudget: guest?.memoryBudget ?? form.memoryBudget,
        onProgress(progress) {
          latest = progress;
          clock.observe(progress, frame.elapsed);
          frame.showProgress(progress, frame.elapsed - began, clock.stepSeconds);
          guest?.onProgress?.(progress);
        },
        onPreview(preview) {
          frame.showPreview(preview);
          guest?.onPreview?.(preview);
        },
        onResume({ step }) {
          clock.restart(step, frame.elapsed);
          frame.sayResumed();
        },
      });
      clock.end(frame.elapsed);
      if (clock.measured && known.flops) this.rates.note(this.#machine, settings, clock.measured, known.flops);
      if (guest) {
        guest.onResult(result);
        this.#showLast();
        return null;
      }
      const { png } = result;
      const seconds = frame.elapsed - began;
      const exposure = { number, settings, url: this.views.pictureMade(new Uint8Array(png), settings, seconds), seconds };
      roll.add(exposure);
      this.show(exposure, true);
      return null;
    } catch (caught) {
      const error = asKleinbildError(caught);
      if (guest) this.#showLast();
      else this.#showFailure(error);
      return error;
    } finally {
      this.#setBusy(false);
      if (!this.#ready) await this.#showMissing();
    }
  }

  /** Ends the picture in hand, or the measuring; the page says so at once. */
  cancel() {
    if (!this.#busy) return;
    this.views.frame.showCancelling();
    this.views.form.setCancelling();
    this.client.cancel();
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
    const before = this.#shown;
    this.#shown = exposure;
    this.views.frame.showPicture(exposure, fresh);
    if (before && before.url !== exposure.url) this.views.pictureLeft(before.url);   // else every picture of a visit stays in memory
    this.views.roll.mark(exposure);
  }

  /** The picture that the frame shows, or showed last. */
  get shown() {
    return this.#shown;
  }

  /** Whether the model that the form tells of is started. */
  get #ready() {
    return this.#started === this.manifestUrl;
  }

  /** What rates belong to: another model or another GPU takes another time. */
  get #machine() {
    return `${this.#model} on ${this.adapter}`;
  }

  /** @param {KleinbildError} error a cancel is none for whoever asked for it */
  #showFailure(error) {
    if (error.code === "cancelled") this.#showLast();
    else this.views.frame.showFailure(error);
  }

  #showLast() {
    if (this.#shown) this.show(this.#shown);
    else this.views.frame.showIdle();
  }

  /** @param {string} manifestUrl @param {Guest} [guest] */
  async #start(manifestUrl, guest) {
    if (this.#started === manifestUrl) return;
    this.#started = "";
    this.views.keepStorage();
    const { frame } = this.views;
    const began = frame.elapsed;
    const onProgress = (/** @type {Progress} */ progress) => {
      frame.showProgress(progress, frame.elapsed - began);
      guest?.onProgress?.(progress);
    };
    const info = await this.client.start({ manifestUrl, precision: PRECISION, background: true }, onProgress);
    this.#started = manifestUrl;
    if (guest && !this.#ready) return;                                   // the person has chosen another one
    this.views.form.setMissing(NOTHING);
    this.views.showReady(info);
  }

  async #showMissing() {
    // The failure that led here is already on the page.
    if (this.#inspected !== this.manifestUrl) await this.inspect();      // another one was chosen meanwhile
    else this.views.form.setMissing(await this.client.inspect(this.manifestUrl).catch(() => NOTHING));
  }

  /** @param {boolean} busy */
  #setBusy(busy) {
    this.#busy = busy;
    this.views.form.setBusy(busy);
    this.views.roll.setEnabled(!busy);
    this.views.tellBusy(busy);
  }
}
