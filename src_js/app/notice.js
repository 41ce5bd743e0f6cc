/** The banner in which the maker of the model that makes the pictures tells about it, in the page's language or English. */

import { element } from "./elements.js";
import { showText } from "./localise.js";

/** @param {Record<string, string>} notice by language, {} for none @param {import("./i18n.js").I18n} i18n */
export function tellNotice(notice, i18n) {
  element("notice", HTMLElement).hidden = i18n.pick(notice) === "";
  showText(element("notice-text", HTMLElement), () => i18n.pick(notice));
}
