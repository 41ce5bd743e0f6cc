import assert from "node:assert/strict";
import { test } from "node:test";

import { IdleWatch } from "../../../../src_js/app/kiosk/idle.js";

function watched() {
  /** @type {string[]} */
  const told = [];
  const idle = new IdleWatch({ idleSeconds: 5, countdownSeconds: 3 }, {
    onCountdown: (left) => void told.push(`${left}`),
    onBack: () => void told.push("back"),
    onGone: () => void told.push("gone"),
  });
  const pass = (/** @type {number} */ seconds) => {
    for (let second = 0; second < seconds; second++) idle.tick();
    return told.splice(0).join(" ");
  };
  return { idle, pass };
}

test("nobody there: a countdown, then gone, once", () => {
  const { idle, pass } = watched();
  assert.equal(pass(100), "");                                              // nobody has come yet
  idle.watch();
  assert.equal(pass(4), "");
  assert.equal(pass(3), "3 2 1");
  assert.equal(pass(1), "gone");
  assert.equal(pass(100), "");
});

test("a touch starts over, and ends the countdown", () => {
  const { idle, pass } = watched();
  idle.watch();
  pass(4);
  idle.touch();
  assert.equal(pass(4), "");
  pass(2);
  idle.touch();
  assert.equal(pass(4), "back");
  assert.equal(pass(4), "3 2 1 gone");
});

test("held, nothing is counted: a picture is being made", () => {
  const { idle, pass } = watched();
  idle.watch();
  pass(6);
  idle.hold();
  assert.equal(pass(100), "back");
  idle.touch();
  assert.equal(pass(100), "");
  idle.watch();
  assert.equal(pass(8), "3 2 1 gone");
});
