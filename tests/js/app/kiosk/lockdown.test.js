import assert from "node:assert/strict";
import { test } from "node:test";

import { isHarmless } from "../../../../src_js/app/kiosk/lockdown.js";

/** @param {string} key @param {string[]} [modifiers] */
function harmless(key, modifiers = []) {
  return isHarmless({
    key,
    ctrlKey: modifiers.includes("ctrl"),
    metaKey: modifiers.includes("meta"),
    altKey: modifiers.includes("alt"),
    getModifierState: (/** @type {string} */ name) => name === "AltGraph" && modifiers.includes("altgr"),
  });
}

test("keys that write or move are let be", () => {
  for (const key of ["a", "Ä", "ش", "1", " ", "Enter", "Tab", "Escape", "Backspace", "ArrowLeft", "Shift", "Dead"]) assert.ok(harmless(key), key);
  assert.ok(harmless("@", ["ctrl", "alt", "altgr"]));
});

test("function keys, shortcuts and media keys are not", () => {
  for (const key of ["F1", "F5", "F11", "F12", "BrowserBack", "BrowserHome", "Meta", "Alt", "Control", "ContextMenu", "PrintScreen", "LaunchMail"]) {
    assert.ok(!harmless(key), key);
  }
  for (const key of ["a", "n", "t", "w", "p", "s", "u", "I", "+", "0", "Tab"]) assert.ok(!harmless(key, ["ctrl"]), key);
  for (const key of ["ArrowLeft", "F4", "d", "Home"]) assert.ok(!harmless(key, ["alt"]), key);
  assert.ok(!harmless("q", ["meta"]));
  assert.ok(!harmless("F4", ["altgr"]));
});
