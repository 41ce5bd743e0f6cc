/**
 * Which language the page speaks: chosen in the menu and remembered, else the browser's, else English. Fetches the
 * catalogue; the words themselves are i18n.js's.
 */

import { KleinbildError } from "../errors.js";
import { I18n } from "./i18n.js";
import { localise } from "./localise.js";

const FALLBACK = "en";
const SETTING = "language";

/** @typedef {import("./store.js").Store} Store */

/**
 * @param {unknown} remembered @param {readonly string[]} preferred navigator.languages @param {readonly string[]} known
 * @returns {string} one of `known`
 */
export function chooseLanguage(remembered, preferred, known) {
  const wanted = [remembered, ...preferred].map((tag) => String(tag).toLowerCase().split("-")[0] ?? "");
  return wanted.find((language) => known.includes(language)) ?? FALLBACK;
}

/**
 * @param {string} language one that the site has
 * @returns {Promise<import("./i18n.js").Catalogue>}
 * @throws {KleinbildError} "download-failed"
 */
export async function fetchCatalogue(language) {
  const url = new URL(`../../i18n/${language}.json`, import.meta.url);
  try {
    const answer = await fetch(url);
    if (answer.ok) return await answer.json();
    throw new TypeError(`status ${answer.status}`);
  } catch (cause) {
    throw new KleinbildError("download-failed", `${url.pathname} did not arrive (${cause}). Reload the page.`);
  }
}

/** @param {Store} store @param {readonly string[]} known languages of the site @returns {Promise<I18n>} with the page in its language */
export async function openLanguage(store, known) {
  const language = chooseLanguage(store.read(SETTING), navigator.languages, known);
  const i18n = new I18n(language, await fetchCatalogue(language));
  show(i18n);
  return i18n;
}

/**
 * Joins the menu: a choice is remembered and takes effect at once.
 * @param {HTMLSelectElement} menu one option a language
 * @param {{ i18n: I18n, store: Store, onChange: () => void, onFailure: (error: unknown) => void }} parts
 */
export function joinLanguageMenu(menu, { i18n, store, onChange, onFailure }) {
  menu.value = i18n.language;
  menu.addEventListener("change", async () => {
    const language = menu.value;
    try {
      const catalogue = await fetchCatalogue(language);
      if (menu.value !== language) return;                               // chosen again since
      i18n.use(language, catalogue);
      store.write(SETTING, language);
      show(i18n);
      onChange();
    } catch (error) {
      menu.value = i18n.language;
      onFailure(error);
    }
  });
}

/** @param {I18n} i18n */
function show(i18n) {
  document.documentElement.lang = i18n.language;
  document.documentElement.dir = i18n.direction;
  localise(document, i18n);
}
