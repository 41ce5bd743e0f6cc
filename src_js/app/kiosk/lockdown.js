/**
 * No way out, as far as a page can close it: no context menu, no dragging, dropping, copying or printing, no shortcuts, no history. What
 * only the browser can close, its flags and policies do (docs/kiosk.md).
 */

/** What a physical keyboard may do besides writing. */
const KEPT_KEYS = new Set(["Tab", "Enter", "Escape", "Backspace", "Delete", "Home", "End", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Shift",
  "CapsLock", "AltGraph", "Dead", "Process", "Unidentified"]);
const PREVENTED = ["contextmenu", "auxclick", "dragstart", "dragover", "drop", "copy", "cut", "paste", "gesturestart"];

/**
 * @param {Pick<KeyboardEvent, "key"|"ctrlKey"|"metaKey"|"altKey"|"getModifierState">} event
 * @returns {boolean} whether the key only writes, or moves in what is written
 */
export function isHarmless(event) {
  // AltGr writes characters, and reports Ctrl and Alt with them on some systems.
  if (event.getModifierState("AltGraph")) return Array.from(event.key).length === 1;
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  return Array.from(event.key).length === 1 || KEPT_KEYS.has(event.key);
}

/** @param {Window} window its page stays */
export function lockDown(window) {
  const { document, history } = window;
  const prevent = (/** @type {Event} */ event) => event.preventDefault();
  for (const name of PREVENTED) window.addEventListener(name, prevent, { capture: true });
  window.addEventListener("keydown", (event) => {
    if (!isHarmless(event)) event.preventDefault();
  }, { capture: true });
  window.addEventListener("wheel", (event) => {
    if (event.ctrlKey) event.preventDefault();                           // zooms
  }, { capture: true, passive: false });
  document.addEventListener("selectstart", (event) => {
    if (!(event.target instanceof HTMLTextAreaElement)) event.preventDefault();
  });
  history.pushState(null, "");
  window.addEventListener("popstate", () => history.pushState(null, ""));
}
