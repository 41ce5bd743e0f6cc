/**
 * Words, numbers and units in the chosen language. Holds one catalogue; what is on the page is localise.js's, and
 * which language is chosen is language.js's. No DOM.
 */

/**
 * A text with {holes}, or its plural forms by Intl.PluralRules' names, chosen by the value `count`.
 * @typedef {string | Record<string, string>} Text
 * @typedef {Record<string, Text>} Catalogue
 * @typedef {Record<string, string | number>} Values numbers are written as the language writes them; a seed or an id is a string
 */

const RIGHT_TO_LEFT = new Set(["ar"]);
/** Isolate what stands in a hole, so that a Latin name cannot turn the Arabic words around it. */
const ISOLATE = "\u2068";
const END_ISOLATE = "\u2069";
const UNITS = /** @type {const} */ (["kilobyte", "megabyte", "gigabyte", "terabyte"]);

export class I18n {
  #language = "en";
  /** @type {Catalogue} */
  #catalogue = {};
  /** @type {Map<string, Intl.NumberFormat>} */
  #formats = new Map();
  #plurals = new Intl.PluralRules("en");

  /** @param {string} language @param {Catalogue} catalogue */
  constructor(language, catalogue) {
    this.use(language, catalogue);
  }

  /** @param {string} language BCP 47 @param {Catalogue} catalogue its words */
  use(language, catalogue) {
    this.#language = language;
    this.#catalogue = catalogue;
    this.#formats.clear();
    this.#plurals = new Intl.PluralRules(language);
  }

  get language() {
    return this.#language;
  }

  /** @returns {"ltr"|"rtl"} */
  get direction() {
    return RIGHT_TO_LEFT.has(this.#language) ? "rtl" : "ltr";
  }

  /** Digits are the Latin ones in every language, as they are in the fields that people type into. */
  get #locale() {
    return `${this.#language}-u-nu-latn`;
  }

  /**
   * @param {string} key
   * @param {Values} [values]
   * @returns {string} the words; the key itself where there are none, which a test rules out
   */
  t(key, values = {}) {
    const text = this.#catalogue[key];
    if (text === undefined) return key;
    const form = typeof text === "string" ? text : text[this.#plurals.select(Number(values["count"]))] ?? text["other"] ?? key;
    return form.replace(/\{(\w+)\}/g, (hole, /** @type {string} */ name) => {
      const value = values[name];
      if (value === undefined) return hole;
      if (typeof value === "number") return this.number(value);
      return this.direction === "rtl" ? `${ISOLATE}${value}${END_ISOLATE}` : value;
    });
  }

  /** @param {Record<string, string>} texts by language @returns {string} in this language, else in English; "" when there is none */
  pick(texts) {
    return texts[this.#language] ?? texts["en"] ?? "";
  }

  /** @param {number} value @param {Intl.NumberFormatOptions} [options] @returns {string} */
  number(value, options = {}) {
    const key = JSON.stringify(options);
    let format = this.#formats.get(key);
    if (!format) this.#formats.set(key, (format = new Intl.NumberFormat(this.#locale, options)));
    return format.format(value);
  }

  /** @param {number} bytes @returns {string} in decimal units, as download pages and disks count */
  bytes(bytes) {
    if (bytes < 999.5) return this.t("shell.bytes", { count: Math.round(bytes), n: Math.round(bytes) });
    const power = Math.min(UNITS.length, Math.floor(Math.log10(bytes * 1.0005) / 3));
    const value = bytes / 1000 ** power;
    const digits = value < 99.95 ? 1 : 0;
    return this.number(value, { style: "unit", unit: /** @type {string} */ (UNITS[power - 1]), unitDisplay: "short",
      minimumFractionDigits: digits, maximumFractionDigits: digits });
  }

  /** @param {number} seconds @returns {string} "3.4 s", "2:05 min" or "1:10 h" */
  duration(seconds) {
    if (seconds < 59.95) return this.t("shell.seconds", { n: this.number(seconds, { minimumFractionDigits: 1, maximumFractionDigits: 1 }) });
    const whole = Math.round(seconds);
    const minutes = Math.floor(whole / 60);
    const two = (/** @type {number} */ value) => this.number(value, { minimumIntegerDigits: 2 });
    if (minutes < 60) return this.t("shell.minutes", { minutes, seconds: two(whole % 60) });
    return this.t("shell.hours", { hours: Math.floor(minutes / 60), minutes: two(minutes % 60) });
  }

  /** @param {number} share 0..1 @returns {string} whole percents, rounded down, so that 100 % means done */
  percent(share) {
    return this.number(Math.floor(share * 100) / 100, { style: "percent" });
  }

  /** @param {number} ms since 1970 @returns {string} date and time of day */
  date(ms) {
    return new Intl.DateTimeFormat(this.#locale, { dateStyle: "medium", timeStyle: "short" }).format(ms);
  }
}
