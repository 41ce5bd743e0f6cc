import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { qrCode } from "../../../../src_js/app/kiosk/qr.js";

/** @type {{ text: string, mask: number, side: number, rows: string[] }[]} */
const GOLDEN = JSON.parse(readFileSync(new URL("../../../golden/qr_m.json", import.meta.url), "utf8"));

/** @param {import("../../../../src_js/app/kiosk/qr.js").QrCode} code @returns {string[]} rows in hexadecimal, as in the golden file */
function rows({ side, dark }) {
  return Array.from({ length: side }, (_, row) => {
    const bits = Array.from({ length: side }, (_, column) => (dark(row, column) ? "1" : "0")).join("");
    return BigInt(`0b${bits}`).toString(16);
  });
}

test("every module is where another encoder puts it, versions 1 to 10, all masks", () => {
  const sides = new Set();
  for (const { text, mask, side, rows: expected } of GOLDEN) {
    const code = qrCode(text, mask);
    assert.equal(code.side, side);
    assert.deepEqual(rows(code), expected, `${text.slice(0, 40)}, mask ${mask}`);
    sides.add(side);
  }
  assert.deepEqual([...sides].sort((a, b) => a - b), [21, 25, 29, 33, 37, 41, 45, 49, 53, 57]);
  assert.equal(new Set(GOLDEN.map(({ mask }) => mask)).size, 8);
});

test("the longest text, and one byte more", () => {
  assert.equal(qrCode("a".repeat(213)).side, 57);
  assert.throws(() => qrCode("a".repeat(214)), { code: "bad-input", message: /213 bytes, not 214/ });
  assert.throws(() => qrCode("ش".repeat(107)), { code: "bad-input" });
});
