/**
 * The benchmark's view: the buttons, the progress, and a table that fills while rows come in. It shows; bench.js decides.
 */

import { adviceFor, platformOf } from "./advice.js";
import { GROUPS, machineText, rowText, timeText } from "./bench_wording.js";
import { element, textElement } from "./elements.js";

/**
 * @typedef {import("../bench_protocol.js").BenchResult} BenchResult
 * @typedef {import("../bench_protocol.js").Group} Group
 * @typedef {import("../bench_protocol.js").Row} Row
 */

const COPIED_MS = 2000;

export class BenchView {
  #start = element("bench-start", HTMLButtonElement);
  #cancel = element("bench-cancel", HTMLButtonElement);
  #copy = element("bench-copy", HTMLButtonElement);
  #quick = element("bench-quick", HTMLInputElement);
  #progress = element("bench-progress", HTMLElement);
  #bar = element("bench-bar", HTMLProgressElement);
  #title = element("bench-title", HTMLElement);
  #count = element("bench-count", HTMLElement);
  #machine = element("bench-machine", HTMLElement);
  #failure = element("bench-failure", HTMLElement);
  #table = element("bench-table", HTMLTableElement);
  #empty = element("bench-empty", HTMLElement);
  #live = element("live", HTMLElement);
  /** @type {Map<Group, HTMLTableSectionElement>} */
  #sections = new Map();

  #i18n;

  /**
   * @param {Pick<import("./i18n.js").I18n, "t">} i18n
   * @param {{onStart: (quick: boolean) => void, onCancel: () => void, onCopy: () => Promise<void>}} actions
   */
  constructor(i18n, { onStart, onCancel, onCopy }) {
    this.#i18n = i18n;
    this.#start.addEventListener("click", () => onStart(this.#quick.checked));
    this.#cancel.addEventListener("click", onCancel);
    this.#copy.addEventListener("click", () => void this.#copied(onCopy()));
  }

  /** Lets people start. */
  ready() {
    this.#start.disabled = false;
  }

  begin() {
    for (const section of this.#sections.values()) section.remove();
    this.#sections.clear();
    this.#table.hidden = true;
    this.#empty.hidden = false;
    this.#failure.hidden = true;
    this.#machine.textContent = "";
    this.#setBusy(true);
    this.#title.textContent = this.#i18n.t("bench.starting");
    this.#count.textContent = "";
    this.#bar.removeAttribute("value");
  }

  /** @param {{done: number, total: number, label: string}} progress */
  showProgress({ done, total, label }) {
    this.#title.textContent = label;
    this.#count.textContent = this.#i18n.t("diagnosis.check.progress", { done, total });
    this.#bar.value = done / total;
  }

  /** @param {Row} row */
  addRow(row) {
    const { value, rate, share } = row.error === undefined ? rowText(row) : { value: this.#i18n.t("bench.failed"), rate: "", share: "" };
    const line = document.createElement("tr");
    const name = document.createElement("th");
    name.scope = "row";
    name.lang = "en";                                      // kernels and stages have the names of the code, as the command line has
    name.append(row.name);
    const note = row.error ?? row.detail;
    if (note) name.append(textElement("small", note, row.error === undefined ? "" : "bench__error"));
    line.append(name, ...[value, rate, share].map((figure) => textElement("td", `\u2066${figure}\u2069`)));
    this.#section(row.group).append(line);
    this.#empty.hidden = true;
    this.#table.hidden = false;
  }

  /** @param {BenchResult} result */
  finish(result) {
    this.#setBusy(false);
    this.#copy.hidden = false;
    this.#machine.textContent = this.#i18n.t("bench.measured", { machine: machineText(result), duration: timeText(result.seconds) });
    this.#live.textContent = this.#i18n.t("bench.done");
  }

  /** @param {import("../errors.js").KleinbildError} error */
  fail(error) {
    this.#setBusy(false);
    if (error.code === "cancelled") return;
    const { title, steps } = adviceFor(error.code, platformOf(navigator.userAgent), this.#i18n);
    const list = document.createElement("ul");
    list.append(...steps.map((step) => textElement("li", step)));
    this.#failure.replaceChildren(textElement("h2", title), list, textElement("p", error.message, "failure__detail"));
    this.#failure.hidden = false;
  }

  /** @param {boolean} busy */
  #setBusy(busy) {
    const focused = document.activeElement === this.#start || document.activeElement === this.#cancel;
    this.#start.hidden = busy;
    this.#start.disabled = busy;
    this.#quick.disabled = busy;
    this.#cancel.hidden = !busy;
    this.#progress.hidden = !busy;
    if (busy) this.#copy.hidden = true;
    if (focused) (busy ? this.#cancel : this.#start).focus({ preventScroll: true });
  }

  /** @param {Group} group @returns {HTMLTableSectionElement} made at its place in the order of GROUPS */
  #section(group) {
    const known = this.#sections.get(group);
    if (known) return known;
    const section = document.createElement("tbody");
    const heading = textElement("th", this.#i18n.t(`bench.group.${group}`), "bench__group");
    heading.scope = "rowgroup";
    heading.colSpan = 4;
    const line = document.createElement("tr");
    line.append(heading);
    section.append(line);
    const after = [...this.#sections].filter(([name]) => GROUPS.indexOf(name) < GROUPS.indexOf(group))
      .sort(([a], [b]) => GROUPS.indexOf(b) - GROUPS.indexOf(a))[0]?.[1];
    if (after) after.after(section);
    else this.#table.tHead?.after(section);
    this.#sections.set(group, section);
    return section;
  }

  /** @param {Promise<void>} copying */
  async #copied(copying) {
    const said = this.#i18n.t(await copying.then(() => "bench.copied", () => "bench.not_copied"));
    this.#copy.textContent = this.#live.textContent = said;
    setTimeout(() => (this.#copy.textContent = this.#i18n.t("bench.copy")), COPIED_MS);
  }
}
