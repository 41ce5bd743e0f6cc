/**
 * PNG files are read back by a decoder of the test's own (node:zlib, filters undone by the standard's formulas), so
 * that a mistake in the encoder cannot cancel itself out.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32, inflateSync } from "node:zlib";

import { encodePng } from "../../../src_js/image/png.js";

/**
 * @param {Uint8Array} png
 * @returns {{ chunks: { type: string, data: Buffer }[], width: number, height: number, filters: number[],
 *   rgb: Buffer }}
 */
function decode(png) {
  const file = Buffer.from(png);
  assert.equal(file.subarray(0, 8).toString("latin1"), "\x89PNG\r\n\x1a\n");
  const chunks = [];
  for (let at = 8; at < file.length; ) {
    const length = file.readUInt32BE(at);
    const body = file.subarray(at + 4, at + 8 + length);
    assert.equal(file.readUInt32BE(at + 8 + length), crc32(body));
    chunks.push({ type: body.toString("latin1", 0, 4), data: body.subarray(4) });
    at += 12 + length;
  }
  const header = chunks[0]?.data ?? Buffer.alloc(0);
  assert.equal(chunks[0]?.type, "IHDR");
  assert.deepEqual(chunks.at(-1), { type: "IEND", data: Buffer.alloc(0) });
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  assert.deepEqual([...header.subarray(8)], [8, 2, 0, 0, 0]);
  const rows = inflateSync(Buffer.concat(chunks.filter(({ type }) => type === "IDAT").map(({ data }) => data)));
  assert.equal(rows.length, height * (1 + 3 * width));
  const rgb = Buffer.alloc(height * width * 3);
  const filters = [];
  for (let y = 0; y < height; y++) {
    const filter = rows[y * (1 + 3 * width)] ?? -1;
    filters.push(filter);
    for (let i = 0; i < 3 * width; i++) {
      const at = y * 3 * width + i;
      const left = i >= 3 ? (rgb[at - 3] ?? 0) : 0;
      const above = y > 0 ? (rgb[at - 3 * width] ?? 0) : 0;
      const corner = i >= 3 && y > 0 ? (rgb[at - 3 * width - 3] ?? 0) : 0;
      const p = left + above - corner;
      const nearest = [left, above, corner].reduce((best, x) => (Math.abs(p - x) < Math.abs(p - best) ? x : best));
      const predicted = [0, left, above, Math.floor((left + above) / 2), nearest][filter];
      assert.notEqual(predicted, undefined);
      rgb[at] = (rows[y * (1 + 3 * width) + 1 + i] ?? 0) + (predicted ?? 0);
    }
  }
  return { chunks, width, height, filters, rgb };
}

/** @param {number} width @param {number} height @param {(x: number, y: number, channel: number) => number} value */
function picture(width, height, value) {
  const rgba = new Uint8ClampedArray(width * height * 4);
  const rgb = Buffer.alloc(width * height * 3);
  for (let n = 0; n < width * height; n++) {
    for (let channel = 0; channel < 3; channel++) {
      rgba[4 * n + channel] = rgb[3 * n + channel] = value(n % width, Math.floor(n / width), channel) & 0xff;
    }
    rgba[4 * n + 3] = n; // alpha is dropped, whatever it is
  }
  return { rgba, rgb };
}

/** A small reproducible generator of bytes (an LCG's high bits). @param {number} seed */
function bytes(seed) {
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
    return seed >>> 24;
  };
}

const random = bytes(1);
/** @type {[string, number, number, (x: number, y: number, channel: number) => number][]} */
const PICTURES = [
  ["one pixel", 1, 1, () => 200],
  ["one row", 97, 1, (x) => x],
  ["one column", 1, 97, (_, y) => 3 * y],
  ["noise", 61, 47, () => random()],
  ["ramps", 128, 64, (x, y, channel) => [x + y, 2 * x, x * y][channel] ?? 0],
  ["extremes", 32, 32, (x, y) => ((x ^ y) & 1 ? 255 : 0)],
  ["soft noise", 700, 600, (x, y) => 128 + 60 * Math.sin(x / 40) + 60 * Math.cos(y / 30) + (random() & 3)],
];

for (const [name, width, height, value] of PICTURES) {
  test(`pixels survive: ${name}`, async () => {
    const { rgba, rgb } = picture(width, height, value);
    const decoded = decode(await encodePng({ width, height, rgba }));
    assert.deepEqual([decoded.width, decoded.height], [width, height]);
    assert.ok(decoded.rgb.equals(rgb));
    assert.deepEqual(decoded.chunks.map(({ type }) => type), ["IHDR", "IDAT", "IEND"]);
  });
}

test("every filter is used where it is the best", async () => {
  const noise = bytes(2);
  const diagonal = new Map();
  const { rgba } = picture(64, 64, (x, y, channel) => {
    if (y < 8) return noise() & 7 & (x + y); // small values: None
    if (y < 16) return 5 * x + 40 * channel + 97 * y; // level across: Sub
    if (y < 32) return (Math.imul(x * 3 + channel, 0x9e3779b1) >>> 24) + y; // level down: Up
    if (y < 48) return y * y + x * x; // smooth: Average or Paeth
    const key = `${x - y},${channel}`;
    if (!diagonal.has(key)) diagonal.set(key, noise());
    return diagonal.get(key);
  });
  const { filters } = decode(await encodePng({ width: 64, height: 64, rgba }));
  assert.ok(new Set(filters).size >= 4, `filters ${[...new Set(filters)]}`);
});

test("a smooth picture is smaller than its bytes by far", async () => {
  const { rgba } = picture(512, 512, (x, y, channel) => (x + y * (channel + 1)) >> 2);
  const png = await encodePng({ width: 512, height: 512, rgba });
  assert.ok(png.length < 512 * 512 * 3 * 0.05, `${png.length} bytes`);
});

test("texts come before the pixels, Latin-1 as tEXt and others as iTXt", async () => {
  const { rgba } = picture(2, 2, () => 0);
  const text = { Comment: "caf\u00e9\nline", prompt: "\u6771\u4eac \u{1f600}", Software: "a\0b" };
  const { chunks } = decode(await encodePng({ width: 2, height: 2, rgba, text }));
  assert.deepEqual(
    chunks.map(({ type, data }) => [type, data.toString(type === "iTXt" ? "utf8" : "latin1")]).slice(1, 4),
    [
      ["tEXt", "Comment\0caf\u00e9\nline"],
      ["iTXt", "prompt\0\0\0\0\0\u6771\u4eac \u{1f600}"],
      ["iTXt", "Software\0\0\0\0\0a\ufffdb"],
    ],
  );
  assert.equal(chunks[4]?.type, "IDAT");
});

test("what is kept as JSON is iTXt, whatever it holds", async () => {
  const { rgba } = picture(2, 2, () => 0);
  const { chunks } = decode(await encodePng({ width: 2, height: 2, rgba, text: { a: "b" }, json: { kept: { n: 1, s: "\u6771" } } }));
  assert.deepEqual(
    chunks.slice(1, 3).map(({ type, data }) => [type, data.toString("utf8")]),
    [["tEXt", "a\0b"], ["iTXt", 'kept\0\0\0\0\0{"n":1,"s":"\u6771"}']],
  );
});

test("what makes no PNG is refused", async () => {
  const rgba = new Uint8Array(16);
  const sizes = [0, -1, 1.5, NaN, 16385, 2 ** 31, Infinity].flatMap((side) => [[side, 2], [2, side]]);
  const bad = [
    ...sizes.map(([width = 0, height = 0]) => ({ width, height, rgba })),
    { width: 16384, height: 16384, rgba },
    { width: 2, height: 3, rgba },
    { width: 2, height: 2, rgba: /** @type {any} */ (undefined) },
    ...["", " a", "a ", "a  b", "a\0b", "\u6771", "x".repeat(80)].map((keyword) => ({
      width: 2,
      height: 2,
      rgba,
      text: { [keyword]: "" },
    })),
    { width: 2, height: 2, rgba, text: { prompt: "x".repeat(2 ** 20 + 1) } },
  ];
  for (const input of bad) {
    await assert.rejects(encodePng(input), { name: "KleinbildError", code: "bad-input" });
  }
});
