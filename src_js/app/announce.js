/**
 * What a screen reader hears, and what a toast shows: sentences that come and go. Announcements are for moments (a stage
 * begins, a picture is done), never for ticks.
 */

import { element, textElement } from "./elements.js";

const TOAST_SECONDS = 6;
/** The same sentence twice is a change only when the region was empty in between. */
const REPEAT_MS = 50;

/** @param {string} text @param {{ assertive?: boolean }} [options] assertive: interrupts what is being read */
export function announce(text, { assertive = false } = {}) {
  const region = element(assertive ? "live-assertive" : "live", HTMLElement);
  if (region.textContent !== text) {
    region.textContent = text;
    return;
  }
  region.textContent = "";
  setTimeout(() => (region.textContent = text), REPEAT_MS);
}

/**
 * A line at the page's lower edge, with a button or without; the next one replaces it. It stays while it has the focus
 * or the pointer is over it.
 * @param {string} text
 * @param {{ action?: string, onAction?: () => void, seconds?: number }} [options] action: the button's words
 */
export function toast(text, { action, onAction, seconds = TOAST_SECONDS } = {}) {
  const region = element("toast", HTMLElement);
  const line = document.createElement("p");
  line.className = "toast";
  const words = textElement("span", text);
  words.dir = "auto";                                      // the language may change under it
  line.append(words);
  if (action && onAction) {
    const button = textElement("button", action, "button");
    button.type = "button";
    button.addEventListener("click", () => {
      line.remove();
      onAction();
    });
    line.append(button);
  }
  region.replaceChildren(line);
  const leave = () => {
    if (!line.isConnected) return;
    if (line.matches(":hover, :focus-within")) setTimeout(leave, 1000);
    else line.remove();
  };
  setTimeout(leave, seconds * 1000);
}
