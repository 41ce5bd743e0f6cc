import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { Desk } from "../../../../src_js/app/kiosk/desk.js";

const realFetch = globalThis.fetch;
afterEach(() => void (globalThis.fetch = realFetch));

/** @param {(path: string, options: any) => Response} answer throws for a server that is away */
function desk(answer) {
  /** @type {Map<string, string>} */
  const kept = new Map();
  /** @type {[string, any][]} */
  const asked = [];
  globalThis.fetch = /** @type {any} */ (async (/** @type {string} */ path, /** @type {any} */ options) => {
    asked.push([path, options]);
    return answer(path, options);
  });
  const storage = { getItem: (/** @type {string} */ key) => kept.get(key) ?? null, setItem: (/** @type {string} */ key, /** @type {string} */ value) => void kept.set(key, value) };
  return { desk: new Desk(storage), asked };
}

const away = () => {
  throw new TypeError("Failed to fetch");
};

test("the settings are kept for a start while the server is away", async () => {
  let there = true;
  const { desk: made } = desk(() => (there ? Response.json({ idleSeconds: 7 }) : away()));
  assert.deepEqual(await made.config(), { idleSeconds: 7 });
  there = false;
  assert.deepEqual(await made.config(), { idleSeconds: 7 });
});

test("without a server, ever, there are none; with another server it is said", async () => {
  assert.equal(await desk(away).desk.config(), null);
  assert.equal(await desk(() => new Response("", { status: 500 })).desk.config(), null);
  await assert.rejects(desk(() => new Response("", { status: 404 })).desk.config(), { code: "bad-input" });
});

test("the PIN: in, wrong, locked, and no answer", async () => {
  const answers = [Response.json({ token: "t", status: {} }), Response.json({ tries_left: 4, wait: 0 }, { status: 403 }),
    Response.json({ tries_left: 0, wait: 30 }, { status: 429 }), new Response("", { status: 502 })];
  const { desk: made, asked } = desk(() => /** @type {Response} */ (answers.shift()));
  assert.deepEqual(await made.enter("271828"), { token: "t", status: {} });
  assert.deepEqual(await made.enter("1"), { triesLeft: 4, wait: 0 });
  assert.deepEqual(await made.enter("1"), { triesLeft: 0, wait: 30 });
  await assert.rejects(made.enter("1"));
  assert.deepEqual([asked[0]?.[0], asked[0]?.[1].method, asked[0]?.[1].body], ["/kiosk/pin", "POST", '{"pin":"271828"}']);
});

test("signs of life, kept pictures and pictures to show never fail", async () => {
  const { desk: made } = desk(away);
  await made.alive({ state: "attract", pictures: 0, problem: "", restart: false });
  await made.keep(new Uint8Array(3));
  assert.deepEqual(await made.pictures(), []);
});

test("taking home gives the address, or fails", async () => {
  assert.equal(await desk(() => Response.json({ url: "http://10.0.0.1/p/x.png" })).desk.takeHome(new Uint8Array(3)), "http://10.0.0.1/p/x.png");
  await assert.rejects(desk(() => new Response("", { status: 404 })).desk.takeHome(new Uint8Array(3)));
});
