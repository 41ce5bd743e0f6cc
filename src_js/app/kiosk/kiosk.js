/**
 * The kiosk from one visitor to the next: which screen follows which, when a visit ends, and what the supervisor hears of it. Joins the
 * parts; each of them keeps its own elements.
 */

import { asKleinbildError } from "../../errors.js";
import { announce } from "../announce.js";
import { element } from "../elements.js";
import { showText } from "../localise.js";
import { Attract } from "./attract.js";
import { Compose, randomSeed } from "./compose.js";
import { describePage } from "./diagnosis.js";
import { IdleWatch } from "./idle.js";
import { OperatorView } from "./operator.js";
import { Screens } from "./screens.js";
import { MakingView, ResultView } from "./show.js";
import { kindOf } from "./visit.js";

/** @typedef {import("./visit.js").Visit} Visit */
/** @typedef {import("./desk.js").Desk} Desk */
/** @typedef {import("../../protocol.js").Settings} Settings */

const BEAT_MS = 2500;
const TRY_AGAIN_SECONDS = 20;

/**
 * @typedef {object} Parts
 * @property {Desk} desk
 * @property {import("./desk.js").KioskConfig} config
 * @property {Visit} visit
 * @property {import("../i18n.js").I18n} i18n
 * @property {(language: string) => Promise<void>} speak changes the page's language
 * @property {string} build
 * @property {number} steps the model's own
 */

export class Kiosk {
  /** @type {Settings | null} */
  #last = null;
  /** Takes a waiting version of the page, once nobody is there. @type {(() => void) | null} */
  #update = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;

  /** @param {Parts} parts */
  constructor(parts) {
    this.parts = parts;
    const { config, desk, i18n } = parts;
    const t = i18n.t.bind(i18n);
    this.screens = new Screens(document.body, () => this.#beat());
    this.attract = new Attract(element("attract-pictures", HTMLElement), element("attract-words", HTMLElement), () =>
      config.attract ? desk.pictures() : Promise.resolve([]));
    this.compose = new Compose(config, { i18n, steps: () => parts.steps, onMake: (settings) => void this.#make(settings) });
    this.making = new MakingView({ t, announce });
    this.result = new ResultView({ takeHome: config.takeHome, t, upload: (png) => desk.takeHome(png) });
    this.operator = new OperatorView({
      desk,
      t,
      hasPin: () => config.pin,
      describe: () => describePage({ build: parts.build, info: parts.visit.info, pictures: parts.visit.pictures, problem: parts.visit.problem }),
    });
    const still = element("still", HTMLDialogElement);
    const showLeft = (/** @type {number} */ left) => showText(element("still-text", HTMLElement), () => t("kiosk.still.text", { count: left }));
    this.idle = new IdleWatch(config, {
      onCountdown: (left) => {
        showLeft(left);
        if (!still.open) still.showModal();
      },
      onBack: () => still.close(),
      onGone: () => void this.clear(),
    });
    this.#joinButtons();
  }

  /** From power-on to the first screen for visitors; goes on for ever. */
  async open() {
    setInterval(() => this.idle.tick(), 1000);
    setInterval(() => this.#beat(), BEAT_MS);
    await this.#start();
  }

  /** A new version of the page waits; it is taken when nobody is there. @param {() => void} accept */
  offerUpdate(accept) {
    this.#update = accept;
    if (this.screens.shown === "attract") accept();
  }

  /** The visitor has gone, or says so: nothing of the visit is left. */
  async clear() {
    this.idle.hold();
    element("still", HTMLDialogElement).close();
    this.operator.close();
    this.#last = null;
    this.making.clear();
    element("making-prompt", HTMLElement).textContent = "";
    this.result.clear();
    await this.parts.visit.forget();
    await this.#speak(this.parts.config.languages[0] ?? "en");
    this.compose.reset();
    announce(this.parts.i18n.t("kiosk.say.cleared"));
    this.#showAttract();
  }

  #joinButtons() {
    const on = (/** @type {string} */ id, /** @type {() => void} */ act) => element(id, HTMLButtonElement).addEventListener("click", act);
    document.querySelector("section[data-screen=attract]")?.addEventListener("click", () => this.#begin());
    on("cancel", () => this.parts.visit.cancel());
    on("new", () => this.#begin());
    on("another", () => {
      if (this.#last) void this.#make({ ...this.#last, seed: randomSeed() });
    });
    on("again", () => void this.#again());
    on("over", () => void this.clear());
    on("stay", () => this.idle.touch());
    on("clear-now", () => void this.clear());
    on("operator", () => {
      this.operator.open();
      this.idle.watch();
    });
    for (const name of ["pointerdown", "keydown", "input"]) {
      addEventListener(name, (event) => {
        // The countdown's own buttons say what they mean.
        if (!(event.target instanceof Element && event.target.closest("#clear-now"))) this.idle.touch();
      }, { capture: true });
    }
    element("still", HTMLDialogElement).addEventListener("cancel", () => this.idle.touch());
    const languages = element("languages", HTMLElement);
    languages.hidden = this.parts.config.languages.length < 2;
    for (const button of languages.querySelectorAll("button")) {
      const language = button.dataset["language"] ?? "";
      button.hidden = !this.parts.config.languages.some((one) => one === language);
      button.addEventListener("click", () => void this.#speak(language));
    }
    this.#markLanguage();
  }

  async #start() {
    clearTimeout(this.#retry);
    const { visit, i18n } = this.parts;
    const bar = element("starting-bar", HTMLProgressElement);
    this.screens.show("starting");
    try {
      await visit.start(({ stage, fraction }) => {
        bar.value = fraction;
        const percent = i18n.percent(fraction);
        if (stage === "download" || stage === "tuning" || stage === "loading") {
          showText(element("starting-text", HTMLElement), () => i18n.t(`kiosk.starting.${stage}`, { percent }));
        }
      });
      this.#showAttract();
    } catch (error) {
      this.#fail(error);
    }
  }

  #showAttract() {
    this.idle.hold();
    this.screens.show("attract");
    this.attract.start();
    this.#update?.();
    void navigator.serviceWorker?.getRegistration().then((registration) => registration?.update()).catch(() => undefined);
  }

  #begin() {
    this.attract.stop();
    this.result.clear();
    this.compose.clear();
    this.screens.show("compose");
    if (this.parts.config.ownPrompts) element("prompt", HTMLTextAreaElement).focus({ preventScroll: true });
    this.idle.watch();
  }

  /** @param {Settings} settings */
  async #make(settings) {
    clearTimeout(this.#retry);
    const { visit, desk, config, i18n } = this.parts;
    this.#last = settings;
    this.idle.hold();
    this.making.begin(settings);
    this.screens.show("making");
    try {
      const made = await visit.make(settings, {
        onProgress: (progress) => this.making.progress(progress),
        onPreview: (preview) => this.making.preview(preview),
        onAgain: () => this.making.again(),
      });
      if (this.screens.shown !== "making") return;                          // cleared by the operator meanwhile
      this.making.clear();
      if (made === null) return this.#backToWords();
      this.result.show(made);
      this.screens.show("result");
      announce(i18n.t("kiosk.say.done"));
      if (config.keepPictures) void desk.keep(made.png);
    } catch (error) {
      this.making.clear();
      return this.#fail(error);
    }
    this.idle.watch();
  }

  #backToWords() {
    this.screens.show("compose");
    this.idle.watch();
  }

  /** @param {unknown} cause */
  #fail(cause) {
    const error = asKleinbildError(cause);
    const { i18n, visit } = this.parts;
    const kind = kindOf(error);
    showText(element("failure-title", HTMLElement), () => i18n.t(`kiosk.failure.${kind}.title`));
    showText(element("failure-text", HTMLElement), () => i18n.t(`kiosk.failure.${kind}.text`));
    showText(element("again", HTMLButtonElement), () => i18n.t(kind === "machine" ? "kiosk.failure.again" : "kiosk.failure.choose"));
    element("failure-code", HTMLElement).textContent = error.code;
    this.screens.show("failure");
    if (kind === "machine") this.#retry = setTimeout(() => void this.#again(), TRY_AGAIN_SECONDS * 1000);
    if (this.#last) this.idle.watch();
    else this.idle.hold();
    element("over", HTMLButtonElement).hidden = visit.info === null;
  }

  /** What failed, once more: the start, the visitor's picture, or his words. */
  async #again() {
    clearTimeout(this.#retry);
    const { visit } = this.parts;
    if (visit.info === null) return this.#start();
    if (this.#last && visit.failures > 0) return this.#make(this.#last);
    this.#backToWords();
  }

  /** @param {string} language */
  async #speak(language) {
    if (language !== this.parts.i18n.language) await this.parts.speak(language).catch(() => undefined);
    this.#markLanguage();
    this.compose.languageChanged();
  }

  #markLanguage() {
    for (const button of element("languages", HTMLElement).querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset["language"] === this.parts.i18n.language));
    }
  }

  #beat() {
    const { visit, desk } = this.parts;
    void desk.alive({ state: this.screens.shown, pictures: visit.pictures, problem: visit.problem, restart: visit.wantsRestart });
  }
}
