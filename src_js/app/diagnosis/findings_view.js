/**
 * Findings as people read them: what it is, what follows, and what to do, with lines to copy.
 */

import { textElement } from "../elements.js";
import { codeElement } from "./tables.js";
import { workName } from "./work_names.js";

/**
 * @typedef {import("./findings.js").Finding} Finding
 * @typedef {import("../i18n.js").I18n} I18n
 */

/** @param {HTMLElement} list @param {readonly Finding[]} findings @param {I18n} i18n */
export function showFindings(list, findings, i18n) {
  list.replaceChildren(...findings.map((finding) => findingElement(finding, i18n)));
  list.hidden = findings.length === 0;
}

/** @param {Finding} finding @param {I18n} i18n */
function findingElement({ id, level, steps, values = {}, bytes = {}, work = [] }, i18n) {
  const amounts = Object.fromEntries(Object.entries(bytes).map(([name, amount]) => [name, i18n.bytes(amount)]));
  const kinds = new Intl.ListFormat(i18n.language).format(work.map((kind) => workName(i18n, kind)));
  const all = { ...values, ...amounts, kinds };
  const item = document.createElement("li");
  item.className = "finding";
  item.dataset["level"] = level;
  item.dataset["finding"] = id;
  item.append(
    textElement("p", i18n.t(`diagnosis.level.${level}`), "finding__level"),
    textElement("h2", i18n.t(`diagnosis.finding.${id}.title`, all), "finding__title"),
    textElement("p", i18n.t(`diagnosis.finding.${id}.text`, all)),
  );
  if (steps.length > 0) {
    const list = textElement(steps.length > 1 ? "ol" : "ul", "", "finding__steps");
    list.append(...steps.map(({ key, code }) => {
      const step = textElement("li", i18n.t(`diagnosis.step.${key}`, all));
      if (code) step.append(" ", codeElement(code));
      return step;
    }));
    item.append(list);
  }
  return item;
}
