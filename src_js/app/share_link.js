/**
 * A picture's settings as a link. They stand in the fragment, which browsers never send, so that whoever serves the page does not learn
 * them. Following a link fills in the form and does no more.
 */

import { checkRestored } from "./restored.js";

/** @typedef {import("./restored.js").SettingName} SettingName */

const NAMES = /** @type {SettingName[]} */ (["prompt", "seed", "width", "height", "steps"]);
/** Of a whole link; longer ones do not survive every program that passes links on. */
const MAX_LINK = 8_000;
const MAX_FRAGMENT = 64_000;

/**
 * @param {{ prompt: string, width: number, height: number, seed: bigint | string | null, steps: number }} settings
 * @param {string} page address of the page
 * @returns {string | null} null when the prompt is too long for a link
 */
export function writeLink(settings, page) {
  const parameters = new URLSearchParams();
  for (const name of NAMES) {
    const value = settings[name];
    if (value !== null) parameters.set(name, String(value));
  }
  const link = new URL("/", page);
  link.hash = `#/make?${parameters}`;
  return link.href.length > MAX_LINK ? null : link.href;
}

/**
 * @param {string} parameters what stands behind the "?" of the fragment, written by anybody
 * @returns {import("./restored.js").Restored | null} null when it is no link to settings, or too long to be one
 */
export function readLink(parameters) {
  if (parameters.length > MAX_FRAGMENT) return null;
  const given = new URLSearchParams(parameters);
  const told = Object.fromEntries(NAMES.map((name) => [name, given.get(name)]));
  return Object.values(told).some(Boolean) ? checkRestored(told) : null;
}
