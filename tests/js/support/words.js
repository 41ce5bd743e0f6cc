/**
 * The page's real words for tests: the catalogues of site/i18n, joined as the packager joins them.
 */

import { readFileSync, readdirSync } from "node:fs";
import { I18n } from "../../../src_js/app/i18n.js";

/** @param {string} language @returns {I18n} */
export function words(language = "en") {
  const folder = new URL(`../../../site/i18n/${language}/`, import.meta.url);
  const areas = readdirSync(folder).map((name) => JSON.parse(readFileSync(new URL(name, folder), "utf8")));
  return new I18n(language, Object.assign({}, ...areas));
}
