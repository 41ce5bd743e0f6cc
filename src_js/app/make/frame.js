/**
 * The film frame: the one place of the page that shows a picture, its progress and its preview, or why there is none. Exactly
 * one of its panels is visible. Says the same in words to assistive technology, once a stage rather than once
 * a tick.
 */

import { adviceFor, platformOf } from "../advice.js";
import { element, textElement } from "../elements.js";
import { showText } from "../localise.js";
import { leftText } from "./time_left.js";
import { shortPrompt, sizeText, stageDetail, stageTitle } from "./wording.js";

/** @typedef {import("../../protocol.js").Progress} Progress */
/** @typedef {import("../../protocol.js").Settings} Settings */
/** @typedef {import("../../errors.js").KleinbildError} KleinbildError */

const CLOCK_MS = 100;
/** Between two announcements of one stage: many steps are many words. */
const QUIET_SECONDS = 20;

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
  #left = element("progress-left", HTMLElement);
  #preview = element("preview", HTMLCanvasElement);
  #picture = element("picture", HTMLImageElement);
  #caption = element("caption", HTMLElement);
  #download = element("download", HTMLAnchorElement);
  #failure = element("failure", HTMLElement);
  #i18n;
  #announce;
  #began = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;
  /** @type {() => number | null} */
  #secondsLeft = () => null;
  #said = { stage: "", title: "", at: 0 };

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

  /** @param {number} number of the picture that is being made @param {() => number | null} [secondsLeft] null: not known */
  begin(number, secondsLeft = () => null) {
    this.#began = performance.now();
    this.#secondsLeft = secondsLeft;
    this.#number.textContent = frameNumber(number);
    showText(this.#title, () => this.#i18n.t("make.stage.starting"));
    showText(this.#detail, "");
    this.#bar.removeAttribute("value");
    this.#frame.style.setProperty("--progress", "0");
    delete this.#frame.dataset["preview"];
    this.#said = { stage: "", title: "", at: 0 };
    this.#show("running");
    this.#tick();
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#tick(), CLOCK_MS);
  }

  /** @param {Progress} progress @param {number} seconds since this work began @param {number | null} [stepSeconds] of a step, once known */
  showProgress(progress, seconds, stepSeconds = null) {
    showText(this.#title, () => stageTitle(this.#i18n, progress));
    showText(this.#detail, () => stageDetail(this.#i18n, progress, seconds, stepSeconds));
    this.#bar.value = progress.fraction;
    this.#frame.style.setProperty("--progress", String(progress.fraction));
    this.#sayStage(progress);
  }

  /** @param {Pick<import("../../protocol.js").PreviewMessage, "width"|"height"|"rgba">} preview what the picture looks like so far */
  showPreview({ width, height, rgba }) {
    this.#preview.width = width;
    this.#preview.height = height;
    this.#preview.getContext("2d")?.putImageData(new ImageData(rgba, width, height), 0, 0);
    this.#frame.dataset["preview"] = "";
  }

  /** Somebody cancelled: the page says so at once, whatever the GPU is doing. */
  showCancelling() {
    showText(this.#title, () => this.#i18n.t("make.stage.cancelling"));
    this.#secondsLeft = () => null;
    this.#tick();
    this.#announce(this.#i18n.t("make.stage.cancelling"));
  }

  /** The GPU was lost and the picture goes on. */
  sayResumed() {
    this.#announce(this.#i18n.t("make.resumed"));
  }

  /** @returns {number} seconds since `begin` */
  get elapsed() {
    return (performance.now() - this.#began) / 1000;
  }

  /** @param {Exposure} exposure @param {boolean} fresh whether it was made just now */
  showPicture({ number, settings, url, seconds }, fresh) {
    this.setShape(settings);
    this.#picture.src = url;
    this.#picture.alt = shortPrompt(settings.prompt);
    this.#picture.width = settings.width;
    this.#picture.height = settings.height;
    this.#number.textContent = frameNumber(number);
    const { width, height, seed, steps } = settings;
    const t = this.#i18n.t.bind(this.#i18n);
    const prompt = textElement("span", shortPrompt(settings.prompt), "caption__prompt");
    prompt.dir = "auto";
    const facts = textElement("span", "", "caption__facts");
    showText(facts, () => [sizeText(settings), t("make.fact.seed", { seed: `${seed}` }), t("make.fact.steps", { count: steps }),
      this.#i18n.duration(seconds)].join("  \u00b7  "));
    this.#caption.replaceChildren(prompt, facts);
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
    const left = this.#secondsLeft();
    this.#clock.textContent = this.#i18n.duration(this.elapsed);
    showText(this.#left, left === null ? "" : leftText(this.#i18n, left));
  }

  /** @param {Progress} progress */
  #sayStage(progress) {
    const { stage } = progress;
    const title = stageTitle(this.#i18n, progress);
    const now = this.elapsed;
    const due = stage !== this.#said.stage || now - this.#said.at > QUIET_SECONDS;
    if (!due || title === this.#said.title) return;
    this.#said = { stage, title, at: now };
    const left = this.#secondsLeft();
    this.#announce(left === null ? title : `${title}. ${leftText(this.#i18n, left)}`);
  }
}

/** @param {number} number @returns {string} as the edge of a film numbers its frames */
function frameNumber(number) {
  return `\u25b8 ${number}`;
}
