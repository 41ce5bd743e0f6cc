/**
 * The film frame: the one place of the page that shows a picture, its progress, or why there is none. Exactly
 * one of its panels is visible. Says the same in words to assistive technology, once a stage rather than once
 * a tick.
 */

import { adviceFor, platformOf } from "../advice.js";
import { element, textElement } from "../elements.js";
import { showText } from "../localise.js";
import { stageDetail, stageTitle } from "./wording.js";

/** @typedef {import("../../protocol.js").Progress} Progress */
/** @typedef {import("../../protocol.js").Settings} Settings */
/** @typedef {import("../../errors.js").KleinbildError} KleinbildError */

const CLOCK_MS = 100;

/**
 * @typedef {object} Exposure a finished picture
 * @property {number} number of this visit, from 1
 * @property {Settings} settings
 * @property {string} url of the PNG, a blob
 * @property {number} seconds it took
 */

export class Frame {
  #frame = element("frame", HTMLElement);
  #number = element("frame-number", HTMLElement);
  #size = element("frame-size", HTMLElement);
  #title = element("progress-title", HTMLElement);
  #bar = element("progress-bar", HTMLProgressElement);
  #detail = element("progress-detail", HTMLElement);
  #clock = element("progress-clock", HTMLElement);
  #picture = element("picture", HTMLImageElement);
  #caption = element("caption", HTMLElement);
  #download = element("download", HTMLAnchorElement);
  #failure = element("failure", HTMLElement);
  #i18n;
  #announce;
  #began = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;
  #said = "";

  /** @param {Pick<import("../app.js").App, "i18n"|"announce">} app */
  constructor({ i18n, announce }) {
    this.#i18n = i18n;
    this.#announce = announce;
  }

  /** @param {{ width: number, height: number }} size the frame takes this shape */
  setShape({ width, height }) {
    this.#size.textContent = `${width} \u00d7 ${height}`;
    this.#frame.style.setProperty("--picture-width", String(width));
    this.#frame.style.setProperty("--picture-height", String(height));
  }

  showIdle() {
    this.#show("idle");
  }

  /** @param {number} number of the picture that is being made */
  begin(number) {
    this.#began = performance.now();
    this.#number.textContent = frameNumber(number);
    showText(this.#title, () => this.#i18n.t("make.stage.starting"));
    showText(this.#detail, "");
    this.#bar.removeAttribute("value");
    this.#frame.style.setProperty("--progress", "0");
    this.#said = "";
    this.#show("running");
    this.#tick();
    this.#timer = setInterval(() => this.#tick(), CLOCK_MS);
  }

  /** @param {Progress} progress @param {number} seconds since this stage's work began */
  showProgress(progress, seconds) {
    const title = stageTitle(this.#i18n, progress);
    showText(this.#title, () => stageTitle(this.#i18n, progress));
    showText(this.#detail, () => stageDetail(this.#i18n, progress, seconds));
    this.#bar.value = progress.fraction;
    this.#frame.style.setProperty("--progress", String(progress.fraction));
    if (title !== this.#said) this.#announce((this.#said = title));
  }

  /** @returns {number} seconds since `begin` */
  get elapsed() {
    return (performance.now() - this.#began) / 1000;
  }

  /** @param {Exposure} exposure @param {boolean} fresh whether it was made just now */
  showPicture({ number, settings, url, seconds }, fresh) {
    this.setShape(settings);
    this.#picture.src = url;
    this.#picture.alt = settings.prompt;
    this.#picture.width = settings.width;
    this.#picture.height = settings.height;
    this.#number.textContent = frameNumber(number);
    const { width, height, seed, steps, prompt } = settings;
    const t = this.#i18n.t.bind(this.#i18n);
    const facts = textElement("span", "", "caption__facts");
    showText(facts, () => [`${width} \u00d7 ${height}`, t("make.fact.seed", { seed: `${seed}` }), t("make.fact.steps", { count: steps }),
      this.#i18n.duration(seconds)].join("  \u00b7  "));
    this.#caption.replaceChildren(textElement("span", prompt, "caption__prompt"), facts);
    this.#download.href = url;
    this.#download.download = `kleinbild-${seed}-${width}x${height}.png`;
    this.#show("done");
    if (fresh) this.#announce(t("make.done", { duration: this.#i18n.duration(seconds) }));
  }

  /** @param {KleinbildError} error */
  showFailure({ code, message }) {
    const advice = () => adviceFor(code, platformOf(navigator.userAgent), this.#i18n);
    const title = document.createElement("h2");
    showText(title, () => advice().title);
    const list = document.createElement("ul");
    advice().steps.forEach((_, i) => {
      const item = document.createElement("li");
      showText(item, () => advice().steps[i] ?? "");
      list.append(item);
    });
    const detail = textElement("p", message, "failure__detail");
    detail.dir = "auto";
    this.#failure.replaceChildren(title, list, detail);
    this.#show("failed");
  }

  /** On narrow screens the frame lies below the form. */
  bringIntoView() {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.#frame.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
  }

  /** @param {"idle"|"running"|"done"|"failed"} state */
  #show(state) {
    if (state !== "running") clearInterval(this.#timer);
    this.#frame.dataset["state"] = state;
    document.body.dataset["state"] = state;
    for (const panel of this.#frame.querySelectorAll("[data-panel]")) {
      /** @type {HTMLElement} */ (panel).hidden = /** @type {HTMLElement} */ (panel).dataset["panel"] !== state;
    }
    element("result", HTMLElement).hidden = state !== "done";
  }

  #tick() {
    this.#clock.textContent = this.#i18n.duration(this.elapsed);
  }
}

/** @param {number} number @returns {string} as the edge of a film numbers its frames */
function frameNumber(number) {
  return `\u25b8 ${number}`;
}
