import assert from "node:assert/strict";
import { test } from "node:test";
import { Events } from "../../../src_js/app/events.js";
import { parseRoute, routeHash } from "../../../src_js/app/router.js";
import { Store } from "../../../src_js/app/store.js";

const VIEWS = ["make", "gallery"];

test("routes: a known view with its parameters, and the first view for anything else", () => {
  const read = (/** @type {string} */ hash) => {
    const { view, params } = parseRoute(hash, VIEWS);
    return [view, [...params].join(" ")];
  };
  assert.deepEqual(read("#/gallery"), ["gallery", ""]);
  assert.deepEqual(read("#/make?prompt=a%20fox%26co&seed=7"), ["make", "prompt,a fox&co seed,7"]);
  for (const hash of ["", "#", "#/", "#gallery", "#/nothing?seed=1", "#/__proto__", "#/GALLERY", "#headless=x"]) {
    assert.deepEqual(read(hash), ["make", ""], hash);
  }
  assert.deepEqual(read(routeHash("make", { prompt: "ä?&=#\n" })), ["make", "prompt,ä?&=#\n"]);
  assert.equal(routeHash("gallery"), "#/gallery");
});

test("events reach every listener in turn until it stops listening, also when one throws", () => {
  const reported = /** @type {unknown[]} */ ([]);
  /** @type {any} */ (globalThis).reportError = (/** @type {unknown} */ error) => reported.push(error);
  const events = new Events();
  const heard = /** @type {string[]} */ ([]);
  events.on("busy", () => {
    throw new Error("broken view");
  });
  const stop = events.on("busy", ({ busy }) => void heard.push(`a ${busy}`));
  events.on("busy", ({ busy }) => void heard.push(`b ${busy}`));
  events.emit("busy", { busy: true });
  stop();
  events.emit("busy", { busy: false });
  events.emit("gallery-changed", {});
  assert.deepEqual(heard, ["a true", "b true", "b false"]);
  assert.equal(reported.length, 2);
});

test("a state is heard late, too: the last that was told of it, and what comes", () => {
  const events = new Events();
  const heard = /** @type {string[]} */ ([]);
  const hear = (/** @type {string} */ name) => events.onState("busy", ({ busy }) => void heard.push(`${name} ${busy}`));
  hear("a");
  events.emit("busy", { busy: false });
  events.emit("busy", { busy: true });
  const stop = hear("b");
  stop();
  events.emit("busy", { busy: false });
  assert.deepEqual(heard, ["a false", "a true", "b true", "a false"]);
});

test("what is remembered comes back, and storage that is forbidden or full does no harm", () => {
  const items = new Map();
  const store = new Store(() => ({
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
  }));
  assert.equal(store.read("x"), undefined);
  assert.equal(store.write("x", { a: [1] }), true);
  assert.deepEqual(store.read("x"), { a: [1] });
  assert.deepEqual([...items.keys()], ["kleinbild.x"]);
  store.write("x", undefined);
  assert.equal(items.size, 0);
  items.set("kleinbild.x", "{broken");
  assert.equal(store.read("x"), undefined);
  const forbidden = new Store(() => {
    throw new Error("SecurityError");
  });
  assert.equal(forbidden.read("x"), undefined);
  assert.equal(forbidden.write("x", 1), false);
});
