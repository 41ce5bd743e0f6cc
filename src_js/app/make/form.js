/**
 * The form: its fields, the format buttons, the dice, the messages at the fields, and the buttons that start
 * and cancel. It reads and shows; what a valid setting is stands in settings.js, what happens with it in
 * studio.js.
 */

import { element } from "../elements.js";
import { showText } from "../localise.js";
import { diceSeed, readMemoryBudget, readSettings, recallSettings, rememberSettings } from "./settings.js";
import { laterText, memoryText } from "./wording.js";

/** @typedef {import("./settings.js").FieldName} FieldName */
/** @typedef {import("./settings.js").FieldValues} FieldValues */

const FIELD_NAMES = /** @type {FieldName[]} */ (["prompt", "width", "height", "seed", "steps"]);

export class Form {
  #form = element("form", HTMLFormElement);
  #newSeed = element("new-seed", HTMLInputElement);
  #keepPrompts = element("keep-prompts", HTMLInputElement);
  #memory = element("memory", HTMLInputElement);
  #memoryNeeds = element("memory-needs", HTMLElement);
  #later = element("later", HTMLElement);
  #make = element("make", HTMLButtonElement);
  #cancel = element("cancel", HTMLButtonElement);
  /** @type {HTMLButtonElement[]} */
  #formats = [...this.#form.querySelectorAll("button")].filter((button) => button.dataset["format"]);
  #fields = {
    prompt: element("prompt", HTMLTextAreaElement),
    width: element("width", HTMLInputElement),
    height: element("height", HTMLInputElement),
    seed: element("seed", HTMLInputElement),
    steps: element("steps", HTMLInputElement),
  };
  #missingBytes = 0;
  #i18n;
  #store;
  #onSize;
  #asked = "";
  /** Whether the fields hold what people chose, now or on an earlier visit. */
  #chosen = false;

  /**
   * @param {Pick<import("../app.js").App, "i18n"|"settings">} app
   * @param {object} actions
   * @param {(settings: import("../../protocol.js").Settings) => void} actions.onSubmit
   * @param {() => void} actions.onCancel
   * @param {() => void} actions.onForget prompts are to be kept no longer
   * @param {(picture: { width: number, height: number, steps: number }) => void} actions.onSize another size, or memory budget
   */
  constructor({ i18n, settings: store }, { onSubmit, onCancel, onForget, onSize }) {
    this.#i18n = i18n;
    this.#store = store;
    this.#onSize = onSize;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const settings = this.#submit();
      if (settings) onSubmit(settings);
    });
    this.#cancel.addEventListener("click", onCancel);
    this.#keepPrompts.addEventListener("change", () => {
      if (!this.keepPrompts) onForget();
    });
    element("dice", HTMLButtonElement).addEventListener("click", () => {
      this.show({ seed: String(diceSeed()), newSeed: false });
      this.#remember();
    });
    this.#fields.seed.addEventListener("input", () => (this.#newSeed.checked = false));
    for (const button of this.#formats) {
      button.addEventListener("click", () => {
        const [width = "", height = ""] = (button.dataset["format"] ?? "").split("x");
        this.show({ width, height });
        this.#remember();
      });
    }
    this.#form.addEventListener("input", () => {
      this.#showMessages(false);
      this.#remember();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !this.#make.disabled) this.#form.requestSubmit();
      if (event.key === "Escape" && !this.#cancel.hidden) onCancel();
    });
  }

  /** Whether what belongs to a prompt may stay on this device. */
  get keepPrompts() {
    return this.#keepPrompts.checked;
  }

  /** Bytes of GPU memory that a picture may use; null: what the GPU's facts suggest. */
  get memoryBudget() {
    return readMemoryBudget(this.#memory.value).bytes;
  }

  /** @param {import("../../protocol.js").MemoryNeeds | null} needs of the size in the fields; null: not known */
  showMemory(needs) {
    showText(this.#memoryNeeds, needs ? () => memoryText(this.#i18n, needs) : "");
    this.#memoryNeeds.classList.toggle("field__message--error", Boolean(needs?.refusal));
  }

  /** Tells the size in the fields if it is another one than the last. */
  #tellSize() {
    const { settings } = readSettings({ ...this.#values(), prompt: "any", seed: "0" });
    const asked = settings ? JSON.stringify([settings.width, settings.height, settings.steps, this.memoryBudget]) : "";
    if (asked === this.#asked) return;
    this.#asked = asked;
    if (settings) this.#onSize(settings);
    else this.showMemory(null);
  }

  /** Fills in what was remembered from the last visit. @param {string} seed where none was */
  recall(seed) {
    const remembered = recallSettings(this.#store);
    this.#chosen = remembered.width !== undefined;
    this.show({ seed, ...remembered });
  }

  /** Takes settings of a picture over, for one like it. @param {Partial<import("../events.js").PictureSettings>} settings */
  take({ prompt, width, height, seed, steps }) {
    this.show({
      ...(prompt === undefined ? {} : { prompt }),
      ...(width === undefined ? {} : { width: `${width}` }),
      ...(height === undefined ? {} : { height: `${height}` }),
      ...(steps === undefined ? {} : { steps: `${steps}` }),
      ...(seed === undefined ? {} : { seed, newSeed: false }),
    });
    this.#remember();
  }

  /** @param {{ width: number, height: number, steps: number }} defaults of the model, unless people chose something */
  showDefaults({ width, height, steps }) {
    if (!this.#chosen) this.show({ width: `${width}`, height: `${height}`, steps: `${steps}` });
  }

  /** @param {Partial<FieldValues>} values */
  show(values) {
    for (const name of FIELD_NAMES) this.#fields[name].value = values[name] ?? this.#fields[name].value;
    this.#newSeed.checked = values.newSeed ?? this.#newSeed.checked;
    this.#memory.value = values.memory ?? this.#memory.value;
    this.#keepPrompts.checked = values.keepPrompts ?? this.#keepPrompts.checked;
    this.#showMessages(false);
  }

  /** @param {boolean} busy */
  setBusy(busy) {
    const wasBusy = !this.#cancel.hidden;
    // The button in use disappears: hand its focus to the other one.
    const focused = document.activeElement === this.#make || document.activeElement === this.#cancel;
    this.#make.disabled = busy;
    this.#label(busy);
    this.#cancel.hidden = !busy;
    if (focused && wasBusy !== busy) (busy ? this.#cancel : this.#make).focus({ preventScroll: true });
  }

  /** @param {Pick<import("../../protocol.js").InspectInfo, "missingBytes"|"laterBytes"|"persistent">} info what is still to be downloaded */
  setMissing(info) {
    this.#missingBytes = info.missingBytes;
    showText(this.#later, () => laterText(this.#i18n, info));
    this.#label(this.#make.disabled);
  }

  /** @param {boolean} busy */
  #label(busy) {
    const missing = this.#missingBytes;
    const key = busy ? "make.button.busy" : missing > 0 ? "make.button.download" : "make.button.make";
    showText(this.#make, () => this.#i18n.t(key, { bytes: this.#i18n.bytes(missing) }));
  }

  /** @returns {FieldValues} */
  #values() {
    const fields = this.#fields;
    const entries = FIELD_NAMES.map((name) => /** @type {const} */ ([name, fields[name].value]));
    const texts = /** @type {Record<FieldName, string>} */ (Object.fromEntries(entries));
    return { ...texts, newSeed: this.#newSeed.checked, keepPrompts: this.keepPrompts, memory: this.#memory.value };
  }

  #remember() {
    this.#chosen = true;
    rememberSettings(this.#store, this.#values());
  }

  #submit() {
    if (this.#newSeed.checked) this.show({ seed: String(diceSeed()) });
    const { settings, errors } = readSettings(this.#values());
    if (!settings) {
      this.#showMessages(true);
      const first = FIELD_NAMES.find((name) => errors[name]);
      if (first) this.#fields[first].focus();
      return null;
    }
    this.show({ width: String(settings.width), height: String(settings.height) });
    this.#remember();
    return settings;
  }

  /** @param {boolean} submitted an empty prompt is an error only then */
  #showMessages(submitted) {
    const { errors, notices } = readSettings(this.#values());
    if (!submitted) delete errors.prompt;
    for (const name of FIELD_NAMES) {
      const message = element(`${name}-message`, HTMLElement);
      this.#say(message, errors[name] ?? notices[name] ?? null);
      message.classList.toggle("field__message--error", errors[name] !== undefined);
      this.#fields[name].setAttribute("aria-invalid", String(errors[name] !== undefined));
    }
    const { error } = readMemoryBudget(this.#memory.value);
    this.#say(element("memory-message", HTMLElement), error);
    this.#memory.setAttribute("aria-invalid", String(error !== null));
    this.#tellSize();
    const format = `${this.#fields.width.value}x${this.#fields.height.value}`;
    for (const button of this.#formats) button.setAttribute("aria-pressed", String(button.dataset["format"] === format));
  }

  /** @param {HTMLElement} message @param {import("./settings.js").Remark | null} remark */
  #say(message, remark) {
    showText(message, remark ? () => this.#i18n.t(...remark) : "");
  }
}
