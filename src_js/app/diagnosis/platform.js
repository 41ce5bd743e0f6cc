/**
 * Which browser and system this is, from what the browser says of itself. Only ever used to choose advice: nothing is switched on or
 * off by it. No DOM.
 */

/**
 * @typedef {"android"|"chromeos"|"ios"|"linux"|"mac"|"windows"|"other"} System
 * @typedef {"chromium"|"firefox"|"safari"|"other"} BrowserEngine
 * @typedef {{ brand: string, version: string }} Brand
 * @typedef {{ brands?: readonly Brand[], mobile?: boolean, platform?: string }} UserAgentData Chromium's; TypeScript's library lacks it
 */

/**
 * @typedef {object} Platform
 * @property {System} system
 * @property {BrowserEngine} engine
 * @property {string} browser its name
 * @property {number} version the first number of it, 0 where the browser does not tell
 * @property {boolean} mobile
 */

/** Of Chromium's own list of brands: placeholders, and the engine that all of them share. */
const NO_NAME = /not.?a.?brand|^Chromium$/i;

/**
 * @param {{ userAgent: string, maxTouchPoints?: number, userAgentData?: UserAgentData }} navigator
 * @returns {Platform}
 */
export function readPlatform({ userAgent, maxTouchPoints = 0, userAgentData }) {
  const system = systemOf(userAgent, maxTouchPoints);
  const mobile = userAgentData?.mobile ?? (system === "android" || system === "ios");
  const brands = userAgentData?.brands ?? [];
  const chromium = brands.find(({ brand }) => brand === "Chromium");
  if (chromium) {
    const named = brands.find(({ brand }) => !NO_NAME.test(brand));
    return { system, engine: "chromium", browser: named?.brand ?? "Chromium", version: wholeNumber(chromium.version), mobile };
  }
  return { system, ...browserOf(userAgent), mobile };
}

/** @param {string} userAgent @returns {Pick<Platform, "engine"|"browser"|"version">} */
function browserOf(userAgent) {
  const version = (/** @type {RegExp} */ pattern) => wholeNumber(pattern.exec(userAgent)?.[1] ?? "");
  if (/Firefox\//.test(userAgent)) return { engine: "firefox", browser: "Firefox", version: version(/Firefox\/(\d+)/) };
  if (/FxiOS\//.test(userAgent)) return { engine: "safari", browser: "Firefox", version: version(/FxiOS\/(\d+)/) };
  if (/CriOS\//.test(userAgent)) return { engine: "safari", browser: "Chrome", version: version(/CriOS\/(\d+)/) };
  if (/Edg\//.test(userAgent)) return { engine: "chromium", browser: "Edge", version: version(/Edg\/(\d+)/) };
  if (/Chrom(e|ium)\//.test(userAgent)) return { engine: "chromium", browser: "Chromium", version: version(/Chrom(?:e|ium)\/(\d+)/) };
  if (/Safari\//.test(userAgent)) return { engine: "safari", browser: "Safari", version: version(/Version\/(\d+)/) };
  return { engine: "other", browser: "", version: 0 };
}

/** @param {string} userAgent @param {number} touchPoints @returns {System} */
function systemOf(userAgent, touchPoints) {
  if (/Android/i.test(userAgent)) return "android";
  if (/iPhone|iPad|iPod/i.test(userAgent)) return "ios";
  if (/CrOS/.test(userAgent)) return "chromeos";
  if (/Windows/i.test(userAgent)) return "windows";
  if (/Macintosh|Mac OS/i.test(userAgent)) return touchPoints > 1 ? "ios" : "mac";   // an iPad calls itself a Mac
  if (/Linux|X11/i.test(userAgent)) return "linux";
  return "other";
}

/** @param {string} text */
function wholeNumber(text) {
  const value = Number.parseInt(text, 10);
  return Number.isFinite(value) ? value : 0;
}
