/**
 * The reader on files of the test's own making: right ones in every form of text, then wrong ones of every kind. Whatever is wrong must
 * end in the one error, soon, and without the memory that a malicious file asks for.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";

import { readPng } from "../../../src_js/image/png_reader.js";
import { SIGNATURE, blob, chunk, header, internationalText, png } from "../support/png_file.js";
import { testRandom } from "../support/random.js";

const random = testRandom("png_reader.test.js");
const REFUSED = { name: "KleinbildError", code: "bad-input" };
const END = chunk("IEND");
/** @param {Buffer} bytes @param {string[]} [keywords] */
const read = (bytes, keywords = ["parameters"]) => readPng(blob(bytes), keywords);
/** @param {string} text */
const compressedText = (text) => chunk("zTXt", Buffer.concat([Buffer.from("parameters\0\0", "latin1"), deflateSync(Buffer.from(text, "latin1"))]));

test("size and texts come back from every form of text, before and behind the pixels", async () => {
  const pixels = Buffer.concat([chunk("IDAT", "x".repeat(200_000)), chunk("tEXt", "late\0caf\u00e9"), chunk("tIME", "1234567")]);
  const file = png([
    chunk("tEXt", "first\0one\ntwo"),
    chunk("tEXt", "first\0another"),
    compressedText("compressed \u00e9"),
    internationalText("plain", "\u6771\u4eac \u{1f600}"),
    internationalText("packed", "\u6771\u4eac".repeat(1000), { compressed: true }),
    internationalText("empty", ""),
    chunk("tEXt", "unwanted\0x"),
  ], { width: 640, height: 65535, pixels });
  const { width, height, texts } = await read(file, ["first", "parameters", "plain", "packed", "empty", "late", "missing"]);
  assert.deepEqual([width, height], [640, 65535]);
  assert.deepEqual(Object.fromEntries(texts), {
    first: "one\ntwo", parameters: "compressed \u00e9", plain: "\u6771\u4eac \u{1f600}", packed: "\u6771\u4eac".repeat(1000), empty: "", late: "caf\u00e9",
  });
});

test("of a large file only what is needed is read", async () => {
  const bytes = png([chunk("tEXt", "parameters\0here")], { pixels: chunk("IDAT", Buffer.alloc(8_000_000)) });
  let asked = 0;
  const file = /** @type {Blob} */ (/** @type {unknown} */ ({
    size: bytes.length,
    slice(/** @type {number} */ from, /** @type {number} */ to) {
      asked += Math.min(to, bytes.length) - from;
      return blob(bytes.subarray(from, to));
    },
  }));
  assert.equal((await readPng(file, ["parameters"])).texts.get("parameters"), "here");
  assert.ok(asked < 200_000, `${asked} bytes`);
});

const deep = header(2, 2);
/** @type {[string, Buffer][]} */
const WRONG = [
  ["nothing", Buffer.alloc(0)],
  ["a short file", SIGNATURE.subarray(0, 5)],
  ["another kind of file", Buffer.from("GIF89a".padEnd(100, "x"))],
  ["a signature spoilt by a text transfer", Buffer.concat([Buffer.from("89504e470a1a0a", "hex"), png([]).subarray(8)])],
  ["the signature alone", SIGNATURE],
  ["no header", Buffer.concat([SIGNATURE, END])],
  ["a text before the header", Buffer.concat([SIGNATURE, chunk("tEXt", "a\0b"), deep, END])],
  ["two headers", png([header(2, 2)])],
  ["a header too short", Buffer.concat([SIGNATURE, chunk("IHDR", "\0\0\0\x02\0\0\0\x02"), END])],
  ["a header too long", Buffer.concat([SIGNATURE, chunk("IHDR", "\0".repeat(14)), END])],
  ["no width", Buffer.concat([SIGNATURE, header(0, 2), END])],
  ["no height", Buffer.concat([SIGNATURE, header(2, 0), END])],
  ["a picture of four thousand million pixels a side", Buffer.concat([SIGNATURE, header(0xffffffff, 0xffffffff), END])],
  ["a side above the limit", Buffer.concat([SIGNATURE, header(65536, 1), END])],
  ...[[3, 2, 0, 0, 0], [16, 3, 0, 0, 0], [8, 5, 0, 0, 0], [8, 255, 0, 0, 0], [8, 2, 1, 0, 0], [8, 2, 0, 1, 0], [8, 2, 0, 0, 2]].map(
    (kind) => /** @type {[string, Buffer]} */ ([`pixels of kind ${kind}`, Buffer.concat([SIGNATURE, header(2, 2, kind), END])])),
  ["a header with a wrong checksum", Buffer.concat([SIGNATURE, deep.subarray(0, -1), Buffer.from([deep.readUInt8(deep.length - 1) ^ 1]), END])],
  ["a text with a wrong checksum", png([chunk("tEXt", "parameters\0x", 1)])],
  ["no end", png([]).subarray(0, -12)],
  ["a length beyond the file", png([Buffer.from("7fffffff74455874706172616d65746572730058", "hex")])],
  ["a length beyond 31 bits", png([Buffer.from("ffffffff7445587400000000", "hex")])],
  ["a length that would lead back", png([Buffer.from("fffffff47445587400000000", "hex")])],
  ["a type that is no word", png([chunk("t\0Xt", "parameters\0x")])],
  ["a text without a name", png([chunk("tEXt", "\0x")])],
  ["an empty text", png([chunk("tEXt")])],
  ["a name that does not end", png([chunk("tEXt", "x".repeat(500))])],
  ["a text too long to be taken", png([chunk("tEXt", `parameters\0${"x".repeat(3 * 2 ** 20)}`)])],
  ["a text that unpacks to too much", png([compressedText("x".repeat(3 * 2 ** 20 + 1))])],
  ["an unknown compression", png([chunk("zTXt", "parameters\0\x01abc")])],
  ["no compression at all", png([chunk("zTXt", "parameters\0")])],
  ["a damaged compressed text", png([chunk("zTXt", "parameters\0\0not zlib")])],
  ["a compressed text cut off", png([chunk("zTXt", Buffer.concat([Buffer.from("parameters\0\0"), deflateSync(Buffer.from("abc".repeat(99))).subarray(0, -4)]))])],
  ["an international text without its parts", png([chunk("iTXt", "parameters\0\0\0en")])],
  ["an international text with one part", png([chunk("iTXt", "parameters\0\0\0en\0name")])],
  ["an international text with an unknown flag", png([chunk("iTXt", "parameters\0\x02\0\0\0x")])],
  ["an international text with an unknown compression", png([chunk("iTXt", "parameters\0\x01\x01\0\0x")])],
  ["an international text that is no UTF-8", png([chunk("iTXt", "parameters\0\0\0\0\0\xff\xfe")])],
  ["more parts than any picture has", png(Array.from({ length: 100_001 }, () => chunk("teSt")))],
];

for (const [name, bytes] of WRONG) {
  test(`refused: ${name}`, async () => {
    await assert.rejects(read(bytes), REFUSED);
  });
}

test("texts that nobody asked for are not read, however bad", async () => {
  const bad = [chunk("tEXt", "other\0x", 1), chunk("zTXt", "other\0\x07"), internationalText("parameters", "good"), chunk("iTXt", "other\0\0\0\0\0\xff")];
  assert.equal((await read(png(bad))).texts.get("parameters"), "good");
});

test("a bomb of a thousand to one stops at the limit", async () => {
  const bomb = deflateSync(Buffer.alloc(1 << 30), { level: 9 });                 // 1 MB for 1 GB
  const before = process.memoryUsage().arrayBuffers;
  const file = png([chunk("zTXt", Buffer.concat([Buffer.from("parameters\0\0"), bomb]))]);
  const began = performance.now();
  await assert.rejects(read(file), REFUSED);
  assert.ok(performance.now() - began < 2000);
  assert.ok(process.memoryUsage().arrayBuffers - before < 64 << 20);
});

test("a file changed or cut anywhere is read or refused, and nothing else", async () => {
  const whole = png([chunk("tEXt", "parameters\0text"), compressedText("packed"), internationalText("kleinbild", "{}", { compressed: true })]);
  for (let length = 0; length < whole.length; length++) await assert.rejects(read(whole.subarray(0, length)), REFUSED);
  for (let round = 0; round < 3000; round++) {
    const changed = Buffer.from(whole);
    for (let n = random.integer(4); n >= 0; n--) changed[random.integer(changed.length)] = random.integer(256);
    await read(changed, ["parameters", "kleinbild"]).catch((error) => assert.equal(error.code, "bad-input", String(error)));
  }
});
