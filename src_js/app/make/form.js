/**
 * The form: its fields, the lock and the dice of the seed, the messages at the fields, and the buttons that start, add and cancel. It
 * reads and shows; what a valid setting is stands in settings.js, what happens with it in index.js.
 */

import { element } from "../elements.js";
import { showText } from "../localise.js";
import { diceSeed, ordersOf, readMemoryBudget, readSettings, recallSettings, rememberSettings } from "./settings.js";
import { laterText, memoryText } from "./wording.js";

/** @typedef {import("./settings.js").FieldName} FieldName */
/** @typedef {import("./settings.js").FieldValues} FieldValues */
/** @typedef {Omit<import("./queue.js").Order, "id">} NewOrder */

const FIELD_NAMES = /** @type {FieldName[]} */ (["prompt", "width", "height", "seed", "steps", "count"]);

export class Form {
  #form = element("form", HTMLFormElement);
  #lock = element("seed-lock", HTMLButtonElement);
  #lines = element("lines", HTMLInputElement);
  #keepPrompts = element("keep-prompts", HTMLInputElement);
  #memory = element("memory", HTMLInputElement);
  #memoryNeeds = element("memory-needs", HTMLElement);
  #later = element("later", HTMLElement);
  #make = element("make", HTMLButtonElement);
  #enqueue = element("enqueue", HTMLButtonElement);
  #cancel = element("cancel", HTMLButtonElement);
  #fields = {
    prompt: element("prompt", HTMLTextAreaElement),
    width: element("width", HTMLInputElement),
    height: element("height", HTMLInputElement),
    seed: element("seed", HTMLInputElement),
    steps: element("steps", HTMLInputElement),
    count: element("count", HTMLInputElement),
  };
  #i18n;
  #store;
  #onSubmit;
  #onSize;
  #missingBytes = 0;
  #pictures = 1;
  #ready = false;
  #busy = false;
  #told = "";
  /** Whether the fields hold what people chose, now or on an earlier visit. */
  #chosen = false;

  /**
   * @param {Pick<import("../app.js").App, "i18n"|"settings">} app
   * @param {object} actions
   * @param {(orders: NewOrder[]) => void} actions.onSubmit
   * @param {() => void} actions.onCancel
   * @param {() => void} actions.onForget prompts are to be kept no longer
   * @param {(picture: { width: number, height: number, steps: number } | null, width: string, height: string) => void} actions.onSize
   *   another size, other steps or another memory budget; picture: null when the fields hold none; width and height as they stand there
   */
  constructor({ i18n, settings: store }, { onSubmit, onCancel, onForget, onSize }) {
    this.#i18n = i18n;
    this.#store = store;
    this.#onSubmit = onSubmit;
    this.#onSize = onSize;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    const cancel = () => {
      if (!this.#cancel.hidden && this.#cancel.ariaDisabled !== "true") onCancel();
    };
    this.#cancel.addEventListener("click", cancel);
    this.#keepPrompts.addEventListener("change", () => {
      if (!this.#keepPrompts.checked) onForget();
    });
    this.#lock.addEventListener("click", () => {
      this.show({ newSeed: !this.#newSeed });
      this.#remember();
    });
    element("dice", HTMLButtonElement).addEventListener("click", () => {
      this.show({ seed: String(diceSeed()) });
      this.#remember();
    });
    this.#fields.seed.addEventListener("input", () => this.show({ newSeed: false }));
    // What puts in many lines at once tells of each: one look at the end will do.
    let pending = false;
    this.#form.addEventListener("input", () => {
      if (pending) return;
      pending = true;
      queueMicrotask(() => {
        pending = false;
        this.#showMessages(false);
        this.#remember();
      });
    });
    document.addEventListener("keydown", (event) => {
      if (document.body.dataset["view"] !== "make") return;
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && this.#ready) this.#form.requestSubmit();
      if (event.key === "Escape") cancel();
    });
  }

  /** Bytes of GPU memory that a picture may use; null: what the GPU's facts suggest. */
  get memoryBudget() {
    return readMemoryBudget(this.#memory.value).bytes;
  }

  /** @returns {number} what the field holds, or a step */
  get steps() {
    return Number(this.#fields.steps.value) || 1;
  }

  /** @param {import("../../protocol.js").MemoryNeeds | null} needs of the size in the fields; null: not known @param {(() => string)} [time] how long it takes */
  showMemory(needs, time = () => "") {
    showText(this.#memoryNeeds, needs ? () => [memoryText(this.#i18n, needs), needs.refusal ? "" : time()].filter(Boolean).join(" ") : "");
    this.#memoryNeeds.classList.toggle("field__message--error", Boolean(needs?.refusal));
  }

  /** Tells the size in the fields: what it needs may have become known. */
  tellSize() {
    const { width, height } = this.#fields;
    const { asked } = readSettings({ ...this.#values(), prompt: "any", lines: false, seed: "0", count: "1" });
    this.#told = JSON.stringify([width.value, height.value, this.steps, this.memoryBudget]);
    this.#onSize(asked, width.value, height.value);
  }

  /** Tells it if it is another one than the last. */
  #tellNewSize() {
    const { width, height } = this.#fields;
    if (JSON.stringify([width.value, height.value, this.steps, this.memoryBudget]) !== this.#told) this.tellSize();
  }

  /** Fills in what was remembered from the last visit. */
  recall() {
    const remembered = recallSettings(this.#store);
    this.#chosen = remembered.width !== undefined;
    this.show({ seed: String(diceSeed()), ...remembered });
  }

  /** Takes settings of a picture over, for one like it. @param {Partial<import("../events.js").PictureSettings>} settings */
  take({ prompt, width, height, seed, steps }) {
    this.show({
      ...(prompt === undefined ? {} : { prompt, lines: false }),
      ...(width === undefined ? {} : { width: `${width}` }),
      ...(height === undefined ? {} : { height: `${height}` }),
      ...(steps === undefined ? {} : { steps: `${steps}` }),
      ...(seed === undefined ? {} : { seed, newSeed: false }),
    });
    this.#remember();
  }

  /** A prompt to begin with. @param {string} prompt */
  suggest(prompt) {
    this.show({ prompt });
    this.#remember();
    this.#fields.prompt.focus();
  }

  /** @param {{ width: number, height: number }} size */
  setSize({ width, height }) {
    this.show({ width: `${width}`, height: `${height}` });
    this.#remember();
  }

  /** @param {{ width: number, height: number, steps: number }} defaults of the model, unless people chose something */
  showDefaults({ width, height, steps }) {
    if (!this.#chosen) this.show({ width: `${width}`, height: `${height}`, steps: `${steps}` });
  }

  /** @param {Partial<FieldValues>} values */
  show(values) {
    for (const name of FIELD_NAMES) {
      const value = values[name] ?? this.#fields[name].value;
      if (this.#fields[name].value !== value) this.#fields[name].value = value;
    }
    if (values.newSeed !== undefined) this.#lock.setAttribute("aria-pressed", String(!values.newSeed));
    this.#lines.checked = values.lines ?? this.#lines.checked;
    this.#memory.value = values.memory ?? this.#memory.value;
    this.#keepPrompts.checked = values.keepPrompts ?? this.#keepPrompts.checked;
    this.#showMessages(false);
  }

  /** Pictures can be asked for. */
  setReady() {
    this.#ready = true;
    this.setBusy(this.#busy);
  }

  /** @param {boolean} busy */
  setBusy(busy) {
    // The button in use disappears: hand its focus to the other one.
    const focused = document.activeElement === this.#make || document.activeElement === this.#cancel;
    const changed = this.#busy !== busy;
    this.#busy = busy;
    this.#make.disabled = busy || !this.#ready;
    this.#make.hidden = busy;
    this.#enqueue.hidden = !busy;
    this.#cancel.hidden = !busy;
    this.#cancel.ariaDisabled = null;
    this.#label();
    if (focused && changed) (busy ? this.#cancel : this.#make).focus({ preventScroll: true });
  }

  /** A cancel is on its way. The button keeps the focus, which a disabled one would lose. */
  setCancelling() {
    this.#cancel.ariaDisabled = "true";
  }

  /** @param {Pick<import("../../protocol.js").InspectInfo, "missingBytes"|"laterBytes"|"persistent">} info what is still to be downloaded */
  setMissing(info) {
    this.#missingBytes = info.missingBytes;
    showText(this.#later, () => laterText(this.#i18n, info));
    this.#label();
  }

  #label() {
    const missing = this.#missingBytes;
    const count = this.#pictures;
    const t = this.#i18n.t.bind(this.#i18n);
    showText(this.#make, () => (missing > 0 ? t("make.button.download", { bytes: this.#i18n.bytes(missing) }) : t("make.button.make", { count })));
    showText(this.#enqueue, () => t("make.button.enqueue", { count }));
  }

  get #newSeed() {
    return this.#lock.getAttribute("aria-pressed") !== "true";
  }

  /** @returns {FieldValues} */
  #values() {
    const fields = this.#fields;
    const entries = FIELD_NAMES.map((name) => /** @type {const} */ ([name, fields[name].value]));
    const texts = /** @type {Record<FieldName, string>} */ (Object.fromEntries(entries));
    return { ...texts, newSeed: this.#newSeed, lines: this.#lines.checked, keepPrompts: this.#keepPrompts.checked, memory: this.#memory.value };
  }

  #remember() {
    this.#chosen = true;
    rememberSettings(this.#store, this.#values());
  }

  #submit() {
    if (!this.#ready) return;
    if (this.#newSeed) this.show({ seed: String(diceSeed()) });
    const values = this.#values();
    const { asked, errors } = readSettings(values);
    if (!asked) {
      this.#showMessages(true);
      const first = FIELD_NAMES.find((name) => errors[name]);
      if (first) this.#fields[first].focus();
      return;
    }
    this.show({ width: String(asked.width), height: String(asked.height) });
    this.#remember();
    this.#onSubmit(ordersOf(asked, values));
  }

  /** @param {boolean} submitted an empty prompt is an error only then */
  #showMessages(submitted) {
    const values = this.#values();
    const { asked, errors, notices } = readSettings(values);
    if (!submitted) delete errors.prompt;
    for (const name of FIELD_NAMES) {
      this.#say(element(`${name}-message`, HTMLElement), errors[name] ?? notices[name] ?? null, errors[name] !== undefined);
      this.#fields[name].setAttribute("aria-invalid", String(errors[name] !== undefined));
    }
    const { error } = readMemoryBudget(values.memory);
    this.#say(element("memory-message", HTMLElement), error, true);
    this.#memory.setAttribute("aria-invalid", String(error !== null));
    this.#pictures = asked ? asked.prompts.length * asked.count : 1;
    this.#label();
    this.#tellNewSize();
  }

  /** @param {HTMLElement} message @param {import("./settings.js").Remark | null} remark @param {boolean} isError */
  #say(message, remark, isError) {
    showText(message, remark ? () => this.#i18n.t(...remark) : "");
    message.classList.toggle("field__message--error", isError);
  }
}
