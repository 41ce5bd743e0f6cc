import assert from "node:assert/strict";
import { test } from "node:test";
import { isOffer, keepOffer, takeOffer } from "../../../src_js/app/loan_offer.js";

const TOKEN = "0123456789-abcdefghi_XYZ";

/** @param {unknown} [kept] */
function setUp(kept) {
  const items = new Map([["loan", kept]]);
  /** @type {string[]} */
  const addresses = [];
  const store = { read: (/** @type {string} */ name) => items.get(name), write: (/** @type {string} */ name, /** @type {unknown} */ value) => !!items.set(name, value) };
  const take = (/** @type {string} */ hash) => takeOffer(store, { location: { hash }, history: { replaceState: (_, __, url) => void addresses.push(`${url}`) } });
  return { items, addresses, store, take };
}

test("the token leaves the address and is kept for the next visit", () => {
  const { items, addresses, take } = setUp({ token: "x".repeat(43), lent: false });
  assert.deepEqual(take(`#attach=${TOKEN}`), { token: TOKEN, lent: true });
  assert.deepEqual(addresses, ["/"]);
  assert.deepEqual(items.get("loan"), { token: TOKEN, lent: true });
  assert.deepEqual(take("#/gallery"), { token: TOKEN, lent: true });
  assert.equal(addresses.length, 1, "other addresses stay");
});

test("what somebody stopped stays stopped, and what is no token is none", () => {
  const { store, items, take } = setUp();
  assert.equal(take(""), undefined);
  keepOffer(store, { token: TOKEN, lent: false });
  assert.deepEqual(take(""), { token: TOKEN, lent: false });
  for (const kept of [3, null, { token: 5 }, { token: "short" }, { token: "<".repeat(30) }]) {
    items.set("loan", kept);
    assert.equal(take(""), undefined);
  }
  assert.equal(take("#attach=short"), undefined);
  assert.deepEqual([isOffer(`#attach=${TOKEN}`), isOffer("#attach="), isOffer("#/make")], [true, false, false]);
});
